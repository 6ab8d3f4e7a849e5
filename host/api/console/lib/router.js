// Where we are: the address is the state, so every view can be linked to.

import { computed, signal } from './view.js';

const read = () => ({ path: location.pathname, search: location.search, hash: location.hash });

/** The address. */
export const here = signal(read());
/** The path alone. */
export const path = computed(() => here.value.path);
/** The query's parameters. */
export const params = computed(() => new URLSearchParams(here.value.search));

/**
 * @param {string} to
 * @param {{replace?: boolean}} [options]
 */
export function go(to, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  here.value = read();
}

/**
 * Changes parameters of the query; what is empty goes.
 * @param {Record<string, string|number|null|undefined>} changes
 */
export function setParams(changes) {
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === '') next.delete(name);
    else next.set(name, String(value));
  }
  const text = next.toString();
  go(location.pathname + (text ? `?${text}` : ''), { replace: true });
}

/** @param {string} hash with its `#`, or empty */
export function setHash(hash) {
  go(location.pathname + location.search + hash, { replace: true });
}

addEventListener('popstate', () => {
  here.value = read();
});
addEventListener('hashchange', () => {
  here.value = read();
});
document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (!link || link.origin !== location.origin || link.target || link.hasAttribute('download')) return;
  event.preventDefault();
  go(link.pathname + link.search + link.hash);
  if (!link.hash) document.getElementById('page')?.focus({ preventScroll: true });
});
