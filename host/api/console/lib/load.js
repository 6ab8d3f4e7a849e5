// Reading something once for as long as its address is the same.

import { status } from '../live/live.js';
import { Problem } from './api.js';
import { useCallback, useEffect, useRef, useState } from './view.js';

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
