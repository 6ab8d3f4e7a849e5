/** Words are counted alike, however the file is cut. TypeScript's words are tested by the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dice } from './host.mjs';

const { Counts, firstWord, pieces, wholeWords } = await import(process.env.WORDS ?? '../words.js');
const bytes = (text) => new TextEncoder().encode(text);

/** Counts as the plugin does, with blocks of so many bytes. */
function countInPieces(text, most, block) {
  const read = (from) => text.subarray(from, from + block);
  const counts = new Counts();
  for (const { from, to } of pieces(text.length, most)) {
    let at = from === 0 ? 0 : from - 1 + firstWord(read(from - 1));
    while (at < to) {
      const data = read(at);
      const whole = wholeWords(data, to - at, at + data.length === text.length) || data.length;
      counts.add(data.subarray(0, whole));
      at += whole;
    }
  }
  return counts;
}

test('pieces cover the file, and none is empty', () => {
  for (const size of [0, 1, 3, 10, 2 ** 40]) {
    for (const most of [1, 3, 7]) {
      let end = 0;
      const parts = pieces(size, most);
      for (const { from, to } of parts) {
        assert.equal(from, end);
        assert.ok(to > from);
        end = to;
      }
      assert.equal(end, size);
      assert.equal(parts.length, Math.min(size, most));
    }
  }
});

test('a word belongs to the piece that it begins in', () => {
  const next = dice();
  for (let round = 0; round < 300; round += 1) {
    const text = Uint8Array.from({ length: next(80) }, () => [0x61, 0x62, 0x43, 0x20, 0x0a, 0xc3, 0xa9][next(7)]);
    const whole = new Counts();
    whole.add(text);
    for (const most of [1, 2, 5]) {
      assert.deepEqual(countInPieces(text, most, 100).top(100), whole.top(100), `${text} in ${most}`);
    }
  }
});

test('a word that fills a block is told apart', () => {
  assert.equal(wholeWords(bytes('abcdef'), 100, false), 0);
  assert.equal(wholeWords(bytes('abcdef'), 100, true), 6);
  assert.equal(wholeWords(bytes('abc def'), 100, false), 4);
  assert.equal(wholeWords(bytes('abc def gh'), 5, false), 8);
});

test('only ASCII is put in lower case', () => {
  const counts = new Counts();
  counts.add(Uint8Array.from([...bytes('Ab AB Ä '), 0xff, 0x20, 0xfe]));
  assert.deepEqual(Object.fromEntries(counts.words), { ab: 2, Ä: 1, '\ufffd': 2 });
  assert.deepEqual([counts.total, counts.replaced], [5, 1]);
});

test('the top is by number, then by code points', () => {
  const counts = new Counts({ '\u{1f6a2}': 2, '\uffee': 2, b: 2, a: 3 });
  assert.deepEqual(counts.top(4), [
    ['a', 3],
    ['b', 2],
    ['\uffee', 2],
    ['\u{1f6a2}', 2],
  ]);
  assert.deepEqual(counts.top(0), []);
  assert.deepEqual(new Counts(JSON.parse(JSON.stringify(counts))).top(4), counts.top(4));
});

test('words may be called as what objects have', () => {
  const counts = new Counts();
  counts.add(bytes('__proto__ constructor __proto__'));
  assert.deepEqual(new Counts(JSON.parse(JSON.stringify(counts))).top(9), [
    ['__proto__', 2],
    ['constructor', 1],
  ]);
});
