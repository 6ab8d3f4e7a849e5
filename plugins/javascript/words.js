/** Words of a file, counted piece by piece. Nothing here knows of a host but for its way to decode bytes. */
import { textOf } from './bulkhead.js';

/**
 * At most `count` pieces of so many bytes, none of them empty.
 * @param {number} size
 * @param {number} count
 */
export function pieces(size, count) {
  const most = Math.min(count, size);
  const edge = (/** @type {number} */ number) => Math.floor((size * number) / most);
  return Array.from({ length: most }, (_, number) => ({ from: edge(number), to: edge(number + 1) }));
}

const isSpace = (/** @type {number} */ byte) => byte === 32 || (byte >= 9 && byte <= 13);

/**
 * Where the first word begins that does not begin before the block, whose first byte lies before the piece.
 * @param {Uint8Array} block
 */
export function firstWord(block) {
  const at = block.findIndex(isSpace);
  return at < 0 ? block.length : at;
}

/**
 * How much of a block holds whole words that begin before `limit`; 0 where a single word fills it. The `last` block ends with the
 * file.
 * @param {Uint8Array} block
 * @param {number} limit
 * @param {boolean} last
 */
export function wholeWords(block, limit, last) {
  let end = block.length;
  if (!last) {
    while (end > 0 && !isSpace(block[end - 1])) end -= 1;
  }
  if (limit < end) {
    // The word that goes on beyond the limit is the last.
    end = limit;
    while (end < block.length && !isSpace(block[end - 1])) end += 1;
  }
  return end;
}

/** How often words occur. */
export class Counts {
  /** @param {Record<string, number>} counts */
  constructor(counts = {}) {
    this.words = new Map(Object.entries(counts));
  }

  /**
   * Adds the words of a block, in lower case as far as ASCII goes. Bytes that are no UTF-8 become U+FFFD.
   * @param {Uint8Array} block
   */
  add(block) {
    const text = textOf(block).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    for (const word of text.split(/[ \t-\r]+/)) {
      if (word !== '') this.words.set(word, (this.words.get(word) ?? 0) + 1);
    }
  }

  get total() {
    let total = 0;
    for (const times of this.words.values()) total += times;
    return total;
  }

  /** How many words hold something that was no UTF-8. */
  get replaced() {
    return [...this.words.keys()].filter((word) => word.includes('\ufffd')).length;
  }

  /**
   * The words that occur most, those that occur alike in the order of their code points.
   * @param {number} most
   */
  top(most) {
    return [...this.words].sort(([one, times], [other, times2]) => times2 - times || compare(one, other)).slice(0, most);
  }

  toJSON() {
    return Object.fromEntries(this.words);
  }
}

/**
 * The order of UTF-8, which is that of code points, not that of UTF-16.
 * @param {string} one
 * @param {string} other
 */
function compare(one, other) {
  const codes = (/** @type {string} */ text) => Array.from(text, (char) => char.codePointAt(0) ?? 0);
  const [left, right] = [codes(one), codes(other)];
  for (let at = 0; at < left.length && at < right.length; at += 1) {
    if (left[at] !== right[at]) return left[at] - right[at];
  }
  return left.length - right.length;
}
