// The keyboard: one listener, and a stack of bindings of which the latest that knows a key has it.

import { useEffect, useRef } from './view.js';

/** @typedef {Record<string, (event: KeyboardEvent) => void>} Bindings */

/** @type {{current: Bindings}[]} */
const stack = [];
let prefix = '';
let prefixTimer = 0;

/** @param {EventTarget|null} target */
const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
  if (isTyping(event.target) && event.key !== 'Escape') return;
  const wanted = prefix ? `${prefix} ${event.key}` : event.key;
  clearTimeout(prefixTimer);
  prefix = '';
  for (const bindings of [...stack].reverse()) {
    const action = bindings.current[wanted];
    if (action) {
      event.preventDefault();
      action(event);
      return;
    }
  }
  const begins = stack.some((bindings) => Object.keys(bindings.current).some((key) => key.startsWith(`${event.key} `)));
  if (begins) {
    prefix = event.key;
    prefixTimer = setTimeout(() => {
      prefix = '';
    }, 900);
  }
});

/** Binds keys (`f`, `g g`, `Escape`) while the component is there. @param {Bindings} bindings */
export function useKeys(bindings) {
  const current = useRef(bindings);
  current.current = bindings;
  useEffect(() => {
    stack.push(current);
    return () => {
      stack.splice(stack.indexOf(current), 1);
    };
  }, []);
}
