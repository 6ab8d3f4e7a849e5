"""Bulkhead plugins in Python.

A plugin is an object with a description and two methods; `export` makes of it what the host calls:

    import bulkhead

    class Greet:
        name = "greet"
        version = "1.0.0"
        summary = "Greets."
        schema = {"type": "object", "properties": {"names": {"type": "array"}}}

        def plan(self, step):
            bulkhead.spawn((name, {"name": name}) for name in step.config["names"])

        def run(self, step, task):
            logging.info("greeting", extra={"name_of": task.input["name"]})
            return {"greeting": f"Hello, {task.input['name']}!"}

    WitWorld = bulkhead.export(Greet())

Raise `Failure` for what the plugin itself knows to have gone wrong. Any other exception ends the task with the cause `panic`, and
carries its message and place; the traceback is in the log.
"""

import json
import logging
import os
import traceback
from dataclasses import dataclass
from itertools import batched
from typing import Any, Iterable, Protocol

from componentize_py_types import Err
from wit_world.imports import artifacts, checkpoint, log, outputs, status, tasks, types

# The tasks that one call of the host may create.
_SPAWN_AT_ONCE = 10_000
# The bytes that one call of the host may carry of a file.
_PIECE = 1 << 20


class Failure(Exception):
    """The plugin can't do what it was asked to. Another attempt follows only where that is `retryable`."""

    def __init__(self, message: str, *, retryable: bool = False):
        super().__init__(message)
        self.retryable = retryable


class HostError(Failure):
    """The host refused; `kind` says why, as `not-found` or `cancelled`. Uncaught, it is the task's failure."""

    def __init__(self, function: str, error: Any):
        # The generated classes are called like `ArtifactError_NotFound`.
        case = type(error).__name__.partition("_")[2]
        self.kind = "".join("-" + char.lower() if char.isupper() else char for char in case).lstrip("-")
        value = getattr(error, "value", None)
        text = f"{function}: {self.kind}" if value is None else f"{function}: {self.kind}: {value}"
        super().__init__(text, retryable=self.kind == "unavailable")


@dataclass(frozen=True)
class Step:
    """The step that a call works for."""

    run: str
    name: str
    attempt: int
    config: dict[str, Any]
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One task, as `run` is to do it."""

    id: str
    key: str
    input: Any


class Plugin(Protocol):
    """What `export` takes."""

    name: str
    version: str
    summary: str
    schema: dict[str, Any]

    def plan(self, step: Step) -> None: ...

    def run(self, step: Step, task: Task) -> Any: ...


def spawn(specs: Iterable[tuple[str, Any]]) -> int:
    """Creates tasks in this step, each with a key that is unique in it and an input. A key that exists already creates nothing.
    Returns how many are new; they are durable then."""
    created = 0
    for some in batched(specs, _SPAWN_AT_ONCE):
        created += _call("spawn", tasks.spawn, [tasks.TaskSpec(key, json.dumps(value)) for key, value in some]).created
    return created


def progress(done: int, total: int | None = None) -> None:
    """Says how far the task is."""
    status.progress(done, total)


def message(text: str) -> None:
    """Says in a few words what the task is doing now."""
    status.message(text)


def cancelled() -> bool:
    """Whether the task is to end."""
    return status.cancelled()


def save_checkpoint(value: Any) -> None:
    """Keeps a value, of what JSON can hold, for the task's next attempt. It is durable then."""
    _call("checkpoint", checkpoint.save, json.dumps(value).encode())


def load_checkpoint() -> Any:
    """What was kept last, by this attempt or an earlier one; `None` if nothing was."""
    data = _call("checkpoint", checkpoint.load)
    return None if data is None else json.loads(data)


class File:
    """A file that the run was started with; with `step`, an artifact of a step that this one depends on."""

    def __init__(self, name: str, step: str | None = None):
        self.name = name
        self._source = artifacts.Source_File() if step is None else artifacts.Source_Step(step)
        self.size = _call("artifacts", artifacts.find, self._source, name).size

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset on; fewer only at the end."""
        data = b""
        while len(data) < size:
            piece = _call("artifacts", artifacts.read, self._source, self.name, offset + len(data), min(size - len(data), _PIECE))
            if not piece:
                break
            data = data + piece if data else piece
        return data


def write_artifact(name: str, data: bytes) -> None:
    """Appends to an artifact of this task. It is published when the task succeeds."""
    for start in range(0, len(data), _PIECE):
        _call("artifacts", artifacts.write, name, data[start : start + _PIECE])


def step_outputs(step: str) -> Iterable[tuple[str, Any]]:
    """Key and output of each task of an earlier step that succeeded."""
    after = None
    while page := _call("outputs", outputs.read, step, after, 1_000):
        for entry in page:
            if isinstance(entry.outcome, outputs.Outcome_Succeeded):
                yield entry.key, json.loads(entry.outcome.value)
        after = page[-1].task


class _LogHandler(logging.Handler):
    """Sends records to the host. What `extra` holds are the line's fields."""

    _OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
    _LEVELS = ((logging.ERROR, log.Level.ERROR), (logging.WARNING, log.Level.WARN), (logging.INFO, log.Level.INFO))

    def emit(self, record: logging.LogRecord) -> None:
        level = next((level for least, level in self._LEVELS if record.levelno >= least), log.Level.DEBUG)
        fields = {name: value for name, value in vars(record).items() if name not in self._OWN}
        if record.name != "root":
            fields["logger"] = record.name
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        log.write(level, text, json.dumps(fields, default=str) if fields else "")


def export(plugin: Plugin) -> type:
    """What the host calls of a plugin. Assign it to `WitWorld` in the module that is componentized."""

    class WitWorld:
        def describe(self) -> types.Description:
            return types.Description(plugin.name, plugin.version, plugin.summary, json.dumps(plugin.schema))

        def plan(self, step: types.StepContext) -> None:
            _answer(lambda: plugin.plan(_step(step)))

        def run(self, step: types.StepContext, task: types.Task) -> str:
            return _answer(lambda: json.dumps(plugin.run(_step(step), Task(task.id, task.key, json.loads(task.input)))))

    return WitWorld


def _step(step: types.StepContext) -> Step:
    return Step(step.run, step.step, step.attempt, json.loads(step.config), json.loads(step.parameters))


def _answer(work):
    try:
        return work()
    except Failure as failure:
        raise Err(types.Failure(str(failure), failure.retryable)) from None
    except BaseException as error:
        traceback.print_exc()
        frames = traceback.extract_tb(error.__traceback__)
        # The plugin's own innermost frame tells more than one in a library.
        own = [frame for frame in frames if os.sep + "lib" + os.sep not in frame.filename and frame.filename != __file__] or frames
        text = " ".join(f"{type(error).__name__}: {error}".splitlines())
        # The way of the contract to say so.
        panic = f"panicked at {own[-1].filename}:{own[-1].lineno}: {text}"
        raise Err(types.Failure(panic, True)) from None


def _call(name: str, function, *arguments):
    try:
        return function(*arguments)
    except Err as error:
        raise HostError(name, error.value) from None


logging.basicConfig(level=logging.DEBUG, handlers=[_LogHandler()])
