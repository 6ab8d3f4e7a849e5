/** Greets everybody in a list, a task each. */
import { Description, items, Level, log, member, Plugin, quote, Result, register, Step, spawn, Task, textOf } from './bulkhead';

export { cabi_realloc, describe, plan, run } from './bulkhead';

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
    return new Description('{{name}}', '0.1.0', 'Greets everybody in a list', SCHEMA);
  }

  plan(step: Step): Result {
    const keys: string[] = [];
    const inputs: string[] = [];
    const names = items(member(step.config, 'names'));
    for (let at = 0; at < names.length; at++) {
      keys.push(textOf(names[at], ''));
      inputs.push(`{"name":${names[at]}}`);
    }
    const refusal = spawn(keys, inputs);
    return refusal !== null ? refusal.failure() : Result.ok('');
  }

  run(step: Step, task: Task): Result {
    const name = textOf(member(task.input, 'name'), '');
    if (name.length == 0) return Result.fail('nobody is there to be greeted');
    log(Level.Info, 'greeting', `{"who":${quote(name)}}`);
    const text = `${textOf(member(step.config, 'greeting'), 'Hello')}, ${name}!`;
    return Result.ok(`{"text":${quote(text)}}`);
  }
}

register(new Greet());
