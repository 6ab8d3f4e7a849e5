// Which runs a list shows: the address says it, and everything that acts on many runs means the same.

import { moment, words } from '../../lib/format.js';

/** @typedef {Partial<Record<'state'|'definition'|'tag'|'cause'|'text'|'since'|'until'|'min_duration'|'max_duration', string>>} Filter */

export const NAMES = /** @type {const} */ ([
  'state',
  'definition',
  'tag',
  'cause',
  'text',
  'since',
  'until',
  'min_duration',
  'max_duration',
]);

export const CAUSES = [
  'plugin-error',
  'panic',
  'trap',
  'out-of-memory',
  'stack-overflow',
  'out-of-fuel',
  'timed-out',
  'denied',
  'limit',
  'invalid-plugin',
  'host-fault',
  'host-lost',
];

const UNITS = /** @type {Record<string, number>} */ ({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 });

/** The filter of an address. @param {URLSearchParams} params @returns {Filter} */
export function read(params) {
  /** @type {Filter} */
  const filter = {};
  for (const name of NAMES) {
    const value = params.get(name);
    if (value) filter[name] = value;
  }
  return filter;
}

/** Milliseconds of `30s`, `5m`, `12h`; null where it is none. @param {string|undefined} text */
export function span(text) {
  const match = /^(\d+)(ms|s|m|h|d)$/.exec(text ?? '');
  return match ? Number(match[1]) * UNITS[match[2]] : null;
}

/**
 * The moment that `24h` (so long before now) or a moment means.
 * @param {string|undefined} text @param {number} now
 */
export function since(text, now) {
  const before = span(text);
  return before === null ? text : new Date(now - before).toISOString();
}

/** The filter as the API takes it to act. @param {Filter} filter @param {number} now @returns {import('../../lib/types.js').RunSelection} */
export function selection(filter, now) {
  const { state, since: from, ...rest } = filter;
  return {
    ...rest,
    ...(state ? { state: /** @type {import('../../lib/types.js').RunState[]} */ (state.split(',')) } : {}),
    ...(from ? { since: since(from, now) } : {}),
  };
}

/** The filter in words. @param {Filter} filter */
export function wording(filter) {
  const at = (/** @type {string} */ text) => (/^\d{4}-/.test(text) ? moment(text) : `${text} ago`);
  const parts = [
    filter.state && `that are ${filter.state.replaceAll(',', ' or ')}`,
    filter.definition && `of ${filter.definition}`,
    filter.tag && `tagged ${filter.tag}`,
    filter.cause && `failed of ${words(filter.cause)}`,
    filter.text && `with “${filter.text}” in name, definition or id`,
    filter.since && `created after ${at(filter.since)}`,
    filter.until && `created before ${at(filter.until)}`,
    filter.min_duration && `that took at least ${filter.min_duration}`,
    filter.max_duration && `that took at most ${filter.max_duration}`,
  ].filter(Boolean);
  return parts.length > 0 ? `Runs ${parts.join(', ')}.` : 'All runs of this server.';
}
