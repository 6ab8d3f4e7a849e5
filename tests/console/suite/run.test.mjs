// A run watched to its end: what is shown is what the API says.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { consecutive, launch, missing, open, ROOT, report, Server, until, viewer } from './support.mjs';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  if (missing) return;
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** The test job with its slow step shortened, as `make demo` runs it. */
const generator = readFileSync(join(ROOT, 'job-definitions/test_job_generator.toml'), 'utf8').replace(
  /(\[step\.slow\][\s\S]*?log_delay_ms = )\d+/,
  '$120',
);

test('the test job is watched to its end without a reload', { skip: missing }, async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await open(context);
  const run = await server.run(generator);
  await page.goto(`${server.base}/runs/${run}`);
  // Each state of a step that the page shows, in order.
  await page.waitForSelector('.step');
  await page.evaluate(() => {
    const told = /** @type {Record<string, string[]>} */ (Object.assign(window, { told: {} }).told);
    const look = () => {
      for (const step of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('.step'))) {
        const { step: name = '', state = '' } = step.dataset;
        told[name] ??= [];
        const seen = told[name];
        if (seen.at(-1) !== state) seen.push(state);
      }
    };
    look();
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await until(page, 'source.ended && source.last === 4603 && viewport.follow && shown.includes(4603) && !waiting');
  const ended = await server.end(run);
  assert.equal(ended.state, 'succeeded');
  await page.waitForSelector('.run-title .state.succeeded');

  // The steps went through their states in the order that the state machine has, and none opened late.
  const told = await page.evaluate(() => /** @type {any} */ (window).told);
  const order = ['blocked', 'running', 'succeeded'];
  for (const [step, states] of Object.entries(told)) {
    assert.deepEqual(states, order.slice(order.indexOf(states[0])), step);
  }
  assert.deepEqual(
    Object.keys(told),
    ended.steps.map((/** @type {any} */ step) => step.name),
  );

  // The totals are those of the definition, with a line of the host's for each failure, and those that the API tells.
  assert.deepEqual([ended.tasks.failed, ended.tasks.total - ended.steps.length, ended.lines.total], [3, 25, 4603]);
  const number = (/** @type {number} */ value) => new Intl.NumberFormat('en').format(value);
  await page.getByTestId('run-tasks').getByText(`${ended.tasks.succeeded} / ${ended.tasks.total}`, { exact: true }).waitFor();
  for (const step of ended.steps) {
    const card = page.locator(`.step[data-step="${step.name}"]`);
    assert.equal(await card.getAttribute('data-state'), step.state);
    for (const [level, lines] of [
      ['info', step.lines.info + step.lines.debug],
      ['warn', step.lines.warn],
      ['error', step.lines.error],
    ]) {
      assert.equal(
        await card.locator(`.levels .${level}`).textContent(),
        `${{ info: 'INF', warn: 'WRN', error: 'ERR' }[level]} ${number(lines)}`,
      );
    }
  }
  assert.match((await page.locator('.errors').textContent()) ?? '', /3 failed tasks/);

  // Every line is there once, in order, and nothing was asked for twice.
  const asked = (await viewer(page)).requests;
  const numbers = await page.evaluate(async () => {
    const { viewport, source } = /** @type {any} */ (document.querySelector('.log-rows'));
    const seen = [];
    for (let row = 0; row < source.count; row += 20) {
      viewport.jump(row, 0);
      while (document.querySelector('.line.waiting')) await new Promise((next) => requestAnimationFrame(next));
      for (const line of document.querySelectorAll('.line')) seen.push(Number(/** @type {HTMLElement} */ (line).dataset.seq));
    }
    return [...new Set(seen)];
  });
  assert.deepEqual(
    numbers,
    Array.from({ length: 4603 }, (_, index) => index + 1),
  );
  const lines = await server.asked('/api/v1/runs/{id}/logs');
  report({ 'log requests for a run watched to its end': asked, 'and then scrolled through': lines });
  assert.ok(asked < 10, `${asked} requests`);
  assert.deepEqual(page.errors, []);
  assert.deepEqual(page.foreign, []);
  await context.close();
});

test('301 workers of 200 lines each lose and repeat none', { skip: missing }, async () => {
  const context = await browser.newContext();
  const page = await open(context);
  const run = await server.run(
    'id = "wide"\n[step.wide]\nplugin = "generator"\nworker_count = 301\nlog_count = 200\nlog_delay_ms = 5\n',
  );
  await page.goto(`${server.base}/runs/${run}`);
  await until(page, 'source.ended && source.last === 60200 && shown.includes(60200) && !waiting');
  consecutive((await viewer(page)).shown);
  assert.equal((await server.end(run)).tasks.succeeded, 302);
  await page.getByTestId('log-count').getByText('60,200 lines', { exact: true }).waitFor();
  await page.getByRole('tab', { name: 'Tasks' }).click();
  await page.getByText('of 302 tasks').waitFor();
  assert.deepEqual(page.errors, []);
  await context.close();
});

