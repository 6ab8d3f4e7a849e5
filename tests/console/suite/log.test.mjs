// The log viewer on a log of 1,000,000 lines, and on lines that mean harm.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ARTIFACTS, consecutive, launch, missing, open, report, Server, until, viewer } from './support.mjs';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
let million = '';

before(async () => {
  if (missing) return;
  server = await Server.start();
  browser = await launch();
  million = await server.run(
    'id = "million"\n[step.lines]\nplugin = "generator"\nworker_count = 10\nlog_count = 100000\ntimeout = "10m"\n',
  );
  const ended = await server.end(million);
  assert.equal(ended.last_line, 1_000_000);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** @param {string} path */
async function show(path) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context);
  await page.goto(server.base + path);
  return page;
}

test('a million lines open at the end, are jumped in, scrolled, searched and filtered', { skip: missing }, async () => {
  const page = await show(`/runs/${million}`);
  await until(page, 'shown.includes(1000000) && !waiting');
  consecutive((await viewer(page)).shown);

  // Jumps: the row is in sight when its line is there.
  const jump = async (/** @type {number} */ seq) =>
    page.evaluate(async (seq) => {
      const start = performance.now();
      location.hash = `#L${seq}`;
      const there = () =>
        [...document.querySelectorAll('.line:not(.waiting)')].some(
          (line) => /** @type {HTMLElement} */ (line).dataset.seq === String(seq),
        );
      while (!there()) await new Promise((next) => requestAnimationFrame(next));
      return performance.now() - start;
    }, seq);
  const times = [];
  for (const seq of [500_000, 1, 999_999, 250_001, 777_777]) {
    times.push(await jump(seq));
    await page.waitForSelector(`.line.chosen[data-seq="${seq}"]`);
    await until(page, '!waiting');
    consecutive((await viewer(page)).shown);
  }

  // The wheel moves by rows, also where the browser's own scroll bar could not.
  await page.keyboard.press('Escape');
  const before = (await viewer(page)).row;
  await page.locator('.log-rows').hover();
  await page.mouse.wheel(0, 400);
  await until(page, `viewport.row > ${before} && viewport.row < ${before + 60} && !waiting`);
  await page.mouse.wheel(0, -800);
  await until(page, `viewport.row < ${before} && viewport.row > ${before - 60} && !waiting`);
  consecutive((await viewer(page)).shown);

  // The scroll bar means a share of the whole.
  await page.evaluate(() => {
    const rows = /** @type {HTMLElement} */ (document.querySelector('.log-rows'));
    rows.scrollTop = rows.scrollHeight / 2;
  });
  await until(page, 'Math.abs(viewport.row - 500000) < 1000 && !waiting');
  consecutive((await viewer(page)).shown);
  await page.locator('.log-rows').press('Home');
  await until(page, 'shown[0] === 1 && !waiting');
  await page.keyboard.press('G');
  await until(page, 'shown.includes(1000000) && viewport.follow');

  // A rare word: 10 lines of 1,000,000.
  const searched = Date.now();
  await page.keyboard.press('/');
  await page.keyboard.type('item 54321 of');
  await page.keyboard.press('Enter');
  await page.getByText('10 of 1,000,000 lines match').waitFor();
  const searching = Date.now() - searched;
  assert.equal(await page.locator('.line mark').count(), 10);
  const [hit] = (await viewer(page)).shown;
  // A number leads to the line among its neighbours.
  await page.locator('.line .l-number').first().click();
  await until(page, `shown.includes(${hit}) && shown.includes(${hit + 1}) && !waiting`);

  await page.getByLabel('Least level').selectOption('error');
  await until(page, 'source.constructor.name === "FilteredLog" && shown.length > 10');
  const errors = await page.locator('.line').count();
  assert.equal(await page.locator('.line.error').count(), errors);
  // Earlier ones come as one scrolls up.
  const { shown } = await viewer(page);
  for (let turn = 0; turn < 20; turn += 1) await page.mouse.wheel(0, -600);
  await until(page, `source.count > 250 && shown[0] < ${shown[0]}`);

  report({
    'jump in 1,000,000 lines, the median (ms)': Math.round(times.sort((a, b) => a - b)[2]),
    'a rare word in 1,000,000 lines, typed and shown (ms)': searching,
  });
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('the newest of a million lines are there before the console is, and stay where they are', { skip: missing }, async () => {
  for (const viewport of [
    { width: 1280, height: 800 },
    { width: 390, height: 800 },
  ]) {
    const context = await browser.newContext({ viewport });
    const page = await open(context);
    /** @type {() => void} */
    let go = () => {};
    const held = new Promise((done) => {
      go = () => done(null);
    });
    // The application comes late.
    await page.route('**/app.js', async (route) => {
      await held;
      await route.continue();
    });
    await page.goto(`${server.base}/runs/${million}`, { waitUntil: 'commit' });
    const last = page.locator('.line[data-seq="1000000"] .l-message');
    await page.locator('#first').waitFor();
    const seen = async () => {
      const { x = 0, y = 0 } = (await last.boundingBox()) ?? {};
      return [await last.textContent(), Math.round(x), Math.round(y)];
    };
    const first = await seen();
    assert.ok((await page.locator('#first .line').count()) >= 30);
    await page.screenshot({ path: join(ARTIFACTS, `run-first-${viewport.width}.png`) });
    go();
    await until(page, 'shown.includes(1000000) && !document.getElementById("first")');
    assert.deepEqual(await seen(), first);
    assert.deepEqual(page.errors, []);
    await context.close();
  }
});

test('how soon the newest of a million lines are seen', { skip: missing }, async () => {
  /** @type {Record<string, number[]>} */
  const times = { 'no file of the console cached': [], cached: [] };
  for (let turn = 0; turn < 3; turn += 1) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    for (const seen of Object.values(times)) {
      const page = await context.newPage();
      // In the page and without a look from outside, which would take its time.
      await page.addInitScript(() => {
        const look = () => {
          if (document.querySelectorAll('.line:not(.waiting)').length < 20) requestAnimationFrame(look);
          else
            requestAnimationFrame(() => {
              setTimeout(() => Object.assign(globalThis, { seenAt: performance.now() }));
            });
        };
        requestAnimationFrame(look);
      });
      await page.goto(`${server.base}/runs/${million}`, { waitUntil: 'load' });
      await page.waitForTimeout(1_000);
      seen.push(Math.round(await page.evaluate(() => /** @type {any} */ (globalThis).seenAt)));
      await page.close();
    }
    await context.close();
  }
  for (const [name, seen] of Object.entries(times)) {
    assert.ok(seen.every(Number.isFinite), `${seen}`);
    report({ [`first lines of 1,000,000: seen after the page was asked for, ${name} (ms)`]: seen.sort((a, b) => a - b)[1] });
  }
});

test('frames while ten thousand lines a second arrive', { skip: missing }, async () => {
  const page = await show('/runs');
  const run = await server.run(
    // A pause of 1 ms lasts up to 2, so 40 workers write 20,000 to 40,000 lines a second where nothing else holds them up.
    'id = "flood"\n[step.flood]\nplugin = "generator"\nworker_count = 40\nlog_count = 3000\nlog_delay_ms = 1\ntimeout = "5m"\n',
  );
  await page.goto(`${server.base}/runs/${run}`);
  await until(page, 'source.last > 100');
  const debug = await page.context().newCDPSession(page);
  await debug.send('Performance.enable');
  const spent = async () => {
    const { metrics } = await debug.send('Performance.getMetrics');
    return metrics
      .filter(({ name }) => /^(Script|Layout|RecalcStyle)Duration$/.test(name))
      .reduce((sum, { value }) => sum + value, 0);
  };
  const before = await spent();
  const from = await server.api(`/runs/${run}`);
  const seen = await page.evaluate(async () => {
    const { source } = /** @type {any} */ (document.querySelector('.log-rows'));
    const [from, start] = [source.last, performance.now()];
    let frames = 0;
    let longest = 0;
    let at = start;
    while (!source.ended && performance.now() - start < 4_000) {
      await new Promise((next) => requestAnimationFrame(next));
      longest = Math.max(longest, performance.now() - at);
      at = performance.now();
      frames += 1;
    }
    const seconds = (at - start) / 1_000;
    return {
      all: frames,
      seconds,
      last: source.last,
      frames: Math.round(frames / seconds),
      lines: Math.round((source.last - from) / seconds),
      longest: Math.round(longest),
    };
  });
  const to = await server.api(`/runs/${run}`);
  const after = await spent();
  report({
    'frames a second while lines arrive': seen.frames,
    'script, style and layout of a frame then (ms)': Number((((after - before) * 1_000) / Math.max(1, seen.all)).toFixed(1)),
    'lines a second then, written': Math.round((to.last_line - from.last_line) / seen.seconds),
    'lines a second then, arrived': seen.lines,
    'lines that were written and had not arrived at the end of it': to.last_line - seen.last,
    'longest frame then (ms)': seen.longest,
  });
  await until(page, 'source.ended && source.last === 120000 && shown.includes(120000)');
  consecutive((await viewer(page)).shown);
  await page.context().close();
});

test('following lets go when one scrolls up, and says how many lines wait', { skip: missing }, async () => {
  const run = await server.run(
    'id = "steady"\n[step.steady]\nplugin = "generator"\nworker_count = 2\nlog_count = 100000\nlog_delay_ms = 5\ntimeout = "5m"\n',
  );
  const page = await show(`/runs/${run}`);
  await until(page, 'source.last > 200');
  await page.locator('.log-rows').hover();
  await page.mouse.wheel(0, -500);
  await until(page, '!viewport.follow');
  const { row } = await viewer(page);
  await page.locator('.log-waiting').waitFor();
  assert.match((await page.locator('.log-waiting').textContent()) ?? '', /↓ [\d,]+ new lines?/);
  const { last } = await viewer(page);
  await until(page, `source.last > ${last + 100}`);
  assert.equal((await viewer(page)).row, row, 'what is read stays where it is');
  await page.locator('.log-waiting').click();
  await until(page, 'viewport.follow && shown.at(-1) === source.last');
  await page.keyboard.press('f');
  await until(page, '!viewport.follow');
  await server.api(`/runs/${run}/cancel`, { method: 'POST' });
  await page.context().close();
});

test('long lines wrap, and the end stays in sight', { skip: missing }, async () => {
  const page = await show(`/runs/${million}`);
  await page.setViewportSize({ width: 620, height: 700 });
  await until(page, 'shown.includes(1000000)');
  await page.keyboard.press('w');
  await page.waitForSelector('.log-rows.wrap');
  await until(page, 'viewport.atEnd && shown.includes(1000000)');
  await page.locator('.log-rows').hover();
  await page.mouse.wheel(0, -2_000);
  await until(page, '!viewport.follow && !shown.includes(1000000) && !waiting');
  consecutive((await viewer(page)).shown);
  await page.keyboard.press('G');
  await until(page, 'viewport.atEnd && shown.includes(1000000)');
  await page.context().close();
});
