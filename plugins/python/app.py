"""Counts the words of a file that the run was started with, a piece a task."""

import logging
from collections import Counter
from typing import Any

import bulkhead
from bulkhead import Failure, File, Step, Task
from drill import MODES, drill
from words import count, first_word, pieces, top, whole_words

# What is read at once, in bytes; a longer word is cut there.
BLOCK = 256 << 10

log = logging.getLogger("words")


class Words:
    """The plugin."""

    name = "python"
    version = "0.1.0"
    summary = "Counts the words of a file, a piece a task; written in Python."
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "file": {"type": "string", "default": "text", "description": "The run's file whose words are counted."},
            "pieces": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 4, "description": "The tasks that share it."},
            "top": {"type": "integer", "minimum": 0, "maximum": 100, "default": 10, "description": "The words that are listed."},
            "drill": {"enum": MODES, "default": "none", "description": "What each task does wrong, to see what comes of it."},
        },
    }

    def plan(self, step: Step) -> None:
        """Share the file out, a piece a task."""
        file = open_file(step)
        parts = pieces(file.size, step.config.get("pieces", 4))
        bulkhead.spawn((f"piece-{number}", {"from": start, "to": end}) for number, (start, end) in enumerate(parts, 1))
        log.info("planned", extra={"pieces": len(parts), "bytes": file.size})

    def run(self, step: Step, task: Task) -> dict[str, Any]:
        """Count the words that begin in a piece."""
        mode, start, end = step.config.get("drill", "none"), task.input["from"], task.input["to"]
        bulkhead.progress(0, end - start)
        drill(mode)
        file = open_file(step)
        if kept := bulkhead.load_checkpoint():
            at, counts = kept["at"], Counter(kept["counts"])
            log.info("going on from a checkpoint", extra={"at": at})
        else:
            counts = Counter()
            at = start and start - 1 + first_word(file.read(start - 1, BLOCK))
        while at < end:
            if bulkhead.cancelled():
                raise Failure(f"cancelled at byte {at}")
            block = file.read(at, BLOCK)
            whole = whole_words(block, end - at, last=at + len(block) == file.size)
            if whole is None:
                log.warning("a word is longer than a block", extra={"at": at, "block": BLOCK})
                whole = len(block)
            counts.update(count(block[:whole]))
            at += whole
            bulkhead.progress(min(at, end) - start, end - start)
            bulkhead.save_checkpoint({"at": at, "counts": counts})
            log.debug("block counted", extra={"at": at, "words": counts.total()})
            if mode == "retry" and step.attempt == 1:
                raise Failure("the drill: the first attempt fails", retryable=True)
        if replaced := sum("\ufffd" in word for word in counts):
            log.warning("not all of it is UTF-8", extra={"replaced": replaced})
        log.info("counted", extra={"words": counts.total(), "distinct": len(counts)})
        return {
            "bytes": end - start,
            "words": counts.total(),
            "distinct": len(counts),
            "top": top(counts, step.config.get("top", 10)),
        }


def open_file(step: Step) -> File:
    """Find the file that the configuration names."""
    name = step.config.get("file", "text")
    try:
        return File(name)
    except bulkhead.HostError as error:
        if error.kind != "not-found":
            raise
        raise Failure(f"the run has no file `{name}`: start it with --file {name}=PATH") from None


WitWorld = bulkhead.export(Words())
