package bulkhead

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"
)

func TestErrorsSayWhetherAnotherAttemptMaySucceed(t *testing.T) {
	for _, test := range []struct {
		err       error
		text      string
		retryable bool
	}{
		{errors.New("it burst"), "it burst", false},
		{Failf("no %s", "pump"), "no pump", false},
		{&Failure{"later", true}, "later", true},
		{fmt.Errorf("pumping: %w", &Failure{"later", true}), "pumping: later", true},
		{&HostError{"artifacts", "not-found", "no such file"}, "artifacts: not-found: no such file", false},
		{&HostError{"spawn", "cancelled", ""}, "spawn: cancelled", false},
		{fmt.Errorf("reading: %w", &HostError{"artifacts", "unavailable", "full"}), "reading: artifacts: unavailable: full", true},
	} {
		if test.err.Error() != test.text || retryable(test.err) != test.retryable {
			t.Errorf("%v: %v", test.err, retryable(test.err))
		}
	}
}

func TestOutputsBecomeJSON(t *testing.T) {
	for _, test := range []struct {
		value any
		json  string
	}{
		{nil, "null"},
		{uint64(math.MaxUint64), "18446744073709551615"},
		{1<<53 + 1, "9007199254740993"},
		{"\u2693\xff\"\\\x00", "\"\u2693\uFFFD\\\"\\\\\\u0000\""},
		{map[string]any{"": []int{}}, `{"":[]}`},
	} {
		if output, err := encode(test.value, nil); output != test.json || err != nil {
			t.Errorf("%v: %s %v", test.value, output, err)
		}
	}
	for _, value := range []any{math.NaN(), math.Inf(1), make(chan int)} {
		if output, err := encode(value, nil); err == nil {
			t.Errorf("%v: %s", value, output)
		}
	}
	if _, err := encode("done", Failf("no pump")); err == nil || err.Error() != "no pump" {
		t.Errorf("%v", err)
	}
}

func TestSpawnNamesTheTaskThatIsWrong(t *testing.T) {
	for _, test := range []struct {
		spec Spec
		says string
	}{
		{Spec{"bad", math.NaN()}, `the input of task "bad"`},
		{Spec{"a\xff", 1}, `the key of task "a\xff" is not UTF-8`},
	} {
		created, err := Spawn([]Spec{test.spec})
		if created != 0 || err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%d %v", created, err)
		}
	}
	if created, err := Spawn(nil); created != 0 || err != nil {
		t.Errorf("%d %v", created, err)
	}
}

func TestPlacesAreAlignedAndDoNotOverlap(t *testing.T) {
	buffer := make([]byte, 64)
	base := uintptr(unsafe.Pointer(&buffer[0]))
	used, end := uintptr(0), base
	for _, size := range []uintptr{1, 8, 3, 0, 16} {
		at := uintptr(place(buffer, &used, 8, size))
		if at < end || at%8 != 0 || at+size > base+64 {
			t.Errorf("%d bytes at %d, after %d", size, at-base, end-base)
		}
		end = at + size
	}
	if place(buffer, &used, 1, 64) != nil {
		t.Error("more than there is")
	}
	if rest := 64 - used; place(buffer, &used, 1, rest) == nil || place(buffer, &used, 1, 1) != nil {
		t.Error("what is left can be used, and no more")
	}
}

func TestWithoutAHostTheTaskGoesOn(t *testing.T) {
	Progress(1, 2)
	Message("at work")
	if Cancelled() {
		t.Error("cancelled")
	}
}
