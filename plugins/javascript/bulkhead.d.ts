/** What of JSON can be: a step's configuration, a task's input and output, a checkpoint. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The step that a call works for. */
export interface Step<Config> {
  run: string;
  name: string;
  /** Counts the tries at this task, from 1. */
  attempt: number;
  config: Config;
  parameters: { [name: string]: Json };
}

/** One task. */
export interface Task<Input> {
  id: string;
  key: string;
  input: Input;
}

/** What a plugin is. */
export interface Plugin<Config, Input, Output> {
  name: string;
  version: string;
  summary: string;
  /** The JSON Schema of a step's configuration. */
  schema: object;
  /** Expands a step into its tasks by spawning them. */
  plan(step: Step<Config>): void;
  /** Does one task. Its result becomes JSON. */
  run(step: Step<Config>, task: Task<Input>): Output;
}

/** A step as the host hands it over. */
export interface HostStep {
  run: string;
  step: string;
  attempt: number;
  config: string;
  parameters: string;
}

/** A task as the host hands it over. */
export interface HostTask {
  id: string;
  key: string;
  input: string;
}

/** What the host calls of a plugin: export all three. */
export function plugin<Config, Input, Output>(
  plugin: Plugin<Config, Input, Output>,
): {
  describe: () => { name: string; version: string; summary: string; configSchema: string };
  plan: (step: HostStep) => void;
  run: (step: HostStep, task: HostTask) => string;
};

/** The plugin can't do what it was asked to. Another attempt follows only where that is `retryable`. */
export class Failure extends Error {
  constructor(message: string, options?: { retryable?: boolean });
  readonly retryable: boolean;
}

/** The host refused; `kind` says why, as `not-found` or `cancelled`. Uncaught, it is the task's failure. */
export class HostError extends Failure {
  readonly kind: string;
}

/** Creates tasks in this step, each with a key that is unique in it. Says how many are new; they are durable then. */
export function spawn<Input>(specs: { key: string; input: Input }[]): number;
/** Says how far the task is. */
export function progress(done: number, total?: number): void;
/** Says in a few words what the task is doing now. */
export function message(text: string): void;
/** Whether the task is to end. */
export function cancelled(): boolean;
/** Keeps a value, of what JSON can hold, for the task's next attempt. It is durable then. */
export function saveCheckpoint(value: unknown): void;
/** What was kept last, by this attempt or an earlier one. */
export function loadCheckpoint<Value>(): Value | undefined;

/** A file that the run was started with; with `step`, an artifact of a step that this one depends on. */
export class File {
  constructor(name: string, step?: string);
  readonly name: string;
  /** Its size in bytes. */
  readonly size: number;
  /** So many bytes from an offset on; fewer only at the end. */
  read(offset: number, size: number): Uint8Array;
}

/** Appends to an artifact of this task. It is published when the task succeeds. */
export function writeArtifact(name: string, data: Uint8Array): void;
/** Key and output of each task of an earlier step that succeeded. */
export function stepOutputs<Output>(step: string): Generator<{ key: string; output: Output }>;
/** The bytes of a text in UTF-8. */
export function bytesOf(text: string): Uint8Array;
/** The text of bytes in UTF-8; what is none becomes U+FFFD. Some engines have no TextDecoder. */
export function textOf(bytes: Uint8Array): string;
