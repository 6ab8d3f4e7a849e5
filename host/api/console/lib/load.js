// Reading something once for as long as its address is the same.

import { status, useLive } from '../live/live.js';
import { Problem } from './api.js';
import { useCallback, useEffect, useRef, useState } from './view.js';

/** What is shown is read anew no more often than this, in milliseconds. */
const AGAIN = 1_000;

/**
 * A function that does something soon, and once however often it is called until then.
 * @param {() => void} what
 * @param {number} [ms]
 */
export function useSoon(what, ms = AGAIN) {
  const latest = useRef(what);
  latest.current = what;
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(() => {
    timer.current ||= setTimeout(() => {
      timer.current = 0;
      latest.current();
    }, ms);
  }, []);
}

/**
 * Does something when a text changes, but not for the first one.
 * @param {string} told what the stream tells; nothing is asked for while it stays the same
 * @param {() => void} again
 * @param {number} [ms]
 */
export function useAgain(told, again, ms) {
  const soon = useSoon(again, ms);
  const last = useRef(told);
  useEffect(() => {
    if (last.current !== told) soon();
    last.current = told;
  }, [told]);
}

/**
 * Does something when runs changed.
 * @param {() => void} again
 * @param {(runs: import('./types.js').Run[]) => boolean} [matters] whether changed runs matter; some that are gone always do
 */
export function useRuns(again, matters = (runs) => runs.length > 0) {
  const soon = useSoon(again);
  useLive({ kind: 'runs' }, (data) => {
    if (data.stale || data.gone.length > 0 || matters(data.runs)) soon();
  });
}

/** Does something when a hook was changed, or something became of a delivery. @param {() => void} again */
export function useHooks(again) {
  const soon = useSoon(again);
  useLive({ kind: 'hooks' }, soon);
}

/**
 * @template T
 * @param {string} key what is read again when it changes
 * @param {(signal: AbortSignal) => Promise<T>} read
 * @returns {{value: T|null, error: Problem|null, reload: () => void, set: (value: T) => void}}
 */
export function useLoad(key, read) {
  const [state, setState] = useState({ key: '', value: /** @type {T|null} */ (null), error: /** @type {Problem|null} */ (null) });
  const [turn, setTurn] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  // `turn` asks for another reading.
  useEffect(() => {
    const stop = new AbortController();
    latest.current(stop.signal).then(
      (value) => !stop.signal.aborted && setState({ key, value, error: null }),
      (error) => {
        if (stop.signal.aborted) return;
        const problem = error instanceof Problem ? error : new Problem(0, { title: 'Error', detail: String(error) });
        setState((before) => ({ key, value: before.key === key ? before.value : null, error: problem }));
      },
    );
    return () => stop.abort();
  }, [key, turn]);
  // What failed for want of a connection is read when there is one.
  const connected = status.value.state === 'open';
  useEffect(() => {
    if (connected && state.error?.status === 0) setTurn((before) => before + 1);
  }, [connected]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  const set = useCallback((/** @type {T} */ value) => setState({ key, value, error: null }), [key]);
  const same = state.key === key;
  return { value: same ? state.value : null, error: same ? state.error : null, reload, set };
}
