"""The SDK, with a host of this test's own."""

import json
import logging
import sys
import unittest
from unittest import mock

from componentize_py_types import Err
from wit_world.imports import artifacts, checkpoint, log, outputs, status, tasks, types

import bulkhead
from bulkhead import Failure, HostError, Step, Task


class Echo:
    name = "echo"
    version = "1.2.3"
    summary = "Says what it is told."
    schema = {"type": "object"}

    def plan(self, step: Step) -> None:
        bulkhead.spawn((key, {"key": key}) for key in step.config["keys"])

    def run(self, step: Step, task: Task):
        return step.config["run"](task.input) if callable(step.config.get("run")) else task.input


def context(config: str = "{}") -> types.StepContext:
    return types.StepContext("run_1", "echo", 2, config, '{"day": 3}')


class Log(unittest.TestCase):
    def setUp(self):
        write = mock.patch.object(log, "write")
        self.write = write.start()
        self.addCleanup(write.stop)
        self.log = logging.getLogger("pump")

    def line(self) -> tuple[log.Level, str, object]:
        self.write.assert_called_once()
        level, text, fields = self.write.call_args.args
        text.encode()
        fields.encode()
        # As strict as the host.
        return level, text, json.loads(fields, parse_constant=self.fail) if fields else None

    def test_levels_are_those_of_the_host(self):
        for level, expected in [
            (5, log.Level.DEBUG),
            (logging.DEBUG, log.Level.DEBUG),
            (logging.INFO, log.Level.INFO),
            (logging.INFO + 5, log.Level.INFO),
            (logging.WARNING, log.Level.WARN),
            (logging.ERROR, log.Level.ERROR),
            (logging.CRITICAL, log.Level.ERROR),
        ]:
            bulkhead._LogHandler().emit(logging.makeLogRecord({"levelno": level, "msg": "x"}))
            self.assertEqual(self.write.call_args.args[0], expected, level)

    def test_what_extra_holds_are_the_fields(self):
        self.log.info("water at %d cm", 12, extra={"at": 2**60 + 1, "where": "bilge \u2693"})
        self.assertEqual(
            self.line(), (log.Level.INFO, "water at 12 cm", {"at": 2**60 + 1, "where": "bilge \u2693", "logger": "pump"})
        )

    def test_a_line_of_the_root_logger_has_no_fields_of_its_own(self):
        logging.warning("low water")
        self.assertEqual(self.line(), (log.Level.WARN, "low water", None))

    def test_fields_that_json_does_not_know_are_told_as_text(self):
        ring: list[object] = []
        ring.append(ring)
        self.log.info("odd", extra={"nan": float("nan"), "set": {1}, "ring": ring, "keys": {(1, 2): 3}, "fine": 1})
        _, _, fields = self.line()
        self.assertEqual(
            fields, {"nan": "nan", "set": "{1}", "ring": "[[...]]", "keys": "{(1, 2): 3}", "fine": 1, "logger": "pump"}
        )

    def test_halves_of_characters_are_replaced(self):
        self.log.info("name \udc80", extra={"who": "\ud83d"})
        self.assertEqual(self.line(), (log.Level.INFO, "name ?", {"who": "?", "logger": "pump"}))

    def test_a_very_long_line_goes_through_whole(self):
        self.log.info("x" * 10_000_000)
        self.assertEqual(len(self.line()[1]), 10_000_000)

    def test_an_exception_is_told_with_its_place(self):
        try:
            raise ValueError("the boiler burst")
        except ValueError:
            self.log.exception("it failed")
        level, text, _ = self.line()
        self.assertEqual(level, log.Level.ERROR)
        self.assertTrue(text.startswith("it failed\nTraceback (most recent call last):\n"), text)
        self.assertIn("test_bulkhead.py", text)
        self.assertTrue(text.endswith("ValueError: the boiler burst"), text)

    def test_a_line_that_can_not_be_made_does_not_end_the_task(self):
        with mock.patch.object(sys, "stderr"):
            self.log.info("%d litres", "many")
        self.write.assert_not_called()


