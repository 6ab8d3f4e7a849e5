/** What Bulkhead offers a plugin, as the engines bind it: 64-bit numbers are BigInts on StarlingMonkey and numbers on QuickJS. */

/** QuickJS has this. */
declare var wit: unknown;
/** StarlingMonkey has these. */
declare var TextEncoder: (new () => { encode(text: string): Uint8Array }) | undefined;
declare var TextDecoder:
  | (new (
      label: string,
      options: { ignoreBOM: boolean },
    ) => { decode(bytes: Uint8Array): string })
  | undefined;

declare module 'bulkhead:plugin/log@0.1.0' {
  export function write(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: string): void;
}

declare module 'bulkhead:plugin/status@0.1.0' {
  export function progress(done: number | bigint, total: number | bigint | undefined): void;
  export function message(text: string): void;
  export function cancelled(): boolean;
}

declare module 'bulkhead:plugin/tasks@0.1.0' {
  export function spawn(specs: { key: string; input: string }[]): { created: number; existing: number };
}

declare module 'bulkhead:plugin/checkpoint@0.1.0' {
  export function save(data: Uint8Array): void;
  export function load(): Uint8Array | null | undefined;
}

declare module 'bulkhead:plugin/artifacts@0.1.0' {
  export type Source = { tag: 'file' } | { tag: 'step'; val: string };
  export function find(source: Source, name: string): { size: number | bigint };
  export function read(source: Source, name: string, offset: number | bigint, most: number): Uint8Array;
  export function write(name: string, data: Uint8Array): void;
}

declare module 'bulkhead:plugin/outputs@0.1.0' {
  export type Outcome = { tag: 'succeeded'; val: string } | { tag: 'failed'; val: unknown } | { tag: 'cancelled' };
  export function read(step: string, after: number | undefined, most: number): { task: number; key: string; outcome: Outcome }[];
}
