package bulkhead

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// What log/slog writes goes to the host: level, message, and the attributes as fields.
func init() { slog.SetDefault(slog.New(&handler{write: hostLog})) }

type handler struct {
	write func(level uint32, message, fields string)
	// Turns attributes and groups into JSON.
	with []func(slog.Handler) slog.Handler
}

func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.adding(func(inner slog.Handler) slog.Handler { return inner.WithAttrs(attrs) })
}

func (h *handler) WithGroup(name string) slog.Handler {
	return h.adding(func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h *handler) adding(add func(slog.Handler) slog.Handler) slog.Handler {
	return &handler{write: h.write, with: append(slices.Clone(h.with), add)}
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	var fields bytes.Buffer
	// The host has places of its own for level and message, which come first, and a clock.
	leftOut := 0
	options := slog.HandlerOptions{ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
		if leftOut > 0 {
			leftOut--
			return slog.Attr{}
		}
		return attr
	}}
	var inner slog.Handler = slog.NewJSONHandler(&fields, &options)
	for _, add := range h.with {
		inner = add(inner)
	}
	leftOut = 2
	record.Time = time.Time{}
	if err := inner.Handle(ctx, record); err != nil {
		return err
	}
	json := string(bytes.TrimSpace(fields.Bytes()))
	if json == "{}" {
		json = ""
	}
	h.write(levelOf(record.Level), strings.ToValidUTF8(record.Message, "\uFFFD"), json)
	return nil
}

// The contract's number of a level.
func levelOf(level slog.Level) uint32 {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 2
	case level >= slog.LevelInfo:
		return 1
	default:
		return 0
	}
}
