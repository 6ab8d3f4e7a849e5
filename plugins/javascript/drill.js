/** What can go wrong, on purpose: how Bulkhead tells each of them apart is the same in every language. */
import { cancelled, Failure } from './bulkhead.js';

export const MODES = ['none', 'panic', 'error', 'memory', 'loop', 'recursion', 'sleep', 'cancel', 'retry'];

/**
 * Goes wrong as a mode says. `none` and `retry` do nothing here.
 * @param {string} mode
 */
export function drill(mode) {
  switch (mode) {
    case 'panic':
      throw new TypeError('the drill: the boiler burst');
    case 'error':
      throw new Failure('the drill: there is no pump');
    case 'memory': {
      const kept = [];
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

/**
 * Calls itself without end.
 * @param {number} level
 * @returns {number}
 */
function deeper(level) {
  return deeper(level + 1) + 1;
}

/**
 * Waits by looking at the clock: exports are synchronous, and neither engine can block for a while.
 * @param {number} milliseconds
 */
function sleep(milliseconds) {
  const end = Date.now() + milliseconds;
  while (Date.now() < end);
}
