// Numbers, times and sizes for people.

const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

const coarseCount = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** @param {number} value */
export const count = (value) => numbers.format(value);
/** @param {number} value */
export const short = (value) =>
  value < 10_000 ? numbers.format(value) : (value < 100_000 ? compact : coarseCount).format(value);

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = -1;
  do {
    value /= 1024;
    unit += 1;
  } while (value >= 1024 && unit < units.length - 1);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 0) return '0 ms';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/**
 * @param {string|number} at
 * @param {number} now
 */
export function ago(at, now) {
  const ms = now - (typeof at === 'number' ? at : Date.parse(at));
  if (ms < 1_500 && ms > -1_500) return 'now';
  if (ms < 0) return `in ${coarse(-ms)}`;
  return `${coarse(ms)} ago`;
}

/** @param {number} ms */
function coarse(ms) {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

const day = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: '2-digit' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });

/** @param {string} at */
export const moment = (at) => `${day.format(new Date(at))}, ${clock.format(new Date(at))}`;
/** @param {string} at */
export const time = (at) => clock.format(new Date(at));

/** The last characters of an id, which tell it apart. @param {string} id */
export const tail = (id) => id.slice(-8);

/** @param {string} text */
export const words = (text) => text.replaceAll('-', ' ');
