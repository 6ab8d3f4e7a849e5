/** What the tests call: compiled without a host. */
import { Bytes, decode, encode } from '../assembly/text';
import { Counts, firstWord, wholeWords } from '../assembly/words';

export { items, member, numberOf, quote, textOf } from '../assembly/text';

export function decoded(bytes: Uint8Array): string {
  return decode(bytes.dataStart, bytes.length);
}

export function encoded(text: string): Uint8Array {
  return Uint8Array.wrap(encode(text));
}

export function whole(block: Uint8Array, limit: u64, last: bool): i32 {
  return wholeWords(new Bytes(block.dataStart, block.length), limit, last);
}

/** Counts as the plugin does, with blocks of so many bytes; the counts go through a checkpoint at the end. */
export function counted(text: Uint8Array, most: u64, block: i32): string {
  let counts = new Counts();
  const size = <u64>text.length;
  const count = min(most, size);
  for (let number: u64 = 0; number < count; number++) {
    const from = (size * number) / count;
    const to = (size * (number + 1)) / count;
    let at = from;
    if (at > 0) at = at - 1 + firstWord(read(text, at - 1, block));
    while (at < to) {
      const data = read(text, at, block);
      let whole = wholeWords(data, to - at, at + data.length == size);
      if (whole == 0) whole = data.length;
      data.length = whole;
      counts.addBlock(data);
      at += whole;
    }
  }
  counts = Counts.parse(counts.toString().split('\n'));
  return `${counts.total} ${counts.distinct} ${counts.replaced()} ${counts.top(100)}`;
}

function read(text: Uint8Array, at: u64, most: i32): Bytes {
  const part = text.slice(<i32>at, <i32>min(at + most, text.length));
  kept.push(part);
  return new Bytes(part.dataStart, part.length);
}

const kept: Uint8Array[] = [];
