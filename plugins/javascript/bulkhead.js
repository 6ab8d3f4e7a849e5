/**
 * Bulkhead plugins in JavaScript and TypeScript, on QuickJS and on StarlingMonkey.
 *
 *     import * as bulkhead from './bulkhead.js';
 *
 *     export const { describe, plan, run } = bulkhead.plugin({
 *       name: 'greet', version: '1.0.0', summary: 'Greets.', schema: { type: 'object' },
 *       plan(step) { bulkhead.spawn(step.config.names.map((name) => ({ key: name, input: { name } }))); },
 *       run(step, task) { console.info('greeting', { name: task.input.name }); return `Hello, ${task.input.name}!`; },
 *     });
 *
 * `console` writes the plugin's log: an object as the last argument holds the line's fields. A `Failure` that is thrown is the
 * task's own failure; anything else that is thrown ends the task with the cause `panic`, its message and its place.
 */
import * as hostArtifacts from 'bulkhead:plugin/artifacts@0.1.0';
import * as hostCheckpoint from 'bulkhead:plugin/checkpoint@0.1.0';
import * as hostLog from 'bulkhead:plugin/log@0.1.0';
import * as hostOutputs from 'bulkhead:plugin/outputs@0.1.0';
import * as hostStatus from 'bulkhead:plugin/status@0.1.0';
import * as hostTasks from 'bulkhead:plugin/tasks@0.1.0';

/** The tasks that one call of the host may create, and the bytes that it may carry of a file. */
const SPAWN_AT_ONCE = 10_000;
const PIECE = 1 << 20;

/** The plugin can't do what it was asked to. Another attempt follows only where that is `retryable`. */
export class Failure extends Error {
  constructor(message, { retryable = false } = {}) {
    super(message);
    this.name = 'Failure';
    this.retryable = retryable;
  }
}

/** The host refused; `kind` says why, as `not-found` or `cancelled`. Uncaught, it is the task's failure. */
export class HostError extends Failure {
  constructor(call, { tag, val }) {
    super(val === undefined || val === null ? `${call}: ${tag}` : `${call}: ${tag}: ${val}`, { retryable: tag === 'unavailable' });
    this.name = 'HostError';
    this.kind = tag;
  }
}

/** What the host calls of a plugin: export all three. */
export function plugin({ name, version, summary, schema, plan, run }) {
  return {
    describe: () => ({ name, version, summary, configSchema: JSON.stringify(schema) }),
    plan: (step) => answer(() => void plan(parsed(step))),
    run: (step, task) => answer(() => JSON.stringify(run(parsed(step), { ...task, input: JSON.parse(task.input) }) ?? null)),
  };
}

/** Creates tasks in this step: `{ key, input }` each, with a key that is unique in it. Says how many are new. */
export function spawn(specs) {
  let created = 0;
  for (let at = 0; at < specs.length; at += SPAWN_AT_ONCE) {
    const some = specs.slice(at, at + SPAWN_AT_ONCE).map(({ key, input }) => ({ key, input: JSON.stringify(input) }));
    created += call('spawn', () => hostTasks.spawn(some)).created;
  }
  return created;
}

/** Says how far the task is. */
export function progress(done, total) {
  hostStatus.progress(wide(done), total === undefined ? undefined : wide(total));
}

/** Says in a few words what the task is doing now. */
export function message(text) {
  hostStatus.message(text);
}

/** Whether the task is to end. */
export function cancelled() {
  return hostStatus.cancelled();
}

/** Keeps a value, of what JSON can hold, for the task's next attempt. It is durable then. */
export function saveCheckpoint(value) {
  call('checkpoint', () => hostCheckpoint.save(bytesOf(JSON.stringify(value))));
}

/** What was kept last, by this attempt or an earlier one; `undefined` if nothing was. */
export function loadCheckpoint() {
  const data = call('checkpoint', () => hostCheckpoint.load());
  return data === undefined || data === null ? undefined : JSON.parse(textOf(data));
}

/** A file that the run was started with; with `step`, an artifact of a step that this one depends on. */
export class File {
  #source;

