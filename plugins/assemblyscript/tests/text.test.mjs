/** The SDK's and the plugin's own parts, compiled by `make languages-test`. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const { instantiate } = await import(pathToFileURL(`${process.env.TESTED}.js`));
const module = await WebAssembly.compile(await readFile(`${process.env.TESTED}.wasm`));
assert.deepEqual(
  WebAssembly.Module.imports(module).map(({ name }) => name),
  ['abort'],
);
const { counted, decoded, encoded, items, member, numberOf, quote, textOf, whole } = await instantiate(module, {});
const bytes = (text) => new TextEncoder().encode(text);
const half = String.fromCharCode(0xd83d);

/** Numbers below `sides`, always the same ones. */
let state = 7;
const dice = (sides) => {
  state = (state * 48_271) % 2_147_483_647;
  return state % sides;
};

test('bytes become texts as everywhere, whatever they are', () => {
  const cases = ['', 'plain', '\ufeffmarked', '⚓🚢 \u0000 \u07ff\u0800\uffff\u{10ffff}'].map(bytes);
  for (let round = 0; round < 5_000; round += 1)
    cases.push(Uint8Array.from({ length: round % 12 }, () => (dice(3) ? dice(256) : 0xe2)));
  for (const one of cases) assert.equal(decoded(one), new TextDecoder('utf-8', { ignoreBOM: true }).decode(one), `${one}`);
});

test('texts become bytes as everywhere', () => {
  for (const text of ['', 'plain', '⚓🚢 \u0000', `a${half}b`]) assert.deepEqual(encoded(text), bytes(text));
});

test('strings survive the way through JSON', () => {
  for (let round = 0; round < 5_000; round += 1) {
    const text = Array.from(
      { length: dice(12) },
      () => ['a', '"', '\\', '\n', '\u0000', '\u001f', '⚓', '🚢', 'u0041'][dice(9)],
    ).join('');
    assert.equal(JSON.parse(quote(text)), text);
    assert.equal(textOf(JSON.stringify(text), 'none'), text);
    assert.equal(textOf(quote(text), 'none'), text);
  }
});

test('very long texts take the time that their length asks for', () => {
  const text = '⚓"\n plain '.repeat(300_000);
  const started = performance.now();
  assert.equal(decoded(bytes(text)), text);
  assert.equal(textOf(quote(text), ''), text);
  assert.ok(performance.now() - started < 10_000);
});

test('every escape is read', () => {
  assert.equal(textOf('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uD83D\\udea2\\u0000"', ''), '"\\/\b\f\n\r\tA🚢\u0000');
  assert.equal(textOf('"\\u12"', ''), 'u12');
  for (const json of ['', '7', '"', '"open', 'null']) assert.equal(textOf(json, 'other'), 'other');
});

test('members are found', () => {
  const object = ' {"a" : 1 , "b":{"a":[2,{"}":"]"}]},"\\u0063\\"":"x\\"y", "d":null,"":[] } ';
  for (const [name, value] of Object.entries(JSON.parse(object))) assert.deepEqual(JSON.parse(member(object, name)), value, name);
  assert.equal(member(object, 'e'), '');
  for (const other of ['', '{}', '["a",1]', '{"b":1', '{"a"']) assert.equal(member(other, 'a'), '');
  assert.equal(member(`{"a":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)},"b":7}`, 'b'), '7');
});

test('items are found', () => {
  assert.deepEqual(items('[ 1, "a,]" ,[2,[3]],{"b":[]} ,null]'), ['1', '"a,]"', '[2,[3]]', '{"b":[]}', 'null']);
  for (const none of ['', '[]', '[ ]', '{"a":1}', '7']) assert.deepEqual(items(none), []);
});

test('numbers are exact', () => {
  for (const number of [0n, 2n ** 53n + 1n, 2n ** 64n - 1n]) assert.equal(BigInt.asUintN(64, numberOf(`${number}`, 9n)), number);
  for (const none of ['', '18446744073709551616', '99999999999999999999', '-1', '1.5', '1e3', 'NaN', '"7"']) {
    assert.equal(numberOf(none, 9n), 9n, none);
  }
});

test('wrong texts are read to their end', () => {
  const sound = '{"a":[1,{"b":"\\u2693\\""}],"c":-1.5e3,"\\u0064":true}';
  for (let round = 0; round < 5_000; round += 1) {
    const units = [...sound.slice(0, dice(sound.length + 1))];
    for (let change = dice(4); change > 0 && units.length > 0; change -= 1)
      units[dice(units.length)] = '{}[]",:\\u \u0000a1'[dice(13)];
    const text = units.join('');
    for (const name of 'acde') {
      const found = member(text, name);
      assert.ok(text.includes(found));
      textOf(found, '');
      assert.ok(items(found).length <= text.length);
    }
  }
});

test('a word belongs to the piece that it begins in', () => {
  for (let round = 0; round < 300; round += 1) {
    const text = Uint8Array.from({ length: dice(80) }, () => [0x61, 0x62, 0x43, 0x20, 0x0a, 0xc3, 0xa9][dice(7)]);
    for (const most of [2n, 5n]) assert.equal(counted(text, most, 100), counted(text, 1n, 100), `${text} in ${most}`);
  }
});

test('a word that fills a block is told apart', () => {
  assert.equal(whole(bytes('abcdef'), 100n, false), 0);
  assert.equal(whole(bytes('abcdef'), 100n, true), 6);
  assert.equal(whole(bytes('abc def'), 100n, false), 4);
  assert.equal(whole(bytes('abc def gh'), 5n, false), 8);
});

test('only ASCII is put in lower case, and the top is by number, then by code points', () => {
  const text = Uint8Array.from([...bytes('Ab AB 🚢 \uffee Ä '), 0xff, 0x20, 0xfe]);
  assert.equal(counted(text, 1n, 100), '7 5 1 [["ab",2],["\ufffd",2],["Ä",1],["\uffee",1],["🚢",1]]');
});
