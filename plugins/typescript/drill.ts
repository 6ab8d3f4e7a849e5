/** What can go wrong, on purpose: how Bulkhead tells each of them apart is the same in every language. */
import { cancelled, Failure } from '../javascript/bulkhead.js';

export const MODES = ['none', 'panic', 'error', 'memory', 'loop', 'recursion', 'sleep', 'cancel', 'retry'] as const;
export type Mode = (typeof MODES)[number];

/** Goes wrong as a mode says. `none` and `retry` do nothing here. */
export function drill(mode: Mode): void {
  switch (mode) {
    case 'panic':
      throw new TypeError('the drill: the boiler burst');
    case 'error':
      throw new Failure('the drill: there is no pump');
    case 'memory': {
      const kept: Uint8Array[] = [];
      for (;;) kept.push(new Uint8Array(1 << 20).fill(1));
    }
    case 'loop':
      for (;;);
    case 'recursion':
      deeper(0);
      break;
    case 'sleep':
      sleep(300);
      break;
    case 'cancel':
      while (!cancelled()) sleep(10);
      console.warn('cancelled: ending in order');
      throw new Failure('it was cancelled');
  }
}

/** Calls itself without end. */
function deeper(level: number): number {
  return deeper(level + 1) + 1;
}

/** Waits by looking at the clock: exports are synchronous, and the engine can't block for a while. */
function sleep(milliseconds: number): void {
  const end = Date.now() + milliseconds;
  while (Date.now() < end);
}