  constructor(name, step) {
    this.name = name;
    this.#source = step === undefined ? { tag: 'file' } : { tag: 'step', val: step };
    this.size = Number(call('artifacts', () => hostArtifacts.find(this.#source, name)).size);
  }

  /** So many bytes from an offset on; fewer only at the end. */
  read(offset, size) {
    const pieces = [];
    let got = 0;
    while (got < size) {
      const most = Math.min(size - got, PIECE);
      const piece = call('artifacts', () => hostArtifacts.read(this.#source, this.name, wide(offset + got), most));
      if (piece.length === 0) break;
      pieces.push(piece);
      got += piece.length;
    }
    if (pieces.length === 1) return pieces[0];
    const data = new Uint8Array(got);
    let at = 0;
    for (const piece of pieces) {
      data.set(piece, at);
      at += piece.length;
    }
    return data;
  }
}

/** Appends to an artifact of this task. It is published when the task succeeds. */
export function writeArtifact(name, data) {
  for (let at = 0; at < data.length; at += PIECE) {
    call('artifacts', () => hostArtifacts.write(name, data.subarray(at, at + PIECE)));
  }
}

/** Key and output of each task of an earlier step that succeeded. */
export function* stepOutputs(step) {
  let after;
  for (;;) {
    const page = call('outputs', () => hostOutputs.read(step, after, 1_000));
    if (page.length === 0) return;
    for (const { key, outcome } of page) {
      if (outcome.tag === 'succeeded') yield { key, output: JSON.parse(outcome.val) };
    }
    after = page[page.length - 1].task;
  }
}

/** The bytes of a text in UTF-8. */
export function bytesOf(text) {
  if (globalThis.TextEncoder) return new TextEncoder().encode(text);
  const escaped = encodeURIComponent(text).replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Uint8Array.from(escaped, (char) => char.charCodeAt(0));
}

/** The text of bytes in UTF-8; what is none becomes U+FFFD. QuickJS has no TextDecoder. */
export function textOf(bytes) {
  if (globalThis.TextDecoder) return new TextDecoder().decode(bytes);
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    let plain = at;
    while (plain < bytes.length && bytes[plain] < 0x80 && plain - at < 4096) plain += 1;
    if (plain > at) {
      text += String.fromCharCode.apply(null, bytes.subarray(at, plain));
      at = plain;
      continue;
    }
    const first = bytes[at++];
    // How many bytes follow, and what the first of them may be: neither overlong forms nor surrogates.
    const rest = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 0;
    let [least, most] = [first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80, first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf];
    let code = first & (0x3f >> rest);
    let left = rest;
    while (left > 0 && bytes[at] >= least && bytes[at] <= most) {
      code = (code << 6) | (bytes[at++] & 0x3f);
      [least, most] = [0x80, 0xbf];
      left -= 1;
    }
    text += rest > 0 && left === 0 ? String.fromCodePoint(code) : '\ufffd';
  }
  return text;
}

/** A 64-bit number as this engine takes it: StarlingMonkey wants a BigInt, QuickJS a number. */
const wide = globalThis.wit ? Number : BigInt;

function parsed({ run, step, attempt, config, parameters }) {
  return { run, name: step, attempt, config: JSON.parse(config), parameters: JSON.parse(parameters) };
}

function call(name, work) {
  try {
    return work();
  } catch (error) {
    const refused = error?.payload ?? error;
    throw refused?.tag ? new HostError(name, refused) : error;
  }
}

function answer(work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof Failure) throw { message: error.message, retryable: error.retryable };
    // The way of the contract to say so.
    throw { message: `panicked at ${placeOf(error)}: ${error}`, retryable: true };
  }
}

/** Where an error was made: the first place of its stack. */
function placeOf(error) {
  const [, place] = /([\w./-]+\.[jt]s:\d+(?::\d+)?)/.exec(error?.stack ?? '') ?? [];
  return place ?? 'an unknown place';
}

const write = (level) => (...values) => {
  const last = values[values.length - 1];
  const fields = values.length > 1 && typeof last === 'object' && last !== null && !(last instanceof Error) ? values.pop() : undefined;
  const text = values.map((value) => (typeof value === 'string' ? value : value instanceof Error ? `${value}\n${value.stack}` : JSON.stringify(value)));
  hostLog.write(level, text.join(' '), fields === undefined ? '' : JSON.stringify(fields));
};

globalThis.console = {
  ...globalThis.console,
  debug: write('debug'),
  log: write('info'),
  info: write('info'),
  warn: write('warn'),
  error: write('error'),
};
