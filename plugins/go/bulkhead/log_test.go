package bulkhead

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

type line struct {
	level   uint32
	message string
	fields  string
}

// What log writes, a line for each call.
func lines(t *testing.T, log func(*slog.Logger)) []line {
	t.Helper()
	var written []line
	log(slog.New(&handler{write: func(level uint32, message, fields string) {
		if !utf8.ValidString(message) || !utf8.ValidString(fields) {
			t.Errorf("not UTF-8: %q %q", message, fields)
		}
		written = append(written, line{level, message, fields})
	}}))
	return written
}

func fields(t *testing.T, log func(*slog.Logger)) map[string]any {
	t.Helper()
	written := lines(t, log)
	if len(written) != 1 {
		t.Fatalf("%d lines", len(written))
	}
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(written[0].fields))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		t.Fatalf("%s: %v", written[0].fields, err)
	}
	return object
}

func TestLevelsAreThoseOfTheHost(t *testing.T) {
	for level, expected := range map[slog.Level]uint32{
		-8: 0, slog.LevelDebug: 0, -1: 0, slog.LevelInfo: 1, 2: 1, slog.LevelWarn: 2, slog.LevelError: 3, 12: 3,
	} {
		written := lines(t, func(log *slog.Logger) { log.Log(t.Context(), level, "x") })
		if !reflect.DeepEqual(written, []line{{expected, "x", ""}}) {
			t.Errorf("%v: %v", level, written)
		}
	}
}

func TestAttributesAndGroupsAreFields(t *testing.T) {
	got := fields(t, func(log *slog.Logger) {
		log.With("at", uint64(math.MaxUint64)).WithGroup("tank").With("litres", 1<<60+1).
			Info("low", "name", "bow \u2693\x00\"\\", slog.Group("pump", "on", true), "err", errors.New("it burst"))
	})
	expected := map[string]any{
		"at": json.Number("18446744073709551615"),
		"tank": map[string]any{
			"litres": json.Number("1152921504606846977"), "name": "bow \u2693\x00\"\\", "pump": map[string]any{"on": true},
			"err": "it burst",
		},
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("%v", got)
	}
}

func TestFieldsMayBeCalledAsSlogCallsItsOwn(t *testing.T) {
	got := fields(t, func(log *slog.Logger) { log.With("time", 1).Info("x", "level", 2, "msg", 3, "source", 4) })
	expected := map[string]any{
		"time": json.Number("1"), "level": json.Number("2"), "msg": json.Number("3"), "source": json.Number("4"),
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("%v", got)
	}
}

func TestALoggerDoesNotChangeTheOneThatItCameFrom(t *testing.T) {
	written := lines(t, func(log *slog.Logger) {
		one := log.With("a", 1).With("b", 2).With("c", 3)
		two, three := one.With("d", 4), one.With("e", 5)
		two.Info("x")
		three.Info("x")
		one.Info("x")
	})
	expected := []line{{1, "x", `{"a":1,"b":2,"c":3,"d":4}`}, {1, "x", `{"a":1,"b":2,"c":3,"e":5}`}, {1, "x", `{"a":1,"b":2,"c":3}`}}
	if !reflect.DeepEqual(written, expected) {
		t.Errorf("%v", written)
	}
}

func TestWhatJSONDoesNotKnowSpoilsNoLine(t *testing.T) {
	got := fields(t, func(log *slog.Logger) {
		log.Info("x", "nan", math.NaN(), "wrong", "\xff\xed\xa0\x80", "channel", make(chan int))
	})
	if got["wrong"] != strings.Repeat("\uFFFD", 4) {
		t.Errorf("%v", got)
	}
	for _, name := range []string{"nan", "channel"} {
		if _, told := got[name].(string); !told {
			t.Errorf("%s: %v", name, got[name])
		}
	}
}

func TestMessagesAreUTF8AndWhole(t *testing.T) {
	long := strings.Repeat("x", 10_000_000)
	written := lines(t, func(log *slog.Logger) { log.Info("a\xffb"); log.Warn(""); log.Error(long) })
	if !reflect.DeepEqual(written, []line{{1, "a\uFFFDb", ""}, {2, "", ""}, {3, long, ""}}) {
		t.Errorf("%.100v", written)
	}
}
