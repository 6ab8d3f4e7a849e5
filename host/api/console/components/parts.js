// Small parts that every page uses.

import { count, duration, moment, short, words } from '../lib/format.js';
import { html, now } from '../lib/view.js';
import { Icon } from './icons.js';

/** @typedef {import('../lib/types.js').Failure} Failure */

/** Characters of a value that are shown. */
const MOST_JSON = 20_000;

/** @param {{state: string, stopping?: string}} props */
export function State({ state, stopping }) {
  return html`<span class=${`state ${state}`}><${Icon} name=${state} /><span class="state-word">${
    stopping && state !== 'cancelled' && state !== 'failed' ? 'stopping' : state
  }</span></span>`;
}

const ORDER = /** @type {const} */ (['succeeded', 'failed', 'cancelled', 'skipped', 'running', 'retrying', 'queued']);

/** How far the tasks are, as a bar. @param {{tasks: import('../lib/types.js').TaskCounts}} props */
export function Progress({ tasks }) {
  const told = ORDER.filter((state) => tasks[state] > 0).map((state) => `${count(tasks[state])} ${state}`);
  return html`<span class="progress" role="img" aria-label=${`${count(tasks.total)} tasks: ${told.join(', ') || 'none'}`} title=${told.join(', ')}>
    ${ORDER.map((state) => tasks[state] > 0 && html`<i class=${state} style=${{ flexGrow: tasks[state] }}></i>`)}
  </span>`;
}

/** Lines by level; only those that say something. @param {{lines: import('../lib/types.js').LineCounts}} props */
export function Levels({ lines }) {
  return html`<span class="levels">
    <span class="info" title=${`${count(lines.info + lines.debug)} lines at info and debug`}>INF ${short(lines.info + lines.debug)}</span>
    <span class=${`warn${lines.warn ? '' : ' none'}`} title=${`${count(lines.warn)} warnings`}>WRN ${short(lines.warn)}</span>
    <span class=${`error${lines.error ? '' : ' none'}`} title=${`${count(lines.error)} errors`}>ERR ${short(lines.error)}</span>
  </span>`;
}

/** @param {{failure: Failure, prefix?: string}} props */
export function Cause({ failure }) {
  return html`<span class="cause" title=${failure.message}>${words(failure.cause)}${failure.detail ? html` · ${failure.detail}` : ''}</span>`;
}

/** @param {{at?: string, none?: string}} props */
export function Moment({ at, none = '–' }) {
  if (!at) return html`<span class="faint">${none}</span>`;
  return html`<time datetime=${at} title=${at}>${moment(at)}</time>`;
}

/** A time that goes on until it is over. @param {{from?: string, to?: string, ms?: number}} props */
export function Lasting({ from, to, ms }) {
  if (!from) return html`<span class="faint">–</span>`;
  const value = ms ?? (to ? Date.parse(to) : Math.max(now.value, Date.parse(from))) - Date.parse(from);
  return html`<span class="number">${duration(value)}</span>`;
}

/** @param {{problem: {message: string, title?: string, status?: number}|null, retry?: () => void}} props */
export function Trouble({ problem, retry }) {
  if (!problem) return null;
  return html`<div class="trouble" role="alert">
    <strong>${problem.title || 'That did not work'}</strong>
    <span>${problem.message}</span>
    ${retry && html`<button onClick=${retry}>Try again</button>`}
  </div>`;
}

/** @param {{title: string, icon?: string, children?: any}} props */
export function Empty({ title, icon, children }) {
  return html`<div class="empty">${icon && html`<${Icon} name=${icon} size=${26} />`}<strong>${title}</strong>${children && html`<p>${children}</p>`}</div>`;
}

/** A value as JSON. @param {{value: unknown, label: string}} props */
export function Json({ value, label }) {
  if (value === null || value === undefined) return html`<p class="faint">None.</p>`;
  const text = JSON.stringify(value, null, 2);
  return html`<div class="json">
    <pre tabindex="0" aria-label=${label}>${seen(text.slice(0, MOST_JSON))}${text.length > MOST_JSON ? `\n… ${count(text.length)} characters` : ''}</pre>
    <button class="quiet icon-only" aria-label=${`Copy: ${label}`} title="Copy" onClick=${() => navigator.clipboard.writeText(text)}><${Icon} name="copy" size=${14} /></button>
  </div>`;
}

/** Text that somebody else wrote, held apart from what is around it. @param {{text: string, max?: number}} props */
export function Foreign({ text, max = 2_000 }) {
  return html`<bdi>${seen(text.slice(0, max))}${text.length > max ? '…' : ''}</bdi>`;
}

/** Shows characters that would change how the rest reads. @param {string} text */
export function seen(text) {
  // These characters are what is looked for.
  return text.replaceAll(/[\x00-\x08\x0b-\x1f\x7f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}