class Calls(unittest.TestCase):
    def setUp(self):
        self.world = bulkhead.export(Echo())()

    def run_task(self, value: object, work=None):
        task = types.Task("task_1", "key", json.dumps(value))
        with (
            mock.patch.object(Echo, "run", lambda _plugin, _step, task: work(task.input))
            if work
            else mock.patch.object(log, "write")
        ):
            return self.world.run(context(), task)

    def failure(self, work) -> types.Failure:
        with self.assertRaises(Err) as caught, mock.patch.object(sys, "stderr"):
            self.run_task(0, work)
        return caught.exception.value

    def test_describes_itself(self):
        described = self.world.describe()
        self.assertEqual((described.name, described.version, described.summary), ("echo", "1.2.3", "Says what it is told."))
        self.assertEqual(json.loads(described.config_schema), {"type": "object"})

    def test_a_task_gets_its_step_and_input(self):
        seen = []
        with mock.patch.object(Echo, "run", lambda _plugin, step, task: seen.append((step, task))):
            self.assertEqual(self.world.run(context('{"a": [1]}'), types.Task("task_1", "k", "null")), "null")
        self.assertEqual(seen, [(Step("run_1", "echo", 2, {"a": [1]}, {"day": 3}), Task("task_1", "k", None))])

    def test_values_survive_the_way_through_json(self):
        deep: list[object] = []
        for _ in range(100):
            deep = [deep]
        for value in ["", '\u2693 \U0001f6a2 \\ " \u0000 \u2028', 2**53 + 1, -(2**70), 1e-300, [], {}, {"": None}, deep]:
            self.assertEqual(json.loads(self.run_task(value)), value)

    def test_an_output_that_is_not_json_is_a_failure(self):
        self.assertEqual(
            self.failure(lambda _: {"x": float("inf")}).message,
            "the output can't be JSON: Out of range float values are not JSON compliant",
        )
        self.assertIn("the output can't be JSON", self.failure(lambda _: {1, 2}).message)

    def test_a_failure_says_whether_to_try_again(self):
        def later(_):
            raise Failure("no pump \udc80", retryable=True)

        self.assertEqual(self.failure(later), types.Failure("no pump ?", retryable=True))

        def never(_):
            raise Failure("no pump")

        self.assertEqual(self.failure(never), types.Failure("no pump", retryable=False))

    def test_an_exception_is_a_panic_with_its_place(self):
        def burst(_):
            json.loads("{")

        with self.assertRaises(json.JSONDecodeError) as caught:
            burst(0)
        line = burst.__code__.co_firstlineno + 1
        self.assertEqual(
            self.failure(burst),
            types.Failure(f"panicked at {__file__}:{line}: json.decoder.JSONDecodeError: {caught.exception}", retryable=True),
        )

    def test_a_panic_is_told_in_one_line(self):
        def burst(_):
            raise ValueError("the boiler\nburst")

        self.assertTrue(self.failure(burst).message.endswith(": ValueError: the boiler burst"))

        def leave(_):
            sys.exit(3)

        self.assertTrue(self.failure(leave).message.endswith(": SystemExit: 3"))

    def test_a_refusal_of_the_host_is_a_failure_by_its_name(self):
        for error, kind, text, retryable in [
            (artifacts.ArtifactError_NotFound("no such file"), "not-found", "artifacts: not-found: no such file", False),
            (artifacts.ArtifactError_NotADependency("a"), "not-a-dependency", "artifacts: not-a-dependency: a", False),
            (artifacts.ArtifactError_TooLarge(7), "too-large", "artifacts: too-large: 7", False),
            (artifacts.ArtifactError_Cancelled(), "cancelled", "artifacts: cancelled", False),
            (artifacts.ArtifactError_Unavailable("later"), "unavailable", "artifacts: unavailable: later", True),
        ]:
            with mock.patch.object(artifacts, "find", side_effect=Err(error)), self.assertRaises(HostError) as caught:
                bulkhead.File("x")
            self.assertEqual((caught.exception.kind, str(caught.exception), caught.exception.retryable), (kind, text, retryable))
            refused = caught.exception

            def again(_, refused=refused):
                raise refused

            self.assertEqual(self.failure(again), types.Failure(text, retryable))


