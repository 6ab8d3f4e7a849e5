/**
 * Bulkhead plugins in JavaScript and TypeScript, on QuickJS and on StarlingMonkey.
 *
 *     import * as bulkhead from './bulkhead.js';
 *
 *     export const { describe, plan, run } = bulkhead.plugin({
 *       name: 'greet', version: '1.0.0', summary: 'Greets.', schema: { type: 'object' },
 *       plan(step) { bulkhead.spawn(step.config.names.map((name) => ({ key: name, input: { name } }))); },
 *       run(step, task) { console.info('greeting', { who: task.input.name }); return `Hello, ${task.input.name}!`; },
 *     });
 *
 * `console` writes the plugin's log: an object as the last argument holds the line's fields. A `Failure` that is thrown is the
 * task's own failure; anything else that is thrown ends the task with the cause `panic`, its message and its place.
 *
 * bulkhead.d.ts has the types, and what each function promises.
 */
import * as hostArtifacts from 'bulkhead:plugin/artifacts@0.1.0';
import * as hostCheckpoint from 'bulkhead:plugin/checkpoint@0.1.0';
import * as hostLog from 'bulkhead:plugin/log@0.1.0';
import * as hostOutputs from 'bulkhead:plugin/outputs@0.1.0';
import * as hostStatus from 'bulkhead:plugin/status@0.1.0';
import * as hostTasks from 'bulkhead:plugin/tasks@0.1.0';

/** The tasks that one call of the host may create. */
const SPAWN_AT_ONCE = 10_000;
/** The bytes that one call of the host may carry of a file. */
const PIECE = 1 << 20;

export class Failure extends Error {
  /**
   * @param {string} message
   * @param {{ retryable?: boolean }} options
   */
  constructor(message, { retryable = false } = {}) {
    super(message);
    this.name = 'Failure';
    this.retryable = retryable;
  }
}

export class HostError extends Failure {
  /**
   * @param {string} call
   * @param {{ tag: string, val?: unknown }} refusal
   */
  constructor(call, { tag, val }) {
    super(val === undefined || val === null ? `${call}: ${tag}` : `${call}: ${tag}: ${val}`, {
      retryable: tag === 'unavailable',
    });
    this.name = 'HostError';
    this.kind = tag;
  }
}

/** @type {typeof import('./bulkhead.js').plugin} */
export function plugin({ name, version, summary, schema, plan, run }) {
  return {
    describe: () => ({ name, version, summary, configSchema: JSON.stringify(schema) }),
    plan: (step) => answer(() => void plan(parsed(step))),
    run: (step, task) => answer(() => json(run(parsed(step), { ...task, input: JSON.parse(task.input) }))),
  };
}

/** @type {typeof import('./bulkhead.js').spawn} */
export function spawn(specs) {
  let created = 0;
  for (let at = 0; at < specs.length; at += SPAWN_AT_ONCE) {
    const some = specs.slice(at, at + SPAWN_AT_ONCE).map(({ key, input }) => ({ key, input: json(input) }));
    created += call('spawn', () => hostTasks.spawn(some)).created;
  }
  return created;
}

/** @type {typeof import('./bulkhead.js').progress} */
export function progress(done, total) {
  hostStatus.progress(wide(done), total === undefined ? undefined : wide(total));
}

/** @type {typeof import('./bulkhead.js').message} */
export function message(text) {
  hostStatus.message(wellFormed(text));
}

/** @type {typeof import('./bulkhead.js').cancelled} */
export function cancelled() {
  return hostStatus.cancelled();
}

/** @type {typeof import('./bulkhead.js').saveCheckpoint} */
export function saveCheckpoint(value) {
  call('checkpoint', () => hostCheckpoint.save(bytesOf(json(value))));
}

/** @type {typeof import('./bulkhead.js').loadCheckpoint} */
export function loadCheckpoint() {
  const data = call('checkpoint', () => hostCheckpoint.load());
  return data === undefined || data === null ? undefined : JSON.parse(textOf(data));
}

/** @implements {InstanceType<typeof import('./bulkhead.js').File>} */
export class File {
  /** @type {import('bulkhead:plugin/artifacts@0.1.0').Source} */
  #source;

