"""Greets everybody in a list, a task each."""

import logging

import bulkhead
from bulkhead import Failure, Step, Task

log = logging.getLogger("greet")


class Greet:
    """The plugin."""

    name = "{{name}}"
    version = "0.1.0"
    summary = "Greets everybody in a list"
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["names"],
        "properties": {
            "names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Who is greeted."},
            "greeting": {"type": "string", "default": "Hello", "description": "What stands in front of each name."},
        },
    }

    def plan(self, step: Step) -> None:
        """Make a task of each name."""
        bulkhead.spawn((name, {"name": name}) for name in step.config["names"])

    def run(self, step: Step, task: Task) -> dict[str, str]:
        """Greet one."""
        name = task.input["name"]
        if not name:
            raise Failure("nobody is there to be greeted")
        log.info("greeting", extra={"who": name})
        return {"text": f"{step.config.get('greeting', 'Hello')}, {name}!"}


WitWorld = bulkhead.export(Greet())