class Host(unittest.TestCase):
    def test_many_tasks_are_spawned_in_several_calls(self):
        with mock.patch.object(tasks, "spawn", side_effect=lambda specs: tasks.Spawned(len(specs), 0)) as spawn:
            self.assertEqual(bulkhead.spawn((str(number), number) for number in range(25_000)), 25_000)
            self.assertEqual([len(call.args[0]) for call in spawn.call_args_list], [10_000, 10_000, 5_000])
            self.assertEqual(spawn.call_args_list[1].args[0][0], tasks.TaskSpec("10000", "10000"))
            self.assertEqual(bulkhead.spawn([]), 0)

    def test_an_input_that_is_not_json_names_its_task(self):
        with self.assertRaisesRegex(Failure, "the input of bad can't be JSON"):
            bulkhead.spawn([("bad", float("nan"))])

    def test_a_checkpoint_is_there_again(self):
        with mock.patch.object(checkpoint, "save") as save:
            bulkhead.save_checkpoint({"at": 2**60, "word": "\u2693"})
        with mock.patch.object(checkpoint, "load", return_value=save.call_args.args[0]):
            self.assertEqual(bulkhead.load_checkpoint(), {"at": 2**60, "word": "\u2693"})
        with mock.patch.object(checkpoint, "load", return_value=None):
            self.assertIsNone(bulkhead.load_checkpoint())

    def test_a_file_is_read_in_pieces(self):
        content = bytes(range(256)) * 10_000

        def read(_source, _name, offset, most):
            return content[offset : offset + min(most, 1 << 20)]

        found = mock.Mock(size=len(content))
        with (
            mock.patch.object(artifacts, "find", return_value=found),
            mock.patch.object(artifacts, "read", side_effect=read) as reads,
        ):
            file = bulkhead.File("text")
            self.assertEqual((file.size, file.read(3, len(content))), (len(content), content[3:]))
            self.assertEqual(reads.call_count, 4)
            self.assertEqual(file.read(len(content), 10), b"")

    def test_an_artifact_is_written_in_pieces(self):
        with mock.patch.object(artifacts, "write") as write:
            bulkhead.write_artifact("out", b"x" * ((1 << 20) + 1))
            bulkhead.write_artifact("out", b"")
        self.assertEqual([len(call.args[1]) for call in write.call_args_list], [1 << 20, 1])

    def test_outputs_come_page_by_page_without_what_failed(self):
        pages = [
            [outputs.Output(1, "a", outputs.Outcome_Succeeded("1")), outputs.Output(2, "b", outputs.Outcome_Cancelled())],
            [outputs.Output(5, "c", outputs.Outcome_Succeeded('"\u2693"'))],
            [],
        ]
        with mock.patch.object(outputs, "read", side_effect=pages) as read:
            self.assertEqual(list(bulkhead.step_outputs("before")), [("a", 1), ("c", "\u2693")])
        self.assertEqual([call.args[1] for call in read.call_args_list], [None, 2, 5])

    def test_the_state_of_the_task_goes_through(self):
        with mock.patch.object(status, "progress") as progress, mock.patch.object(status, "message") as message:
            bulkhead.progress(1)
            bulkhead.progress(1, 2)
            bulkhead.message("at \udcff work")
        self.assertEqual([call.args for call in progress.call_args_list], [(1, None), (1, 2)])
        message.assert_called_once_with("at ? work")
        with mock.patch.object(status, "cancelled", return_value=True):
            self.assertTrue(bulkhead.cancelled())


if __name__ == "__main__":
    unittest.main()
