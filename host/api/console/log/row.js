// One line as a row: number, time, level, origin, text, fields.

import { fill } from './ansi.js';

/** @typedef {import('../lib/types.js').LogLine} LogLine */
/** @typedef {'relative'|'local'|'utc'|'none'} Clock */

export const LEVELS = /** @type {const} */ ({ debug: 'DBG', info: 'INF', warn: 'WRN', error: 'ERR' });

/** What the reader chose of how rows look. @param {string} name @param {string} otherwise */
export function preference(name, otherwise) {
  try {
    return localStorage.getItem(`bulkhead.log.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} name @param {string} value */
export function prefer(name, value) {
  try {
    localStorage.setItem(`bulkhead.log.${name}`, value);
  } catch {
    // Then it holds for this page.
  }
}

/** Characters of fields that a row shows. */
const MOST_FIELDS = 400;

/** Made when it is needed: that takes longer than to draw the first rows. @type {Intl.DateTimeFormat|undefined} */
let local;

/**
 * @param {string} at
 * @param {Clock} clock
 * @param {number} start when the run began, in milliseconds
 */
export function clockText(at, clock, start) {
  if (clock === 'none') return '';
  if (clock === 'utc') return at.slice(11, 23);
  const moment = Date.parse(at);
  if (clock === 'local') {
    local ??= new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
    return `${local.format(moment)}.${at.slice(20, 23)}`;
  }
  const ms = Math.max(0, moment - start);
  const seconds = Math.floor(ms / 1_000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, '0'));
  return `${hours === '00' ? '' : `${hours}:`}${minutes}:${rest}.${String(Math.floor(ms % 1_000)).padStart(3, '0')}`;
}

/** @param {string} name @param {string} className */
function span(name, className) {
  const element = document.createElement(name);
  element.className = className;
  return element;
}

/** The parts of a row's element, made once. @param {HTMLElement} row */
function partsOf(row) {
  const known = /** @type {any} */ (row).parts;
  if (known) return known;
  const parts = {
    number: span('span', 'l-number'),
    time: span('span', 'l-time'),
    level: span('span', 'l-level'),
    origin: span('span', 'l-origin'),
    text: span('span', 'l-text'),
    message: span('span', 'l-message'),
    fields: span('span', 'l-fields'),
  };
  parts.text.append(parts.message, parts.fields);
  row.append(parts.number, parts.time, parts.level, parts.origin, parts.text);
  row.setAttribute('role', 'row');
  for (const part of [parts.number, parts.time, parts.level, parts.origin, parts.text]) part.setAttribute('role', 'cell');
  /** @type {any} */ (row).parts = parts;
  return parts;
}

/**
 * @param {HTMLElement} row
 * @param {LogLine|undefined} line
 * @param {number} index
 * @param {{clock: Clock, start: number, mark?: string, selected: [number, number]|null, whole: boolean}} how
 */
export function paintRow(row, line, index, how) {
  const parts = partsOf(row);
  if (!line) {
    row.className = 'line waiting';
    row.dataset.seq = how.whole ? String(index + 1) : '';
    parts.number.textContent = how.whole ? String(index + 1) : '';
    for (const part of [parts.time, parts.level, parts.origin, parts.fields]) part.textContent = '';
    parts.message.textContent = '…';
    return;
  }
  const chosen = how.selected && line.seq >= how.selected[0] && line.seq <= how.selected[1];
  row.className = `line ${line.level} from-${line.source}${chosen ? ' chosen' : ''}`;
  row.dataset.seq = String(line.seq);
  row.setAttribute('aria-rowindex', String(line.seq));
  parts.number.textContent = String(line.seq);
  parts.time.textContent = clockText(line.at, how.clock, how.start);
  parts.level.textContent = LEVELS[line.level];
  parts.origin.textContent = `${line.step}/${line.task}`;
  parts.origin.title = `step ${line.step}, task ${line.task}, attempt ${line.attempt}, ${line.source}`;
  fill(parts.message, line.message, how.mark);
  if (line.full_bytes) parts.message.append(more(line));
  parts.fields.replaceChildren();
  if (line.fields) fields(parts.fields, line.fields);
}

/** @param {LogLine} line */
function more(line) {
  const element = span('span', 'l-more');
  element.textContent = `… ${new Intl.NumberFormat('en').format(line.full_bytes ?? 0)} bytes`;
  return element;
}

/** @param {HTMLElement} into @param {Record<string, unknown>} values */
function fields(into, values) {
  let left = MOST_FIELDS;
  for (const [name, value] of Object.entries(values)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const key = span('span', 'l-key');
    fill(key, `${name.slice(0, left)}=`);
    const shown = span('span', 'l-value');
    fill(shown, text.slice(0, left));
    into.append(key, shown);
    left -= name.length + text.length;
    if (left <= 0) {
      into.append('…');
      return;
    }
  }
}
