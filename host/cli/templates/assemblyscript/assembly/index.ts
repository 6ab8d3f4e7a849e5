/** Greets everybody in a list, a task each. */
import { Description, Level, log, member, Plugin, quote, register, Result, spawn, Step, Task, textOf } from "./bulkhead";

export { cabi_realloc, describe, plan, run } from "./bulkhead";

const SCHEMA = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["names"],
  "properties": {
    "names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Who is greeted."},
    "greeting": {"type": "string", "default": "Hello", "description": "What stands in front of each name."}
  }
}`;

class Greet extends Plugin {
  describe(): Description {
    return new Description("{{name}}", "0.1.0", "Greets everybody in a list", SCHEMA);
  }

  plan(step: Step): Result {
    const keys = new Array<string>();
    const inputs = new Array<string>();
    // The list of names as it is written: no name of this example holds a quote.
    const parts = member(step.config, "names").split('"');
    for (let at = 1; at < parts.length; at += 2) {
      keys.push(parts[at]);
      inputs.push(`{"name":${quote(parts[at])}}`);
    }
    const refusal = spawn(keys, inputs);
    return refusal !== null ? refusal.failure() : Result.ok("");
  }

  run(step: Step, task: Task): Result {
    const name = textOf(member(task.input, "name"), "");
    if (name.length == 0) return Result.fail("nobody is there to be greeted");
    log(Level.Info, "greeting", `{"who":${quote(name)}}`);
    const text = `${textOf(member(step.config, "greeting"), "Hello")}, ${name}!`;
    return Result.ok(`{"text":${quote(text)}}`);
  }
}

register(new Greet());
