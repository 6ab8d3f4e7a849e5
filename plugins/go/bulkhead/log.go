package bulkhead

import (
	"bytes"
	"context"
	"log/slog"
)

// What log/slog writes goes to the host: level, message, and the attributes as fields.
func init() { slog.SetDefault(slog.New(&handler{})) }

type handler struct {
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
	return &handler{with: append(append([]func(slog.Handler) slog.Handler(nil), h.with...), add)}
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	var fields bytes.Buffer
	options := slog.HandlerOptions{Level: slog.LevelDebug - 100, ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
		// The host has a place of its own for each of these.
		if len(groups) == 0 && (attr.Key == slog.TimeKey || attr.Key == slog.LevelKey || attr.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return attr
	}}
	var inner slog.Handler = slog.NewJSONHandler(&fields, &options)
	for _, add := range h.with {
		inner = add(inner)
	}
	if err := inner.Handle(ctx, record); err != nil {
		return err
	}
	json := string(bytes.TrimSpace(fields.Bytes()))
	if json == "{}" {
		json = ""
	}
	level := uint32(0)
	switch {
	case record.Level >= slog.LevelError:
		level = 3
	case record.Level >= slog.LevelWarn:
		level = 2
	case record.Level >= slog.LevelInfo:
		level = 1
	}
	hostLog(level, record.Message, json)
	return nil
}
