/** Words of a file, counted piece by piece. Nothing here knows of a host but for its bytes. */
import { Bytes, decode, quote } from './text';

function isSpace(byte: u8): bool {
  return byte == 32 || (byte >= 9 && byte <= 13);
}

/** Where the first word begins that does not begin before the block, whose first byte lies before the piece. */
export function firstWord(block: Bytes): i32 {
  let at = 0;
  while (at < block.length && !isSpace(block[at])) at++;
  return at;
}

/**
 * How much of a block holds whole words that begin before `limit`; 0 where a single word fills it. The `last` block ends with the
 * file.
 */
export function wholeWords(block: Bytes, limit: u64, last: bool): i32 {
  let end = block.length;
  if (!last) {
    while (end > 0 && !isSpace(block[end - 1])) end--;
  }
  if (limit < <u64>end) {
    // The word that goes on beyond the limit is the last.
    end = <i32>limit;
    while (end < block.length && !isSpace(block[end - 1])) end++;
  }
  return end;
}

/** A word and how often it occurs. */
class Entry {
  constructor(
    public word: string,
    public times: u64,
  ) {}

  toString(): string {
    return `[${quote(this.word)},${this.times}]`;
  }
}

/** How often words occur. */
export class Counts {
  private words: Map<string, u64> = new Map();
  total: u64 = 0;

  get distinct(): i32 {
    return this.words.size;
  }

  add(word: string, times: u64): void {
    this.words.set(word, (this.words.has(word) ? this.words.get(word) : 0) + times);
    this.total += times;
  }

  /** Adds the words of a block, in lower case as far as ASCII goes. Bytes that are no UTF-8 become U+FFFD. */
  addBlock(block: Bytes): void {
    for (let at = 0; at < block.length; ) {
      while (at < block.length && isSpace(block[at])) at++;
      const start = at;
      for (; at < block.length && !isSpace(block[at]); at++) {
        if (block[at] >= 0x41 && block[at] <= 0x5a) block[at] = block[at] + 0x20;
      }
      if (at > start) this.add(decode(block.at + start, at - start), 1);
    }
  }

  /** How many words hold something that was no UTF-8. */
  replaced(): i32 {
    let replaced = 0;
    const words = this.words.keys();
    for (let at = 0; at < words.length; at++) if (words[at].includes('\ufffd')) replaced++;
    return replaced;
  }

  /** The words that occur most as JSON, those that occur alike in the order of their code points. */
  top(most: i32): string {
    const words = this.words.keys();
    const entries = words.map<Entry>((word) => new Entry(word, 0));
    for (let at = 0; at < entries.length; at++) entries[at].times = this.words.get(entries[at].word);
    entries.sort((one, other) => (one.times != other.times ? (one.times > other.times ? -1 : 1) : compare(one.word, other.word)));
    return `[${entries.slice(0, most).join(',')}]`;
  }

  /** A line for each word: how often, and the word. */
  toString(): string {
    const words = this.words.keys();
    const lines: string[] = [];
    for (let at = 0; at < words.length; at++) lines.push(`${this.words.get(words[at])} ${words[at]}`);
    return lines.join('\n');
  }

  static parse(lines: string[]): Counts {
    const counts = new Counts();
    for (let at = 0; at < lines.length; at++) {
      const space = lines[at].indexOf(' ');
      if (space > 0) counts.add(lines[at].substring(space + 1), U64.parseInt(lines[at].substring(0, space)));
    }
    return counts;
  }
}

/** The order of UTF-8, which is that of code points, not that of UTF-16. */
function compare(one: string, other: string): i32 {
  for (let at = 0; at < one.length && at < other.length; at++) {
    const left = one.charCodeAt(at);
    const right = other.charCodeAt(at);
    if (left == right) continue;
    // Surrogates stand for what comes after all else.
    const surrogate = (code: i32): bool => code >= 0xd800 && code < 0xe000;
    if (surrogate(left) != surrogate(right)) return surrogate(left) ? 1 : -1;
    return left - right;
  }
  return one.length - other.length;
}
