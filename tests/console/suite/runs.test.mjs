// The list of runs: its filters are in the address, it can be held still, and something can be done to all that match.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, missing, open, Server } from './support.mjs';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Record<string, string>} */
const runs = {};

const held = (/** @type {string} */ id, /** @type {string} */ tags) =>
  `id = "${id}"\nname = "${id[0].toUpperCase()}${id.slice(1)}"\ntags = ${tags}\n[step.only]\nplugin = "generator"\nworker_count = 2\nlog_count = 100000\nlog_delay_ms = 50\ntimeout = "20m"\n`;

before(async () => {
  if (missing) return;
  server = await Server.start();
  browser = await launch();
  runs.panicked = await server.run('id = "panicking"\n[step.one]\nplugin = "misbehave"\nmode = "panic"\n');
  runs.refused = await server.run('id = "refusing"\ntags = ["import"]\n[step.one]\nplugin = "misbehave"\nmode = "error-final"\n');
  runs.good = await server.run('id = "good"\nname = "Good one"\ntags = ["import"]\n[step.one]\nplugin = "noop"\n');
  runs.slow = await server.run(
    'id = "slow"\n[step.one]\nplugin = "generator"\nworker_count = 1\nlog_count = 40\nlog_delay_ms = 50\n',
  );
  for (const name of Object.keys(runs)) await server.end(runs[name]);
  runs.held = await server.run(held('held', '["live"]'));
  runs.other = await server.run(held('other', '[]'));
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function fresh() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  return open(context);
}

/** @param {import('playwright-core').Page} page */
const listed = (page) =>
  page.evaluate(() => [...document.querySelectorAll('tr[data-run]')].map((row) => /** @type {HTMLElement} */ (row).dataset.run));

test('each filter is in the address and shows what the server finds', { skip: missing }, async () => {
  const page = await fresh();
  const moment = (await server.api(`/runs/${runs.slow}`)).created_at;
  for (const [query, names] of /** @type {[string, string[]][]} */ ([
    ['state=failed', ['refused', 'panicked']],
    ['state=running,failed', ['other', 'held', 'refused', 'panicked']],
    ['definition=slow', ['slow']],
    ['tag=import', ['good', 'refused']],
    ['cause=panic', ['panicked']],
    ['text=GOOD%20ONE', ['good']],
    [`since=${encodeURIComponent(moment)}`, ['other', 'held', 'slow']],
    [`until=${encodeURIComponent(moment)}`, ['good', 'refused', 'panicked']],
    ['since=1h&tag=import&state=succeeded', ['good']],
    ['min_duration=1500ms&state=succeeded', ['slow']],
    ['max_duration=1500ms&state=succeeded', ['good']],
    ['tag=nothing', []],
  ])) {
    await page.goto(`${server.base}/runs?${query}`);
    await page.locator(names.length > 0 ? `tr[data-run="${runs[names[0]]}"]` : '.empty').waitFor();
    assert.deepEqual(
      await listed(page),
      names.map((name) => runs[name]),
      query,
    );
  }
  // The fields say what the address says, and write it.
  await page.goto(`${server.base}/runs`);
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.getByLabel('Cause').selectOption('panic');
  await page.waitForURL('**/runs?cause=panic');
  await page.locator(`tr[data-run="${runs.good}"]`).waitFor({ state: 'detached' });
  await page.getByLabel('Took at least').fill('1h');
  await page.keyboard.press('Tab');
  await page.waitForURL('**/runs?cause=panic&min_duration=1h');
  await page.getByText('No run matches').waitFor();
  await page.getByRole('link', { name: 'Clear all' }).click();
  await page.locator(`tr[data-run="${runs.good}"]`).waitFor();
  await page.getByRole('button', { name: /^failed/ }).click();
  await page.reload();
  await page.locator(`tr[data-run="${runs.panicked}"]`).waitFor();
  assert.equal((await listed(page)).length, 2);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('a list that is held still says how much waits, and goes on', { skip: missing }, async () => {
  const page = await fresh();
  await page.goto(`${server.base}/runs?definition=held`);
  await page.locator(`tr[data-run="${runs.held}"]`).waitFor();
  await page.locator('.connection.open').first().waitFor();
  await page.keyboard.press('f');
  await page.getByRole('button', { name: 'Frozen' }).waitFor();
  const more = await server.run(held('held', '["live"]'));
  await page.getByRole('button', { name: /Frozen, \d+ changes? waits?/ }).waitFor();
  assert.deepEqual(await listed(page), [runs.held]);
  await page.keyboard.press('f');
  await page.locator(`tr[data-run="${more}"]`).waitFor();
  assert.deepEqual(await listed(page), [more, runs.held]);
  await server.api(`/runs/${more}/cancel`, { method: 'POST' });
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('all runs that match are counted, and cancelled or deleted, and no others', { skip: missing }, async () => {
  const page = await fresh();
  const crowd = [];
  for (let turn = 0; turn < 5; turn += 1) crowd.push(await server.run(held('crowd', '["crowd"]')));
  await page.goto(`${server.base}/runs?tag=crowd`);
  await page.locator(`tr[data-run="${crowd[4]}"]`).waitFor();
  await page.getByRole('button', { name: 'Act on all that match…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByTestId('bulk-cancel').getByText('5 runs').waitFor();
  await dialog.getByTestId('bulk-delete').getByText('0 runs').waitFor();
  // Whoever thinks better of it changes nothing.
  await dialog.getByRole('button', { name: 'Leave them' }).click();
  assert.equal((await server.api(`/runs/${crowd[0]}`)).state, 'running');
  await page.getByRole('button', { name: 'Act on all that match…' }).click();
  await dialog.getByLabel(/^Cancel/).check();
  await dialog.getByRole('button', { name: 'Cancel 5 runs' }).click();
  await dialog.getByText('5 runs cancelled').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  for (const run of crowd) {
    await page.locator(`tr[data-run="${run}"][data-state="cancelled"]`).waitFor();
    assert.equal((await server.api(`/runs/${run}`)).state, 'cancelled');
  }
  assert.equal((await server.api(`/runs/${runs.held}`)).state, 'running');

  await page.getByRole('button', { name: 'Act on all that match…' }).click();
  await dialog.getByLabel(/^Delete/).check();
  await dialog.getByRole('button', { name: 'Delete 5 runs' }).click();
  await dialog.getByText('5 runs deleted').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByText('No run matches').waitFor();
  assert.equal((await server.api('/runs?limit=100')).items.length, 7);

  await page.goto(`${server.base}/runs?cause=panic`);
  await page.locator(`tr[data-run="${runs.panicked}"]`).waitFor();
  const before = (await server.api(`/runs/${runs.panicked}`)).attempts;
  await page.getByRole('button', { name: 'Act on all that match…' }).click();
  await dialog.getByLabel(/^Retry/).check();
  await dialog.getByRole('button', { name: 'Retry 1 run' }).click();
  await dialog.getByText('1 run retried').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  assert.equal((await server.end(runs.panicked)).attempts, before + 1);

  // Those that are chosen one by one.
  await page.goto(`${server.base}/runs?tag=import`);
  await page.locator(`tr[data-run="${runs.good}"]`).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.getByRole('toolbar', { name: 'Chosen runs' }).getByRole('button', { name: 'Delete 1' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.locator(`tr[data-run="${runs.good}"]`).waitFor({ state: 'detached' });
  assert.deepEqual(await listed(page), [runs.refused]);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
