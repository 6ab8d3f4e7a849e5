// A run's steps and tasks: the graph, the timeline, the table and the panel of a task. What is shown is what the API says.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, missing, open, report, Server } from './support.mjs';

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

/** @param {string} path @param {import('playwright-core').BrowserContextOptions} [options] */
async function show(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce', ...options });
  const page = await open(context);
  await page.goto(server.base + path);
  return page;
}

const step = (/** @type {string} */ name, /** @type {string[]} */ depends, /** @type {string} */ more = '') =>
  `[step.${name}]\nplugin = "generator"\nworker_count = 2\nlog_count = 20\nlog_delay_ms = 10\n${depends.length > 0 ? `depends = ${JSON.stringify(depends)}\n` : ''}${more}`;
const WEB = [
  'id = "web"\nname = "Web"\n',
  step('fetch', []),
  step('configure', []),
  step('left', ['fetch']),
  step('right', ['fetch']),
  step('bad', ['fetch'], 'failure_rate = 1.0\n'),
  step('join', ['left', 'right', 'configure']),
  step('never', ['bad', 'join']),
].join('');

test('the graph has each step behind those that it waits for, and goes through their states', { skip: missing }, async () => {
  const run = await server.run(WEB);
  const page = await show(`/runs/${run}?tab=graph`);
  await page.locator('.node').first().waitFor();
  const nodes = () =>
    page.evaluate(() =>
      [...document.querySelectorAll('.node')].map((node) => {
        const [x, y] = (/translate\(([\d.]+) ([\d.]+)\)/.exec(node.getAttribute('transform') ?? '') ?? []).slice(1).map(Number);
        const { node: name = '', state = '' } = /** @type {SVGElement} */ (node).dataset;
        return {
          name,
          state,
          x,
          y,
          word: node.querySelector('.node-state')?.textContent ?? '',
          label: node.getAttribute('aria-description'),
        };
      }),
    );
  const drawn = await nodes();
  const plan = (await server.api(`/runs/${run}`)).steps;
  assert.deepEqual(drawn.map(({ name }) => name).sort(), plan.map((/** @type {any} */ one) => one.name).sort());
  const at = Object.fromEntries(drawn.map((node) => [node.name, node]));
  let edges = 0;
  for (const { name, depends } of plan) {
    for (const on of depends) assert.ok(at[on].x < at[name].x, `${on} is left of ${name}`);
    edges += depends.length;
  }
  assert.equal(await page.locator('.graph-edges path').count(), edges);
  // None lies on another.
  for (const a of drawn) {
    for (const b of drawn) if (a !== b && a.x === b.x) assert.ok(Math.abs(a.y - b.y) >= 60, `${a.name} and ${b.name}`);
  }
  const ended = await server.end(run);
  for (const { name, state } of ended.steps) await page.locator(`.node[data-node="${name}"][data-state="${state}"]`).waitFor();
  for (const node of await nodes()) {
    const known = ended.steps.find((/** @type {any} */ one) => one.name === node.name);
    assert.equal(node.state, known.state);
    assert.ok(node.word.startsWith(known.state), node.word);
    assert.match(node.label ?? '', new RegExp(`^${node.name}, ${known.state}`));
  }
  // The keyboard is enough: through the graph by arrows, and Enter opens the card.
  await page.locator('.node[tabindex="0"]').focus();
  const focused = () => page.evaluate(() => /** @type {SVGElement} */ (document.activeElement).dataset.node);
  const first = await focused();
  await page.keyboard.press('ArrowRight');
  const second = (await focused()) ?? '';
  assert.ok(at[first ?? ''].x < at[second].x);
  await page.keyboard.press('Enter');
  await page.locator(`.step.chosen[data-step="${second}"] .step-body:not([hidden])`).waitFor();
  assert.match(page.url(), new RegExp(`step=${second}`));
  // So is the mouse.
  await page.locator('.node[data-node="join"]').click();
  await page.locator('.step.chosen[data-step="join"]').waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('the timeline has a bar for each attempt, and a million tasks cost no more than some', { skip: missing }, async () => {
  const retried = await server.run(
    'id = "retried"\n[step.one]\nplugin = "misbehave"\nmode = "error-retryable"\ncopies = 3\nretry = { attempts = 3, backoff = "50ms" }\n[step.two]\nplugin = "generator"\nworker_count = 2\nlog_count = 50\nlog_delay_ms = 5\n',
  );
  const ended = await server.end(retried);
  const page = await show(`/runs/${retried}?tab=timeline`);
  await page.locator('.time-bar').first().waitFor();
  assert.equal(await page.locator('.time-bar').count(), ended.attempts);
  assert.equal(await page.locator('.time-step[data-step="one"] .time-bar.failed').count(), 9);
  const [bar] = await page
    .locator('.time-step[data-step="two"] .time-bar')
    .last()
    .evaluateAll((bars) => bars.map((one) => one.getBoundingClientRect().width));
  assert.ok(bar > 3, `${bar}`);
  await page.getByRole('button', { name: 'failed', exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll('.time-bar').length === 9);
  await page.locator('.time-bar').first().click();
  await page.locator('.panel .attempt.failed').first().waitFor();
  assert.equal(await page.locator('.panel .attempt.failed').count(), 3);
  assert.deepEqual(page.errors, []);

  const many = await server.run(
    'id = "many"\n[step.many]\nplugin = "generator"\nworker_count = 20000\nlog_count = 1\nfailure_rate = 0.01\n[error_tolerance]\nmax_child_failures = 100000\n',
  );
  await page.goto(`${server.base}/runs/${many}?tab=timeline`);
  await page.locator('.time-bar').first().waitFor();
  await server.end(many);
  await page.getByText(/of 20,001 attempts/).waitFor();
  assert.ok((await page.locator('.time-bar').count()) <= 120);
  assert.ok((await page.locator('.time-band path').getAttribute('d'))?.includes('L100'));
  const started = Date.now();
  await server.api(`/runs/${many}/timeline?which=longest`);
  report({ 'timeline of 20,001 tasks, the request (ms)': Date.now() - started });
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('a table of a million tasks scrolls to any of them', { skip: missing }, async () => {
  await server.define(
    'id = "million"\n[step.plan]\nplugin = "generator"\nworker_count = 1000000\nlog_count = 0\nlimits = { spawned_tasks = 1000000 }\ntimeout = "10m"\n',
  );
  const { id } = await server.api('/definitions/million/runs', {
    method: 'POST',
    body: '{"paused":true}',
    headers: { 'content-type': 'application/json' },
  });
  const started = Date.now();
  let processed = await server.api(`/runs/${id}/process-next?wait=60s`, { method: 'POST' });
  while (processed.task.state === 'running') processed = { task: await server.api(`/tasks/${processed.task.id}`) };
  assert.equal(processed.task.state, 'succeeded');
  report({ 'a million tasks spawned in (ms)': Date.now() - started });
  const page = await show(`/runs/${id}?tab=tasks`);
  await page.getByText('1,000,001 of 1,000,001 tasks').waitFor();
  const rows = () =>
    page.evaluate(() =>
      [...document.querySelectorAll('.task-rows .task:not(.waiting) .t-number')].map((cell) => cell.textContent),
    );
  await page.locator('.task-rows .task:not(.waiting)').first().waitFor();
  assert.deepEqual((await rows()).slice(0, 3), ['plan', '1', '2']);
  // The end, and the middle, by the scroll bar.
  await page.keyboard.press('G');
  await page.waitForFunction(() =>
    [...document.querySelectorAll('.task-rows .t-number')].some((cell) => cell.textContent === '1000000'),
  );
  const took = await page.evaluate(async () => {
    const begin = performance.now();
    const box = /** @type {HTMLElement} */ (document.querySelector('.task-rows'));
    box.scrollTop = box.scrollHeight / 2;
    const there = () =>
      [...document.querySelectorAll('.task-rows .task:not(.waiting) .t-number')].some(
        (cell) => Math.abs(Number(cell.textContent) - 500_000) < 1_500,
      );
    while (!there()) await new Promise((next) => requestAnimationFrame(next));
    return Math.round(performance.now() - begin);
  });
  report({ 'jump in 1,000,000 tasks (ms)': took });
  const shown = (await rows()).map(Number);
  for (let at = 1; at < shown.length; at += 1) assert.equal(shown[at], shown[at - 1] + 1);
  assert.ok((await page.locator('.task-rows .task').count()) < 100);
  const { requests } = await page.evaluate(() => /** @type {any} */ (document.querySelector('.task-rows')).source);
  assert.ok(requests < 10, `${requests} requests`);
  // By number, and from there by keys, with the task beside it.
  await page.getByLabel('Step', { exact: true }).selectOption('plan');
  await page.getByLabel('Go to task number').fill('777777');
  await page.keyboard.press('Enter');
  await page.locator('.task.at').getByText('777777', { exact: true }).waitFor();
  await page.locator('.task-rows').focus();
  await page.keyboard.press('j');
  await page.locator('.task.at').getByText('777778', { exact: true }).waitFor();
  await page.keyboard.press('Enter');
  await page.locator('.panel h2').getByText('plan / 777778').waitFor();
  assert.deepEqual(page.errors, []);
  await page.goto(`${server.base}/runs/${id}?tab=tasks&state=succeeded`);
  await page.getByTestId('task-count').getByText('1 of 1 tasks').waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('a task’s panel has all that is known of it, and its input is edited and tried again', { skip: missing }, async () => {
  const run = await server.run(
    'id = "parts"\n[step.one]\nplugin = "misbehave"\nmodes = ["panic", "error-final"]\nlimits = { fuel = 100000000 }\n',
  );
  await server.end(run);
  const task = `${run.replace('run_', 'task_')}-0-1`;
  const page = await show(`/runs/${run}?tab=tasks&state=failed&panel=${task}`);
  const panel = page.locator('.panel');
  await panel.locator('.attempt.failed').waitFor();
  const known = await server.api(`/tasks/${task}`);
  const [attempt] = known.attempts;
  const text = (await panel.textContent()) ?? '';
  assert.ok(text.includes('the compartment is flooding'), text);
  assert.ok(text.includes(new Intl.NumberFormat('en').format(attempt.usage.fuel)), text);
  assert.match(text, /Memory\s*\d+/);
  assert.match((await panel.getByLabel('Backtrace of attempt 1').textContent()) ?? '', /misbehave\.wasm/);
  assert.equal(await panel.locator('.attempt .tail li').count(), attempt.log_tail.length);
  assert.equal(await panel.getByLabel('Input', { exact: true }).textContent(), '"panic"');
  // Another input, and then it does something else.
  await panel.getByRole('button', { name: 'Edit input' }).click();
  const input = panel.getByLabel('Input of the next attempt, as JSON');
  await input.fill('"noth');
  await panel.getByRole('button', { name: 'Store and retry' }).click();
  await panel.getByText('This is no JSON').waitFor();
  await input.fill('"nothing"');
  await panel.getByRole('button', { name: 'Store and retry' }).click();
  await panel.locator('.attempt.succeeded').waitFor();
  assert.equal((await server.api(`/tasks/${task}`)).state, 'succeeded');
  await panel.getByText('Input edited').waitFor();
  // A line of the tail leads to its place in the log.
  const line = panel.locator('.attempt.failed .tail a').first();
  const seq = await line.textContent();
  await panel.locator('.attempt.failed > summary').click();
  await line.click();
  await page.locator(`.line.chosen[data-seq="${seq}"]`).waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('what failed is retried, and a run is run again with what it had', { skip: missing }, async () => {
  await server.define(
    'id = "again"\n[parameters.word]\ntype = "string"\ndefault = "x"\n[step.one]\nplugin = "misbehave"\nmode = "error-final"\n',
  );
  const { id } = await server.api('/definitions/again/runs', {
    method: 'POST',
    body: '{"parameters":{"word":"mine"}}',
    headers: { 'content-type': 'application/json' },
  });
  await server.end(id);
  const page = await show(`/runs/${id}`);
  await page.getByRole('button', { name: /Retry failed/ }).click();
  await page.getByRole('button', { name: 'Retry', exact: true }).click();
  await page.waitForFunction(async (id) => (await (await fetch(`/api/v1/runs/${id}`)).json()).attempts === 3, id);
  await page.locator('.run-title .state.failed').waitFor();
  await page.getByRole('button', { name: 'Run again' }).click();
  await page.waitForURL((url) => /\/runs\/run_/.test(url.pathname) && !url.pathname.endsWith(id));
  const next = await server.api(`/runs/${new URL(page.url()).pathname.split('/').at(-1)}`);
  assert.deepEqual(next.parameters, { word: 'mine' });
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
