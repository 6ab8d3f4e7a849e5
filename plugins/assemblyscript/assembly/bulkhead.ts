/**
 * Bulkhead plugins in AssemblyScript: the contract by hand, as wit/0.1.0/abi.md lays it out.
 *
 * Derive from `Plugin`, export what this module exports for the host (see index.ts), and name `abort` to the compiler
 * (asconfig.json). AssemblyScript has no exceptions: what fails returns a `Result`, and `throw` ends the task with the cause `panic`, its
 * message and its place.
 */

import {
  fdWrite,
  hostCancelled,
  hostFind,
  hostLoad,
  hostLog,
  hostProgress,
  hostRead,
  hostSave,
  hostSpawn,
  pollOneoff,
} from './host';
import { Bytes, decode, encode } from './text';

export { Bytes, items, member, numberOf, quote, textOf } from './text';

/** What a plugin says of itself. */
export class Description {
  constructor(
    public name: string,
    public version: string,
    public summary: string,
    public schema: string,
  ) {}
}

/** The step that a call works for. `config` and `parameters` are JSON objects. */
export class Step {
  constructor(
    public run: string,
    public name: string,
    public attempt: u32,
    public config: string,
    public parameters: string,
  ) {}
}

/** One task; `input` is JSON. */
export class Task {
  constructor(
    public id: string,
    public key: string,
    public input: string,
  ) {}
}

/** An output, as JSON, or a failure. */
export class Result {
  private constructor(
    public text: string,
    public failed: bool,
    public retryable: bool,
  ) {}

  static ok(json: string): Result {
    return new Result(json, false, false);
  }

  /** A failure. Another attempt follows only where it is `retryable`. */
  static fail(message: string, retryable: bool = false): Result {
    return new Result(message, true, retryable);
  }
}

/** What a plugin is. */
export abstract class Plugin {
  abstract describe(): Description;
  abstract plan(step: Step): Result;
  abstract run(step: Step, task: Task): Result;
}

// ---- the log and the task's state

export enum Level {
  Debug,
  Info,
  Warn,
  Error,
}

/** Writes a line; `fields` is a JSON object. */
export function log(level: Level, message: string, fields: string = ''): void {
  const text = encode(message);
  const json = encode(fields);
  hostLog(level, changetype<usize>(text), text.byteLength, changetype<usize>(json), json.byteLength);
}

/** Says how far the task is. */
export function progress(done: u64, total: u64): void {
  hostProgress(done, 1, total);
}

/** Whether the task is to end. */
export function cancelled(): bool {
  return hostCancelled() != 0;
}

/** Waits for so many milliseconds. */
export function sleep(milliseconds: u64): void {
  // A subscription to the monotonic clock.
  const subscription = memory.data(48, 8);
  memory.fill(subscription, 0, 48);
  store<u32>(subscription, 1, 16);
  store<u64>(subscription, milliseconds * 1_000_000, 24);
  pollOneoff(subscription, memory.data(32, 8), 1, memory.data(4));
}

// ---- what the host refuses

/** Why the host refused a call; `kind` is the contract's name for it, as `not-found`. */
export class Refusal {
  constructor(
    public call: string,
    public kind: string,
    public detail: string,
  ) {}

  /** The failure that it means for the task. */
  failure(): Result {
    const text = `${this.call}: ${this.kind}`;
    return Result.fail(this.detail.length > 0 ? `${text}: ${this.detail}` : text, this.kind == 'unavailable');
  }
}

const SPAWN: StaticArray<string> = ['quota', 'invalid', 'cancelled', 'unavailable'];
const CHECKPOINT: StaticArray<string> = ['too-large', 'cancelled', 'unavailable'];
const ARTIFACTS: StaticArray<string> = ['not-found', 'not-a-dependency', 'invalid', 'too-large', 'cancelled', 'unavailable'];

/** What a function of the host returned, of up to 40 bytes. */
const ANSWER: usize = memory.data(40, 8);

function refused(call: string, at: usize, kinds: StaticArray<string>): Refusal | null {
  if (load<u8>(ANSWER) == 0) return null;
  const kind = kinds[load<u8>(ANSWER + at)];
  const payload = ANSWER + (at == 4 ? 8 : 16);
  const worded = kind != 'quota' && kind != 'too-large' && kind != 'cancelled';
  return new Refusal(call, kind, worded ? decode(load<u32>(payload), load<u32>(payload, 4)) : '');
}

// ---- tasks, checkpoints, files

/** Creates tasks in this step, each with a key that is unique in it and an input, JSON. They are durable then. */
export function spawn(keys: string[], inputs: string[]): Refusal | null {
  const texts: ArrayBuffer[] = [];
  const specs = new StaticArray<u32>(4 * keys.length);
  for (let number = 0; number < keys.length; number++) {
    const key = encode(keys[number]);
    const input = encode(inputs[number]);
    texts.push(key);
    texts.push(input);
    specs[4 * number] = <u32>changetype<usize>(key);
    specs[4 * number + 1] = key.byteLength;
    specs[4 * number + 2] = <u32>changetype<usize>(input);
    specs[4 * number + 3] = input.byteLength;
  }
  hostSpawn(changetype<usize>(specs), keys.length, ANSWER);
  return refused('spawn', 4, SPAWN);
}

