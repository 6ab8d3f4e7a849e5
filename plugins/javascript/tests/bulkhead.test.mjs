/** The SDK, with a host of this test's own. */
import assert from 'node:assert/strict';
import { afterEach, describe, mock, test } from 'node:test';
import { dice, host } from './host.mjs';

// Errors of the SDK are told by its log: the test's own comes first.
const terminal = globalThis.console;
const bulkhead = await import('../bulkhead.js');
const log = globalThis.console;
globalThis.console = terminal;

/** The SDK on an engine without what QuickJS lacks. */
const { TextDecoder, TextEncoder } = globalThis;
globalThis.TextDecoder = globalThis.TextEncoder = undefined;
globalThis.wit = {};
const plain = await import('../bulkhead.js?plain');
delete globalThis.wit;
globalThis.console = terminal;
const withoutCodecs = (work) => {
  globalThis.TextDecoder = globalThis.TextEncoder = undefined;
  try {
    return work();
  } finally {
    Object.assign(globalThis, { TextDecoder, TextEncoder });
  }
};
Object.assign(globalThis, { TextDecoder, TextEncoder });

afterEach(() => mock.restoreAll());

const half = String.fromCharCode(0xd83d);
const step = { run: 'run_1', step: 'echo', attempt: 2, config: '{"a":[1]}', parameters: '{"day":3}' };
const about = { name: 'echo', version: '1.2.3', summary: 'Says what it is told.', schema: { type: 'object' }, plan() {} };

/** The one line that is written. */
function line(work) {
  const write = mock.method(host.log, 'write');
  work();
  assert.equal(write.mock.callCount(), 1);
  const [level, message, fields] = write.mock.calls[0].arguments;
  assert.ok(message.isWellFormed() && fields.isWellFormed());
  const read = fields === '' ? undefined : JSON.parse(fields);
  assert.ok(read === undefined || !Array.isArray(read));
  mock.restoreAll();
  return [level, message, read];
}

/** What a task is told to have failed of. */
function failure(run) {
  const { run: answer } = bulkhead.plugin({ ...about, run });
  try {
    answer(step, { id: 'task_1', key: 'k', input: '0' });
  } catch (error) {
    assert.ok(error.message.isWellFormed());
    return error;
  }
  assert.fail('the task succeeded');
}

describe('the log', () => {
  test('levels are those of the host', () => {
    for (const [name, level] of [
      ['debug', 'debug'],
      ['log', 'info'],
      ['info', 'info'],
      ['warn', 'warn'],
      ['error', 'error'],
    ]) {
      assert.deepEqual(
        line(() => log[name]('low water')),
        [level, 'low water', undefined],
      );
    }
  });

  test('an object as the last value holds the fields', () => {
    assert.deepEqual(
      line(() => log.info('low', 12, { at: 3, where: 'bilge ⚓ \u0000"\\' })),
      ['info', 'low 12', { at: 3, where: 'bilge ⚓ \u0000"\\' }],
    );
    assert.deepEqual(
      line(() => log.info('none', {})),
      ['info', 'none', {}],
    );
  });

  test('other values are told in the message', () => {
    assert.deepEqual(
      line(() => log.info({ at: 1 })),
      ['info', '{"at":1}', undefined],
    );
    assert.deepEqual(
      line(() => log.info('list', [1, 2])),
      ['info', 'list [1,2]', undefined],
    );
    assert.deepEqual(
      line(() => log.info(null, undefined, true, 2n ** 64n, Symbol('s'), Number.NaN)),
      ['info', 'null undefined true 18446744073709551616 Symbol(s) NaN', undefined],
    );
    assert.deepEqual(
      line(() => log.info()),
      ['info', '', undefined],
    );
    assert.deepEqual(
      line(() => log.info(Object.create(null), Symbol)),
      ['info', '{} function Symbol() { [native code] }', undefined],
    );
  });

  test('an error is told with its stack', () => {
    const [level, message, fields] = line(() => log.error('it failed:', new TypeError('it burst')));
    assert.equal(level, 'error');
    assert.match(message, /^it failed: TypeError: it burst\n(.*\n)*.*bulkhead\.test\.mjs:\d+/);
    assert.equal(fields, undefined);
  });

  test('fields that JSON does not know are told as text', () => {
    const ring = { name: 'ring' };
    ring.self = ring;
    assert.deepEqual(
      line(() => log.info('odd', { big: 2n ** 64n, nan: Number.NaN, endless: -Infinity, error: new Error('it burst') }))[2],
      {
        big: '18446744073709551616',
        nan: 'NaN',
        endless: '-Infinity',
        error: 'Error: it burst',
      },
    );
    assert.deepEqual(line(() => log.info('odd', { ring, fine: 1 }))[2], { ring: '[object Object]', fine: '1' });
  });

  test('halves of characters are replaced', () => {
    assert.deepEqual(
      line(() => log.info(`a${half}b⚓🚢`, { where: half })),
      ['info', 'a\ufffdb⚓🚢', { where: '\ufffd' }],
    );
  });

  test('a very long line goes through whole', () => {
    assert.equal(line(() => log.info('x'.repeat(10_000_000)))[1].length, 10_000_000);
  });
});