  /**
   * @param {string} name
   * @param {string} [step]
   */
  constructor(name, step) {
    this.name = name;
    this.#source = step === undefined ? { tag: 'file' } : { tag: 'step', val: step };
    this.size = Number(call('artifacts', () => hostArtifacts.find(this.#source, name)).size);
  }

  /**
   * @param {number} offset
   * @param {number} size
   */
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

/** @type {typeof import('./bulkhead.js').writeArtifact} */
export function writeArtifact(name, data) {
  for (let at = 0; at < data.length; at += PIECE) {
    call('artifacts', () => hostArtifacts.write(name, data.subarray(at, at + PIECE)));
  }
}

/** @type {typeof import('./bulkhead.js').stepOutputs} */
export function* stepOutputs(step) {
  /** @type {number | undefined} */
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

/** @type {typeof import('./bulkhead.js').bytesOf} */
export function bytesOf(text) {
  if (globalThis.TextEncoder) return new globalThis.TextEncoder().encode(text);
  const escaped = encodeURIComponent(wellFormed(text)).replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Uint8Array.from(escaped, (char) => char.charCodeAt(0));
}

/** @type {typeof import('./bulkhead.js').textOf} */
export function textOf(bytes) {
  // A mark at the start is a character as any other.
  if (globalThis.TextDecoder) return new globalThis.TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    let plain = at;
    while (plain < bytes.length && bytes[plain] < 0x80 && plain - at < 4096) plain += 1;
    if (plain > at) {
      text += String.fromCharCode(...bytes.subarray(at, plain));
      at = plain;
      continue;
    }
    const first = bytes[at++];
    // How many bytes follow, and what the first of them may be: neither overlong forms nor surrogates.
    const rest = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 0;
    let [least, most] = [
      first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80,
      first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf,
    ];
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

/** Halves of characters become U+FFFD: the host takes UTF-8, which has none. @param {string} text */
const wellFormed = (text) => text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');

/** What JSON has no form for is `null`. @param {unknown} value */
const json = (value) => JSON.stringify(value) ?? 'null';

/** A 64-bit number as this engine takes it: StarlingMonkey wants a BigInt, QuickJS a number. @type {(number: number) => number | bigint} */
const wide = globalThis.wit ? Math.floor : (number) => BigInt(Math.floor(number));

/** @param {import('./bulkhead.js').HostStep} step */
function parsed({ run, step, attempt, config, parameters }) {
  return { run, name: step, attempt, config: JSON.parse(config), parameters: JSON.parse(parameters) };
}

/**
 * Calls the host; what it refuses is thrown.
 * @template Result
 * @param {string} name
 * @param {() => Result} work
 */
function call(name, work) {
  try {
    return work();
  } catch (/** @type {any} */ error) {
    const refused = error?.payload ?? error;
    throw refused?.tag ? new HostError(name, refused) : error;
  }
}

/**
 * Answers the host; what is thrown is told in its way.
 * @template Result
 * @param {() => Result} work
 */
function answer(work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof Failure) throw { message: wellFormed(error.message), retryable: error.retryable };
    // The way of the contract to say so, in one line.
    const message = `panicked at ${placeOf(error)}: ${shown(error)}`;
    throw { message: wellFormed(message).replace(/\s*\n\s*/g, ' '), retryable: true };
  }
}

/** Where an error was made: the first place of its stack. @param {any} error */
function placeOf(error) {
  const [, place] = /([\w./-]+\.[cm]?[jt]s:\d+(?::\d+)?)/.exec(error?.stack ?? '') ?? [];
  return place ?? 'an unknown place';
}

/** A value in a few words, whatever it is. @param {unknown} value */
function shown(value) {
  if (typeof value === 'string') return value;
  try {
    const plain = typeof value === 'object' && value !== null && !(value instanceof Error);
    return (plain && JSON.stringify(value)) || String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** A line's fields as JSON: what that has no form for is told as text. @param {object} fields */
function fieldsOf(fields) {
  /** @type {(name: string, value: unknown) => unknown} */
  const told = (_, value) => {
    const odd = typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value)) || value instanceof Error;
    return odd ? String(value) : typeof value === 'string' ? wellFormed(value) : value;
  };
  try {
    return JSON.stringify(fields, told);
  } catch {
    // A ring, or something that can't be read.
    return JSON.stringify(Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, wellFormed(shown(value))])));
  }
}

/** @param {unknown} value @returns {value is object} */
const holdsFields = (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error);

/** @param {'debug' | 'info' | 'warn' | 'error'} level */
const write =
  (level) =>
  /** @param {unknown[]} values */
  (...values) => {
    const last = values.at(-1);
    const fields = values.length > 1 && holdsFields(last) ? fieldsOf(last) : '';
    const text = (fields === '' ? values : values.slice(0, -1)).map((value) =>
      value instanceof Error ? `${value}\n${value.stack ?? ''}`.trimEnd() : shown(value),
    );
    hostLog.write(level, wellFormed(text.join(' ')), fields);
  };

globalThis.console = {
  ...globalThis.console,
  debug: write('debug'),
  log: write('info'),
  info: write('info'),
  warn: write('warn'),
  error: write('error'),
};