/** Keeps a text for the task's next attempt. It is durable then. */
export function saveCheckpoint(text: string): Refusal | null {
  const data = encode(text);
  hostSave(changetype<usize>(data), data.byteLength, ANSWER);
  return refused('checkpoint', 8, CHECKPOINT);
}

/** What was kept last, by this attempt or an earlier one; nothing where nothing was, or where it can't be read. */
export function loadCheckpoint(): string | null {
  hostLoad(ANSWER);
  if (load<u8>(ANSWER) != 0 || load<u8>(ANSWER, 8) == 0) return null;
  return decode(load<u32>(ANSWER, 12), load<u32>(ANSWER, 16));
}

/** A file that the run was started with. */
export class File {
  private encoded: ArrayBuffer;
  size: u64 = 0;
  refusal: Refusal | null = null;

  constructor(public name: string) {
    this.encoded = encode(name);
    hostFind(0, 0, 0, 0, changetype<usize>(this.encoded), this.encoded.byteLength, ANSWER);
    this.refusal = refused('artifacts', 8, ARTIFACTS);
    if (this.refusal === null) this.size = load<u64>(ANSWER, 24);
  }

  /** At most `most` bytes from an offset on, up to 1 MiB; fewer only at the end. The next read overwrites them. */
  read(offset: u64, most: u32): Bytes {
    hostRead(0, 0, 0, 0, changetype<usize>(this.encoded), this.encoded.byteLength, offset, most, ANSWER);
    this.refusal = refused('artifacts', 8, ARTIFACTS);
    return this.refusal === null ? new Bytes(load<u32>(ANSWER, 8), load<u32>(ANSWER, 12)) : new Bytes(0, 0);
  }
}

// ---- what the host calls

let plugin: Plugin | null = null;

/** Says what the host is to call. */
export function register(it: Plugin): void {
  plugin = it;
}

/** The place that large pieces go to again and again: a plugin that reads a file needs one. */
let piece: usize = 0;
let pieceLen: usize = 0;

/** Memory for what the host hands over. */
export function cabi_realloc(old: usize, _oldSize: usize, align: usize, size: usize): usize {
  if (old != 0) return heap.realloc(old, size);
  if (size < 4096 || align > 16) return heap.alloc(size);
  if (size > pieceLen) {
    piece = heap.alloc(size);
    pieceLen = size;
  }
  return piece;
}

const RETURNED: usize = memory.data(32, 4);
/** Keeps what was returned alive. */
const kept: ArrayBuffer[] = [];

function put(offset: usize, text: string): void {
  const encoded = encode(text);
  kept.push(encoded);
  store<u32>(RETURNED + offset, <u32>changetype<usize>(encoded));
  store<u32>(RETURNED + offset, encoded.byteLength, 4);
}

function answer(result: Result): usize {
  memory.fill(RETURNED, 0, 32);
  store<u8>(RETURNED, result.failed ? 1 : 0);
  put(4, result.text);
  store<u8>(RETURNED, result.retryable ? 1 : 0, 12);
  return RETURNED;
}

export function describe(): usize {
  const description = plugin!.describe();
  put(0, description.name);
  put(8, description.version);
  put(16, description.summary);
  put(24, description.schema);
  return RETURNED;
}

export function plan(
  run: usize,
  runLen: i32,
  step: usize,
  stepLen: i32,
  attempt: u32,
  config: usize,
  configLen: i32,
  parameters: usize,
  parametersLen: i32,
): usize {
  const context = new Step(
    decode(run, runLen),
    decode(step, stepLen),
    attempt,
    decode(config, configLen),
    decode(parameters, parametersLen),
  );
  return answer(plugin!.plan(context));
}

export function run(
  run: usize,
  runLen: i32,
  step: usize,
  stepLen: i32,
  attempt: u32,
  config: usize,
  configLen: i32,
  parameters: usize,
  parametersLen: i32,
  id: usize,
  idLen: i32,
  key: usize,
  keyLen: i32,
  input: usize,
  inputLen: i32,
): usize {
  const context = new Step(
    decode(run, runLen),
    decode(step, stepLen),
    attempt,
    decode(config, configLen),
    decode(parameters, parametersLen),
  );
  return answer(plugin!.run(context, new Task(decode(id, idLen), decode(key, keyLen), decode(input, inputLen))));
}

/** What `throw`, `assert` and failing checks of the language call. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const place = file === null ? 'an unknown place' : `${file}:${line}:${column}`;
  const text = encode(`panicked at ${place}: ${message === null ? 'abort' : message}\n`);
  const part = memory.data(8, 4);
  store<u32>(part, <u32>changetype<usize>(text));
  store<u32>(part, text.byteLength, 4);
  fdWrite(2, part, 1, memory.data(4, 4));
  unreachable();
}
