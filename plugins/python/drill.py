"""What can go wrong, on purpose: how Bulkhead tells each of them apart is the same in every language."""

import logging
import time

import bulkhead

log = logging.getLogger("drill")

MODES = ["none", "panic", "error", "memory", "loop", "recursion", "sleep", "cancel", "retry"]


def drill(mode: str) -> None:
    """Go wrong as a mode says. `none` and `retry` do nothing here."""
    match mode:
        case "panic":
            raise ValueError("the drill: the boiler burst")
        case "error":
            raise bulkhead.Failure("the drill: there is no pump")
        case "memory":
            kept = []
            while True:
                kept.append(bytearray(1 << 20))
        case "loop":
            while True:
                pass
        case "recursion":
            deeper(0)
        case "sleep":
            time.sleep(0.3)
        case "cancel":
            while not bulkhead.cancelled():
                time.sleep(0.01)
            log.warning("cancelled: ending in order")
            raise bulkhead.Failure("it was cancelled")


def deeper(level: int) -> int:
    """Call itself without end."""
    return deeper(level + 1) + 1
