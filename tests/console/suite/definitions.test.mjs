// Definitions: a form of what they take, their versions, and when they run by themselves.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, missing, open, ROOT, Server } from './support.mjs';

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

/** @param {string} path */
async function show(path) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await open(context);
  await page.goto(server.base + path);
  return page;
}

const TAKES = `id = "takes"
name = "Takes"
[parameters.mode]
enum = ["full", "changes"]
required = true
[parameters.count]
type = "integer"
description = "How many"
default = 3
minimum = 1
maximum = 9
[parameters.dry]
type = "boolean"
default = false
[parameters.names]
type = "array"
[files.rows]
description = "A table"
required = true
[step.one]
plugin = "noop"
`;

/** The run that the page shows. @param {import('playwright-core').Page} page */
const shown = (page) => server.api(`/runs/${new URL(page.url()).pathname.split('/').at(-1)}`);

test('a form is made of what a definition takes, and the server’s refusals stand at their fields', {
  skip: missing,
}, async () => {
  await server.define(TAKES);
  const page = await show('/definitions/takes');
  const form = page.locator('.run-form');
  await form.getByLabel('mode').waitFor();
  // What is required comes first; a default is what is shown where nothing is typed.
  const names = await form
    .locator('[data-field]')
    .evaluateAll((fields) => fields.map((field) => /** @type {HTMLElement} */ (field).dataset.field));
  assert.deepEqual(names, ['mode', 'count', 'dry', 'names', 'rows']);
  assert.equal(await form.getByLabel('count').getAttribute('placeholder'), '3');
  assert.match((await form.locator('[data-field="count"] label').textContent()) ?? '', /integer, 1 to 9/);
  assert.deepEqual(await form.getByLabel('mode').locator('option').allTextContents(), ['choose one', 'full', 'changes']);

  const run = form.getByRole('button', { name: 'Run', exact: true });
  await form.getByLabel('count').fill('12');
  await run.click();
  await form.locator('[data-field="count"].wrong').getByText('at most 9 is allowed').waitFor();
  await form.locator('[data-field="mode"].wrong').getByText('is required').waitFor();
  assert.equal(await form.getByLabel('count').getAttribute('aria-invalid'), 'true');
  await form.getByLabel('mode').selectOption('"changes"');
  await form.getByLabel('count').fill('5');
  await form.getByLabel('names').fill('["a", "b"');
  await form.locator('[data-field="names"]').getByText('no JSON yet').waitFor();
  await form.getByLabel('names').fill('["a", "b"]');
  await run.click();
  await form.locator('[data-field="rows"].wrong').getByText('is required').waitFor();
  await form.getByLabel('rows').setInputFiles({ name: 'rows.csv', mimeType: 'text/csv', buffer: Buffer.from('a,b\n1,2\n') });
  await form.getByLabel('Start it paused').check();
  await run.click();
  await page.waitForURL('**/runs/run_*');
  const started = await shown(page);
  assert.deepEqual([started.state, started.parameters], ['paused', { mode: 'changes', count: 5, dry: false, names: ['a', 'b'] }]);
  // What it was started with is there again.
  await page.getByRole('tab', { name: 'Files' }).click();
  await page.locator('tr[data-file="rows"]').getByRole('button', { name: 'rows', exact: true }).click();
  await page.getByRole('dialog').getByText('a,b').waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('a definition that says nothing of parameters and files takes any', { skip: missing }, async () => {
  const rows = readFileSync(join(ROOT, 'job-definitions/data/orders.csv'));
  const batch = readFileSync(join(ROOT, 'job-definitions/batch.toml'), 'utf8').replace(/\[files\.rows\][\s\S]*?\n\n/, '');
  await server.define(batch);
  const page = await show('/definitions/batch');
  const form = page.locator('.run-form');
  await form.getByRole('button', { name: 'Add a parameter' }).click();
  await form.getByLabel('Parameter', { exact: true }).fill('limit');
  await form.getByLabel('Value').fill('7');
  await form.getByRole('button', { name: 'Add a file' }).click();
  await form.getByLabel('The file’s name in the run').or(form.getByLabel("The file's name in the run")).fill('rows');
  await form.getByLabel('File', { exact: true }).setInputFiles({ name: 'orders.csv', mimeType: 'text/csv', buffer: rows });
  await form.getByRole('button', { name: 'Run', exact: true }).click();
  await page.waitForURL('**/runs/run_*');
  const run = await shown(page);
  assert.deepEqual(run.parameters, { limit: 7 });
  const files = await server.api(`/runs/${run.id}/files`);
  assert.deepEqual([files.items[0].name, files.items[0].size], ['rows', rows.length]);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('what differs between two versions is shown, and an earlier one is brought back', { skip: missing }, async () => {
  const text = (/** @type {number} */ count) =>
    `id = "versioned"\n# A comment that stays.\n[step.one]\nplugin = "generator"\nworker_count = ${count}\nlog_count = 5\n`;
  await server.define(text(1));
  await server.define(text(2));
  await server.define(`${text(3)}[step.two]\nplugin = "noop"\n`);
  const page = await show('/definitions/versioned?tab=versions');
  const lines = (/** @type {string} */ kind) => page.locator(`.diff .${kind} .text`).allTextContents();
  await page.locator('.diff .added').first().waitFor();
  assert.deepEqual(
    [await lines('removed'), await lines('added')],
    [['worker_count = 2'], ['worker_count = 3', '[step.two]', 'plugin = "noop"']],
  );
  await page.getByLabel('From version').selectOption('1');
  await page.getByLabel('to version').selectOption('2');
  await page.waitForURL('**/definitions/versioned?tab=versions&from=1&to=2');
  await page.locator('.diff .removed').getByText('worker_count = 1').waitFor();
  assert.deepEqual(await lines('added'), ['worker_count = 2']);
  // A link to it shows the same.
  await page.reload();
  await page.locator('.diff .removed').getByText('worker_count = 1').waitFor();
  await page.getByRole('button', { name: 'Bring version 1 back' }).click();
  await page.getByRole('button', { name: 'Bring it back' }).click();
  await page.getByText('version 4,').waitFor();
  const now = await server.api('/definitions/versioned');
  assert.deepEqual([now.version, now.text], [4, text(1)]);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('the next scheduled runs stand beside a definition, and its schedule is paused, resumed and run', {
  skip: missing,
}, async () => {
  await server.define(
    'id = "nightly"\n[schedule]\ncron = "0 3 * * MON-FRI"\ntimezone = "Europe/Berlin"\n[step.one]\nplugin = "noop"\n',
  );
  await server.define('id = "often"\n[schedule]\ncron = "* * * * * *"\n[step.one]\nplugin = "noop"\n');
  const page = await show('/definitions/nightly');
  await page.locator('.schedule-line').getByText('0 3 * * MON-FRI').waitFor();
  assert.equal(await page.locator('[aria-labelledby="next-runs"] li').count(), 5);
  await page.getByRole('link', { name: 'The schedule and its last fires' }).click();
  await page.waitForURL('**/schedules/nightly');
  await page.locator('.moments li').first().waitFor();
  const { upcoming } = await server.api('/schedules/nightly?upcoming=10');
  const shown = await page.locator('.moments time').evaluateAll((times) => times.map((time) => time.getAttribute('datetime')));
  assert.deepEqual(shown, upcoming);
  assert.match((await page.locator('.moments li').first().textContent()) ?? '', /03:00:00/);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('heading', { name: 'Next fires, were it not paused' }).waitFor();
  assert.equal((await server.api('/schedules/nightly')).paused, true);
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  await page.getByRole('button', { name: 'Run now' }).click();
  await page.waitForURL('**/runs/run_*');
  assert.equal((await server.api('/schedules/nightly')).fires[0].manual, true);

  // What fires is there without a reload.
  await page.goto(`${server.base}/schedules/often`);
  await page.locator('tr[data-outcome="started"]').nth(1).waitFor();
  const before = await page.locator('tr[data-outcome="started"]').count();
  await page
    .locator('tr[data-outcome="started"]')
    .nth(before + 1)
    .waitFor();
  await page.goto(`${server.base}/schedules`);
  await page.locator('tr[data-schedule="often"]').getByRole('button', { name: 'Pause often' }).click();
  await page.locator('tr[data-schedule="often"]').getByText('paused').waitFor();

  // What an expression means, and what is wrong with one.
  await page.getByLabel('Zone').fill('America/New_York');
  await page.getByLabel('Cron').fill('30 2 14 3 *');
  await page.locator('.preview-cron time').first().waitFor();
  const preview = await server.api('/schedule-preview?cron=30%202%2014%203%20*&timezone=America/New_York&count=8');
  await page.waitForFunction(
    (first) => document.querySelector('.preview-cron time')?.getAttribute('datetime') === first,
    preview.upcoming[0],
  );
  await page.getByLabel('Cron').fill('61 * * * *');
  await page.locator('#preview-error').getByText(/61/).waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
