/** Counts the words of a file that the run was started with, a piece a task. */
import {
  cancelled,
  Description,
  File,
  Level,
  loadCheckpoint,
  log,
  member,
  numberOf,
  Plugin,
  progress,
  Result,
  register,
  Step,
  saveCheckpoint,
  spawn,
  Task,
  textOf,
} from './bulkhead';
import { drill } from './drill';
import { Counts, firstWord, wholeWords } from './words';

export { cabi_realloc, describe, plan, run } from './bulkhead';

/** What is read at once, in bytes; a longer word is cut there. */
const BLOCK: u32 = 256 << 10;

const SCHEMA = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "file": {"type": "string", "default": "text", "description": "The run's file whose words are counted."},
    "pieces": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 4, "description": "The tasks that share it."},
    "top": {"type": "integer", "minimum": 0, "maximum": 100, "default": 10, "description": "The words that are listed."},
    "drill": {
      "enum": ["none", "panic", "error", "memory", "loop", "recursion", "sleep", "cancel", "retry"], "default": "none",
      "description": "What each task does wrong, to see what comes of it."
    }
  }
}`;

class Words extends Plugin {
  describe(): Description {
    const summary = 'Counts the words of a file, a piece a task; written in AssemblyScript.';
    return new Description('assemblyscript', '0.1.0', summary, SCHEMA);
  }

  plan(step: Step): Result {
    const file = new File(textOf(member(step.config, 'file'), 'text'));
    if (file.refusal !== null) return missing(file);
    const pieces = min(numberOf(member(step.config, 'pieces'), 4), file.size);
    const keys: string[] = [];
    const inputs: string[] = [];
    for (let number: u64 = 0; number < pieces; number++) {
      keys.push(`piece-${number + 1}`);
      inputs.push(`{"from":${(file.size * number) / pieces},"to":${(file.size * (number + 1)) / pieces}}`);
    }
    const refusal = spawn(keys, inputs);
    if (refusal !== null) return refusal.failure();
    log(Level.Info, 'planned', `{"pieces":${pieces},"bytes":${file.size}}`);
    return Result.ok('');
  }

  run(step: Step, task: Task): Result {
    const mode = textOf(member(step.config, 'drill'), 'none');
    const from = numberOf(member(task.input, 'from'), 0);
    const to = numberOf(member(task.input, 'to'), 0);
    progress(0, to - from);
    const wrong = drill(mode);
    if (wrong !== null) return wrong;
    const file = new File(textOf(member(step.config, 'file'), 'text'));
    if (file.refusal !== null) return missing(file);
    let at = from;
    let counts = new Counts();
    const kept = loadCheckpoint();
    if (kept !== null) {
      // The place in the file, then the counts.
      const lines = kept.split('\n');
      at = U64.parseInt(lines.shift());
      counts = Counts.parse(lines);
      log(Level.Info, 'going on from a checkpoint', `{"at":${at}}`);
    } else if (from > 0) {
      at = from - 1 + firstWord(file.read(from - 1, BLOCK));
      if (file.refusal !== null) return file.refusal!.failure();
    }
    while (at < to) {
      if (cancelled()) return Result.fail(`cancelled at byte ${at}`);
      const block = file.read(at, BLOCK);
      if (file.refusal !== null) return file.refusal!.failure();
      let whole = wholeWords(block, to - at, at + block.length == file.size);
      if (whole == 0) {
        log(Level.Warn, 'a word is longer than a block', `{"at":${at},"block":${BLOCK}}`);
        whole = block.length;
      }
      block.length = whole;
      counts.addBlock(block);
      at += whole;
      progress(min(at, to) - from, to - from);
      const refusal = saveCheckpoint(`${at}\n${counts}`);
      if (refusal !== null) return refusal.failure();
      log(Level.Debug, 'block counted', `{"at":${at},"words":${counts.total}}`);
      if (mode == 'retry' && step.attempt == 1) return Result.fail('the drill: the first attempt fails', true);
    }
    const replaced = counts.replaced();
    if (replaced > 0) log(Level.Warn, 'not all of it is UTF-8', `{"replaced":${replaced}}`);
    log(Level.Info, 'counted', `{"words":${counts.total},"distinct":${counts.distinct}}`);
    const top = counts.top(<i32>numberOf(member(step.config, 'top'), 10));
    return Result.ok(`{"bytes":${to - from},"words":${counts.total},"distinct":${counts.distinct},"top":${top}}`);
  }
}

function missing(file: File): Result {
  const refusal = file.refusal!;
  if (refusal.kind != 'not-found') return refusal.failure();
  return Result.fail(`the run has no file \`${file.name}\`: start it with --file ${file.name}=PATH`);
}

register(new Words());
