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
            logging.info("greeting", extra={"who": task.input["name"]})
            return {"greeting": f"Hello, {task.input['name']}!"}

    WitWorld = bulkhead.export(Greet())

Raise `Failure` for what the plugin itself knows to have gone wrong. Any other exception ends the task with the cause `panic`, and
carries its message and place; the traceback is in the log.
"""

import json
import logging
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, ParamSpec, Protocol, TypeVar

from componentize_py_types import Err
from wit_world.imports import artifacts, checkpoint, log, outputs, status, tasks, types

P = ParamSpec("P")
T = TypeVar("T")

# The tasks that one call of the host may create.
_SPAWN_AT_ONCE = 10_000
# The bytes that one call of the host may carry of a file.
_PIECE = 1 << 20


class Failure(Exception):
    """The plugin can't do what it was asked to. Another attempt follows only where that is `retryable`."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class HostError(Failure):
    """The host refused; `kind` says why, as `not-found` or `cancelled`. Uncaught, it is the task's failure."""

    def __init__(self, function: str, error: object) -> None:
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

    def plan(self, step: Step) -> None:
        """Expand a step into its tasks by spawning them."""

    def run(self, step: Step, task: Task) -> Any:
        """Do one task. What it returns becomes JSON."""


def spawn(specs: Iterable[tuple[str, Any]]) -> int:
    """Create tasks in this step, each with a key that is unique in it and an input.

    A key that exists already creates nothing. Returns how many are new; they are durable then.
    """
    created = 0
    specs = iter(specs)
    while some := [tasks.TaskSpec(key, _json(f"the input of {key}", value)) for key, value in islice(specs, _SPAWN_AT_ONCE)]:
        created += _call("spawn", tasks.spawn, some).created
    return created


def progress(done: int, total: int | None = None) -> None:
    """Say how far the task is."""
    status.progress(done, total)


def message(text: str) -> None:
    """Say in a few words what the task is doing now."""
    status.message(_utf8(text))


def cancelled() -> bool:
    """Tell whether the task is to end."""
    return status.cancelled()


def save_checkpoint(value: Any) -> None:
    """Keep a value, of what JSON can hold, for the task's next attempt. It is durable then."""
    _call("checkpoint", checkpoint.save, _json("the checkpoint", value).encode())


def load_checkpoint() -> Any:
    """Return what was kept last, by this attempt or an earlier one; `None` if nothing was."""
    data = _call("checkpoint", checkpoint.load)
    return None if data is None else json.loads(data)


class File:
    """A file that the run was started with; with `step`, an artifact of a step that this one depends on."""

    def __init__(self, name: str, step: str | None = None) -> None:
        self.name = name
        self._source: artifacts.Source = artifacts.Source_File() if step is None else artifacts.Source_Step(step)
        self.size = _call("artifacts", artifacts.find, self._source, name).size

    def read(self, offset: int, size: int) -> bytes:
        """Read so many bytes from an offset on; fewer only at the end."""
        pieces: list[bytes] = []
        end = offset + size
        while offset < end:
            piece = _call("artifacts", artifacts.read, self._source, self.name, offset, min(end - offset, _PIECE))
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def write_artifact(name: str, data: bytes) -> None:
    """Append to an artifact of this task. It is published when the task succeeds."""
    for start in range(0, len(data), _PIECE):
        _call("artifacts", artifacts.write, name, data[start : start + _PIECE])


def step_outputs(step: str) -> Iterator[tuple[str, Any]]:
    """Yield key and output of each task of an earlier step that succeeded."""
    after: int | None = None
    while page := _call("outputs", outputs.read, step, after, 1_000):
        for entry in page:
            if isinstance(entry.outcome, outputs.Outcome_Succeeded):
                yield entry.key, json.loads(entry.outcome.value)
        after = page[-1].task


class _LogHandler(logging.Handler):
    """Sends records to the host. What `extra` holds are the line's fields."""

    _OWN: ClassVar = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
    _LEVELS: ClassVar = ((logging.ERROR, log.Level.ERROR), (logging.WARNING, log.Level.WARN), (logging.INFO, log.Level.INFO))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = next((level for least, level in self._LEVELS if record.levelno >= least), log.Level.DEBUG)
            fields = {name: value for name, value in vars(record).items() if name not in self._OWN}
            if record.name != "root":
                fields["logger"] = record.name
            log.write(level, _utf8(self.format(record)), _fields(fields) if fields else "")
        except RecursionError:
            raise
        except Exception:
            # As every handler of the standard library: a line that can't be made ends nothing.
            self.handleError(record)


def _fields(fields: dict[str, Any]) -> str:
    """Make a JSON object, whatever the fields hold: what JSON has no form for is told as text."""
    try:
        return _utf8(json.dumps(fields, default=str, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError):
        if len(fields) == 1:
            return _utf8(json.dumps({name: repr(value) for name, value in fields.items()}, ensure_ascii=False))
        return "{" + ", ".join(_fields({name: value})[1:-1] for name, value in fields.items()) + "}"


def _json(what: str, value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Failure(f"{what} can't be JSON: {error}") from error


def _utf8(text: str) -> str:
    """Replace the halves of characters that Python allows in a text."""
    return text.encode(errors="replace").decode()


def export(plugin: Plugin) -> type:
    """Make what the host calls of a plugin. Assign it to `WitWorld` in the module that is componentized."""

    class WitWorld:
        def describe(self) -> types.Description:
            return types.Description(plugin.name, plugin.version, plugin.summary, _json("the schema", plugin.schema))

        def plan(self, step: types.StepContext) -> None:
            _answer(lambda: plugin.plan(_step(step)))

        def run(self, step: types.StepContext, task: types.Task) -> str:
            def work() -> str:
                return _json("the output", plugin.run(_step(step), Task(task.id, task.key, json.loads(task.input))))

            return _answer(work)

    return WitWorld


def _step(step: types.StepContext) -> Step:
    return Step(step.run, step.step, step.attempt, json.loads(step.config), json.loads(step.parameters))


def _answer(work: Callable[[], T]) -> T:
    try:
        return work()
    except Failure as failure:
        raise Err(types.Failure(_utf8(str(failure)), failure.retryable)) from None
    except BaseException as error:
        traceback.print_exc()
        # The way of the contract to say so.
        raise Err(types.Failure(f"panicked at {_place(error)}: {_in_one_line(error)}", retryable=True)) from None


def _place(error: BaseException) -> str:
    """Say where an exception was raised: the plugin's own innermost frame, which tells more than one in a library."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if os.sep + "lib" + os.sep not in frame.filename and frame.filename != __file__] or frames
    return f"{own[-1].filename}:{own[-1].lineno}"


def _in_one_line(error: BaseException) -> str:
    return _utf8(" ".join("".join(traceback.format_exception_only(error)).splitlines()))


def _call(name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except Err as error:
        raise HostError(name, error.value) from None


logging.basicConfig(level=logging.DEBUG, format="%(message)s", handlers=[_LogHandler()])