const held = (/** @type {string} */ id) =>
  `id = "${id}"\nname = "Held"\n[step.only]\nplugin = "generator"\nworker_count = 4\nlog_count = 100000\nlog_delay_ms = 20\ntimeout = "10m"\nconcurrency = 2\n`;

test('a run is paused, processed task by task, resumed and cancelled', { skip: missing }, async () => {
  const context = await browser.newContext();
  const page = await open(context);
  const second = await open(context);
  const run = await server.run(held('held'));
  await server.define('id = "stepwise"\n[step.one]\nplugin = "generator"\nworker_count = 3\nlog_count = 5\n');
  const stepwise = (
    await server.api('/definitions/stepwise/runs', {
      method: 'POST',
      body: '{"paused":true}',
      headers: { 'content-type': 'application/json' },
    })
  ).id;
  await page.goto(`${server.base}/runs/${run}`);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.waitForSelector('.run-title .state.paused');
  assert.equal((await server.api(`/runs/${run}`)).state, 'paused');
  // Exactly one task is done although the run is paused; its panel opens.
  const done = (await server.api(`/runs/${stepwise}`)).tasks.succeeded;
  assert.equal(done, 0);
  await second.goto(`${server.base}/runs/${stepwise}`);
  await second.getByRole('button', { name: 'Process next' }).click();
  await second.locator('.panel .attempt.succeeded').waitFor();
  const after = await server.api(`/runs/${stepwise}`);
  assert.deepEqual([after.state, after.tasks.succeeded], ['paused', 1]);
  assert.deepEqual(second.errors, []);
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.waitForSelector('.run-title .state.running');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Leave it' }).click();
  await page.waitForSelector('.run-title .state.running');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Cancel the run' }).click();
  await page.waitForSelector('.run-title .state.cancelled');
  assert.equal((await server.end(run)).state, 'cancelled');
  assert.match(await page.title(), /⊘ Held/);
  assert.deepEqual(page.errors, []);
  await context.close();
});

test('a connection that is cut is said and resumed exactly', { skip: missing }, async () => {
  const context = await browser.newContext();
  const page = await open(context);
  const run = await server.run(held('cut'));
  await page.goto(`${server.base}/runs/${run}`);
  await until(page, 'source.last > 50');
  await server.kill();
  await page.getByText('The connection was lost').waitFor();
  const known = (await viewer(page)).last;
  await server.again();
  await until(page, `source.last > ${known + 50} && shown.at(-1) > ${known} && !waiting`);
  await page.getByText('The connection was lost').waitFor({ state: 'detached' });
  consecutive((await viewer(page)).shown);
  const held_ = await page.evaluate(() => {
    const { source } = /** @type {any} */ (document.querySelector('.log-rows'));
    return [...source.blocks.values()].flat().map((line) => line?.seq);
  });
  consecutive(held_.slice(0, known));
  await server.api(`/runs/${run}/cancel`, { method: 'POST' });
  await server.end(run);
  await context.close();
});

test('two tabs share one stream, and both show every line', { skip: missing }, async () => {
  const context = await browser.newContext();
  const [first, second] = [await open(context), await open(context)];
  const run = await server.run(held('shared'));
  for (const page of [first, second]) {
    await page.goto(`${server.base}/runs/${run}`);
    await until(page, 'source.last > 20');
  }
  await first.waitForSelector('.connection[data-tabs="2"]');
  // A stream that was given up for one that both share may be on its way out.
  for (let streams = ''; streams !== '1'; ) {
    streams = /streams[a-z_]* (\d+)/.exec(await (await fetch(`${server.base}/metrics`)).text())?.[1] ?? 'no figure';
    assert.match(streams, /^[12]$/, 'streams for both tabs');
  }
  for (const page of [first, second]) {
    const { last } = await viewer(page);
    await until(page, `source.last > ${last + 20} && !waiting`);
    consecutive((await viewer(page)).shown);
  }
  await second.close();
  await first.waitForSelector('.connection[data-tabs="1"]');
  const { last } = await viewer(first);
  await until(first, `source.last > ${last + 20}`);
  await server.api(`/runs/${run}/cancel`, { method: 'POST' });
  await context.close();
});