describe('calls of the host', () => {
  test('a plugin describes itself', () => {
    assert.deepEqual(bulkhead.plugin(about).describe(), {
      name: 'echo',
      version: '1.2.3',
      summary: 'Says what it is told.',
      configSchema: '{"type":"object"}',
    });
  });

  test('plan and run get step and task', () => {
    const seen = [];
    const echo = bulkhead.plugin({ ...about, plan: (...all) => seen.push(all), run: (...all) => void seen.push(all) });
    const given = { run: 'run_1', name: 'echo', attempt: 2, config: { a: [1] }, parameters: { day: 3 } };
    assert.equal(echo.plan(step), undefined);
    assert.equal(echo.run(step, { id: 'task_1', key: 'k', input: '{"x":"⚓"}' }), 'null');
    assert.deepEqual(seen, [[given], [given, { id: 'task_1', key: 'k', input: { x: '⚓' } }]]);
  });

  test('values survive the way through JSON', () => {
    const { run } = bulkhead.plugin({ ...about, run: (_, { input }) => input });
    let deep = [];
    for (let level = 0; level < 100; level += 1) deep = [deep];
    for (const value of ['', '⚓🚢 \\ " \u0000 \u2028', 2 ** 53 - 1, 1e-300, [], {}, { '': null }, deep]) {
      assert.deepEqual(JSON.parse(run(step, { id: 't', key: 'k', input: JSON.stringify(value) })), value);
    }
  });

  test('what JSON has no form for is null', () => {
    for (const value of [undefined, Number.NaN, Symbol('s')]) {
      assert.equal(bulkhead.plugin({ ...about, run: () => value }).run(step, { id: 't', key: 'k', input: '0' }), 'null');
    }
  });

  test('a failure says whether to try again', () => {
    const fail = (message, options) =>
      failure(() => {
        throw new bulkhead.Failure(message, options);
      });
    assert.deepEqual(fail('no pump'), { message: 'no pump', retryable: false });
    assert.deepEqual(fail(`no pump ${half}`, { retryable: true }), { message: 'no pump \ufffd', retryable: true });
  });

  test('anything else that is thrown is a panic, in one line', () => {
    const { message, retryable } = failure(() => {
      throw new RangeError('the boiler\n  burst');
    });
    assert.match(message, /^panicked at \/?[\w./-]*bulkhead\.test\.mjs:\d+:\d+: RangeError: the boiler burst$/);
    assert.equal(retryable, true);
    for (const [value, told] of [
      ['overboard', 'overboard'],
      [null, 'null'],
      [undefined, 'undefined'],
      [{ a: 1 }, '{"a":1}'],
      [Object.create(null), '{}'],
      [Symbol('s'), 'Symbol(s)'],
    ]) {
      assert.equal(
        failure(() => {
          throw value;
        }).message,
        `panicked at an unknown place: ${told}`,
      );
    }
    assert.match(failure(() => 1n).message, /^panicked at .*bulkhead\.js:\d+:\d+: TypeError: .*BigInt/);
  });

  test('a refusal of the host is a failure by its name', () => {
    for (const [refusal, text, retryable] of [
      [{ tag: 'not-found', val: 'no such file' }, 'artifacts: not-found: no such file', false],
      [{ tag: 'too-large', val: 7n }, 'artifacts: too-large: 7', false],
      [{ tag: 'cancelled' }, 'artifacts: cancelled', false],
      [{ tag: 'unavailable', val: 'later' }, 'artifacts: unavailable: later', true],
    ]) {
      for (const thrown of [refusal, Object.assign(new Error('refused'), { payload: refusal })]) {
        mock.method(host.artifacts, 'find', () => {
          throw thrown;
        });
        assert.throws(
          () => new bulkhead.File('x'),
          (error) => error instanceof bulkhead.HostError && error.kind === refusal.tag,
        );
        assert.deepEqual(
          failure(() => new bulkhead.File('x')),
          { message: text, retryable },
        );
      }
    }
    mock.method(host.artifacts, 'find', () => {
      throw new TypeError('of the engine');
    });
    assert.throws(() => new bulkhead.File('x'), TypeError);
  });
});

