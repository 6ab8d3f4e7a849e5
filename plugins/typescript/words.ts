/** Words of a file, counted piece by piece. Nothing here knows of a host but for its way to decode bytes. */
import { textOf } from '../javascript/bulkhead.js';

/** A part of the file. */
export interface Piece {
  from: number;
  to: number;
}

/** At most `count` pieces of so many bytes, none of them empty. */
export function pieces(size: number, count: number): Piece[] {
  const most = Math.min(count, size);
  const edge = (number: number) => Math.floor((size * number) / most);
  return Array.from({ length: most }, (_, number) => ({ from: edge(number), to: edge(number + 1) }));
}

const isSpace = (byte: number | undefined) => byte === 32 || (byte !== undefined && byte >= 9 && byte <= 13);

/** Where the first word begins that does not begin before the block, whose first byte lies before the piece. */
export function firstWord(block: Uint8Array): number {
  const at = block.findIndex(isSpace);
  return at < 0 ? block.length : at;
}

/**
 * How much of a block holds whole words that begin before `limit`; 0 where a single word fills it. The `last` block ends with the
 * file.
 */
export function wholeWords(block: Uint8Array, limit: number, last: boolean): number {
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
  readonly words: Map<string, number>;

  constructor(counts: Record<string, number> = {}) {
    this.words = new Map(Object.entries(counts));
  }

  /** Adds the words of a block, in lower case as far as ASCII goes. Bytes that are no UTF-8 become U+FFFD. */
  add(block: Uint8Array): void {
    const text = textOf(block).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    for (const word of text.split(/[ \t-\r]+/)) {
      if (word !== '') this.words.set(word, (this.words.get(word) ?? 0) + 1);
    }
  }

  get total(): number {
    let total = 0;
    for (const times of this.words.values()) total += times;
    return total;
  }

  /** How many words hold something that was no UTF-8. */
  get replaced(): number {
    return [...this.words.keys()].filter((word) => word.includes('\ufffd')).length;
  }

  /** The words that occur most, those that occur alike in the order of their code points. */
  top(most: number): [string, number][] {
    return [...this.words].sort(([one, times], [other, times2]) => times2 - times || compare(one, other)).slice(0, most);
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.words);
  }
}

/** The order of UTF-8, which is that of code points, not that of UTF-16. */
function compare(one: string, other: string): number {
  const [left, right] = [[...one], [...other]];
  for (const [at, char] of left.entries()) {
    const opposite = right[at];
    if (opposite === undefined) break;
    const difference = (char.codePointAt(0) ?? 0) - (opposite.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
