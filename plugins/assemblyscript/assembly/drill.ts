/** What can go wrong, on purpose: how Bulkhead tells each of them apart is the same in every language. */
import { cancelled, Level, log, Result, sleep } from './bulkhead';

/** Goes wrong as a mode says; the failure that the task is to end with, if any. `none` and `retry` do nothing here. */
export function drill(mode: string): Result | null {
  if (mode == 'panic') throw new Error('the drill: the boiler burst');
  if (mode == 'error') return Result.fail('the drill: there is no pump');
  if (mode == 'memory') {
    const kept: ArrayBuffer[] = [];
    while (true) kept.push(new ArrayBuffer(1 << 20));
  }
  if (mode == 'loop') {
    while (true) spin += 1;
  }
  if (mode == 'recursion') deeper(0);
  if (mode == 'sleep') sleep(300);
  if (mode == 'cancel') {
    while (!cancelled()) sleep(10);
    log(Level.Warn, 'cancelled: ending in order');
    return Result.fail('it was cancelled');
  }
  return null;
}

let spin: u32 = 0;

/** Calls itself without end. */
function deeper(level: i32): i32 {
  spin += 1;
  return deeper(level + 1) + spin;
}