describe('what the host offers', () => {
  test('many tasks are spawned in several calls', () => {
    const spawn = mock.method(host.tasks, 'spawn');
    assert.equal(bulkhead.spawn(Array.from({ length: 25_000 }, (_, number) => ({ key: `${number}`, input: number }))), 25_000);
    assert.deepEqual(
      spawn.mock.calls.map(({ arguments: [specs] }) => specs.length),
      [10_000, 10_000, 5_000],
    );
    assert.deepEqual(spawn.mock.calls[1].arguments[0][0], { key: '10000', input: '10000' });
    assert.equal(bulkhead.spawn([]), 0);
    bulkhead.spawn([{ key: 'none' }]);
    assert.deepEqual(spawn.mock.calls[3].arguments[0], [{ key: 'none', input: 'null' }]);
  });

  test('a checkpoint is there again, on either engine', () => {
    for (const [sdk, on] of [
      [bulkhead, (work) => work()],
      [plain, withoutCodecs],
    ]) {
      let kept;
      mock.method(host.checkpoint, 'save', (data) => {
        kept = data;
      });
      mock.method(host.checkpoint, 'load', () => kept);
      assert.equal(
        on(() => sdk.loadCheckpoint()),
        undefined,
      );
      on(() => sdk.saveCheckpoint({ at: 2 ** 53 - 1, word: '⚓🚢' }));
      assert.deepEqual(
        on(() => sdk.loadCheckpoint()),
        { at: 2 ** 53 - 1, word: '⚓🚢' },
      );
      mock.restoreAll();
    }
  });

  test('a file is read in pieces, with 64-bit numbers as the engine takes them', () => {
    const content = Uint8Array.from({ length: 2_560_000 }, (_, at) => at % 251);
    for (const [sdk, kind] of [
      [bulkhead, 'bigint'],
      [plain, 'number'],
    ]) {
      mock.method(host.artifacts, 'find', () => ({ size: 2_560_000n }));
      const read = mock.method(host.artifacts, 'read', (_source, _name, offset, most) => {
        assert.equal(typeof offset, kind);
        return content.subarray(Number(offset), Number(offset) + Math.min(most, 1 << 20));
      });
      const file = new sdk.File('text');
      assert.equal(file.size, content.length);
      assert.deepEqual(file.read(3, content.length), content.subarray(3));
      assert.equal(read.mock.callCount(), 4);
      assert.equal(file.read(content.length, 10).length, 0);
      const progress = mock.method(host.status, 'progress');
      sdk.progress(1.5);
      sdk.progress(1, 2);
      assert.deepEqual(
        progress.mock.calls.map(({ arguments: all }) => all.map(Number)),
        [
          [1, Number.NaN],
          [1, 2],
        ],
      );
      mock.restoreAll();
    }
  });

  test('an artifact is written in pieces', () => {
    const write = mock.method(host.artifacts, 'write');
    bulkhead.writeArtifact('out', new Uint8Array((1 << 20) + 1));
    bulkhead.writeArtifact('out', new Uint8Array());
    assert.deepEqual(
      write.mock.calls.map(({ arguments: [, data] }) => data.length),
      [1 << 20, 1],
    );
  });

  test('outputs come page by page, without what failed', () => {
    const pages = [
      [
        { task: 1, key: 'a', outcome: { tag: 'succeeded', val: '1' } },
        { task: 2, key: 'b', outcome: { tag: 'cancelled' } },
      ],
      [{ task: 5, key: 'c', outcome: { tag: 'succeeded', val: '"⚓"' } }],
      [],
    ];
    const read = mock.method(host.outputs, 'read', () => pages.shift());
    assert.deepEqual(
      [...bulkhead.stepOutputs('before')],
      [
        { key: 'a', output: 1 },
        { key: 'c', output: '⚓' },
      ],
    );
    assert.deepEqual(
      read.mock.calls.map(({ arguments: [, after] }) => after),
      [undefined, 2, 5],
    );
  });

  test('what the task is doing is UTF-8', () => {
    const message = mock.method(host.status, 'message');
    bulkhead.message(`at ${half} work`);
    assert.deepEqual(message.mock.calls[0].arguments, ['at \ufffd work']);
  });
});

describe('texts', () => {
  test('both ways of decoding are one, whatever the bytes', () => {
    const cases = ['', 'plain', '\ufeffmarked', '⚓🚢 \u0000 \u07ff\u0800\uffff', 'x'.repeat(10_000)].map((text) =>
      new TextEncoder().encode(text),
    );
    for (const bytes of [
      [0xff],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xe2, 0x9a],
      [0xf0, 0x9f, 0x9a],
      [0xe2, 0x41],
      [0xf0, 0x80, 0x80, 0x41],
      [0x80, 0xbf],
    ]) {
      cases.push(Uint8Array.from(bytes), Uint8Array.from([0x61, ...bytes, 0x62]));
    }
    const next = dice();
    for (let number = 0; number < 2_000; number += 1) {
      cases.push(Uint8Array.from({ length: number % 12 }, () => next(256)));
    }
    for (const bytes of cases) {
      const expected = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
      assert.equal(bulkhead.textOf(bytes), expected);
      assert.equal(
        withoutCodecs(() => plain.textOf(bytes)),
        expected,
        `${bytes}`,
      );
    }
  });

  test('both ways of encoding are one', () => {
    for (const text of ['', 'plain', '⚓🚢 \u0000 % \u07ff\u0800\uffff', `a${half}b`]) {
      const expected = new TextEncoder().encode(text);
      assert.deepEqual(bulkhead.bytesOf(text), expected);
      assert.deepEqual(
        withoutCodecs(() => plain.bytesOf(text)),
        expected,
      );
    }
  });
});
