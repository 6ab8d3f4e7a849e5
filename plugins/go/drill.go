package main

import (
	"log/slog"
	"time"

	"bulkhead.example/words/bulkhead"
)

// What can go wrong, on purpose: how Bulkhead tells each of them apart is the same in every language. "none" and "retry" do
// nothing here.
func drill(mode string) error {
	switch mode {
	case "panic":
		panic("the drill: the boiler burst")
	case "error":
		return bulkhead.Failf("the drill: there is no pump")
	case "memory":
		var kept [][]byte
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	case "loop":
		for {
		}
	case "recursion":
		deeper(0)
	case "sleep":
		time.Sleep(300 * time.Millisecond)
	case "cancel":
		for !bulkhead.Cancelled() {
			time.Sleep(10 * time.Millisecond)
		}
		slog.Warn("cancelled: ending in order")
		return bulkhead.Failf("it was cancelled")
	}
	return nil
}

// Calls itself without end.
func deeper(level int) int { return deeper(level+1) + 1 }
