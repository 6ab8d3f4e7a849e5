// What runs leave and what they are made of: dead letters, artifacts, plugins.

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
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true });
  const page = await open(context);
  await page.goto(server.base + path);
  return page;
}

test('dead letters of all runs are grouped, however many runs came after, and replayed', { skip: missing }, async () => {
  const failing = (/** @type {string} */ id, /** @type {number} */ workers) =>
    `id = "${id}"\n[step.one]\nplugin = "generator"\nworker_count = ${workers}\nlog_count = 2\nfailure_rate = 1.0\n[error_tolerance]\nmax_child_failures = 1000\n`;
  const old = await server.run(failing('old', 7));
  await server.end(old);
  // More runs than any list has on a page.
  await server.define('id = "noise"\n[step.one]\nplugin = "noop"\n');
  for (let turn = 0; turn < 21; turn += 1) {
    await Promise.all(Array.from({ length: 25 }, () => server.api('/definitions/noise/runs', { method: 'POST' })));
  }
  const recent = await server.run(failing('recent', 5));
  const panicked = await server.run('id = "panicking"\n[step.one]\nplugin = "misbehave"\nmode = "panic"\n');
  await server.end(recent);
  await server.end(panicked);
  const page = await show('/dead-letters');
  await page.getByText('13 tasks that failed for good, in 2 groups').waitFor();
  const counts = () => page.locator('.letters .group-count').allTextContents();
  assert.deepEqual(await counts(), ['12', '1']);
  await page.getByLabel('Cause').selectOption('panic');
  await page.waitForFunction(() => document.querySelectorAll('.letters').length === 1);
  assert.match((await page.locator('.letters-message').textContent()) ?? '', /the compartment is flooding/);
  await page.getByLabel('Cause').selectOption('');
  await page.waitForFunction(() => document.querySelectorAll('.letters').length === 2);
  // By keys into the first group.
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/dead-letters/sha256:*');
  await page.locator('.letter-run').first().waitFor();
  const runs = await page
    .locator('.letter-run')
    .evaluateAll((all) => all.map((one) => /** @type {HTMLElement} */ (one).dataset.run));
  assert.deepEqual(runs, [recent, old]);
  await page
    .locator(`.letter-run[data-run="${recent}"]`)
    .getByRole('button', { name: /Tasks of/ })
    .click();
  await page.locator('.letter-run li').first().waitFor();
  assert.equal(await page.locator('.letter-run li').count(), 5);
  // The tasks of one run, then all.
  const attempts = async (/** @type {string} */ run) => (await server.api(`/runs/${run}`)).attempts;
  await page.locator(`.letter-run[data-run="${old}"]`).getByRole('button', { name: 'Retry' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click();
  await page.getByText('7 tasks queued again').waitFor();
  assert.equal((await server.end(old)).attempts, 1 + 7 + 7);
  assert.equal(await attempts(recent), 1 + 5);
  await page.getByText('12 tasks of 2 runs').waitFor();
  await page.getByRole('button', { name: 'Skip all' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Skip' }).click();
  await page.getByText('12 tasks skipped').waitFor();
  await page.getByText('This group is empty now').waitFor();
  assert.deepEqual(
    [(await server.api(`/runs/${old}`)).tasks.skipped, (await server.api(`/runs/${recent}`)).tasks.skipped],
    [7, 5],
  );
  await page.goto(`${server.base}/dead-letters`);
  await page.getByText('1 task that failed for good, in 1 group').waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('artifacts are listed, looked into and downloaded', { skip: missing }, async () => {
  const run = await server.run(readFileSync(join(ROOT, 'job-definitions/batch.toml'), 'utf8'));
  await server.end(run);
  const page = await show('/artifacts');
  const row = page.locator('tr[data-file="summary.json"]');
  await row.waitFor();
  const known = (await server.api(`/runs/${run}/artifacts`)).items;
  const names = await page
    .locator('tr[data-file]')
    .evaluateAll((rows) => rows.map((one) => /** @type {HTMLElement} */ (one).dataset.file));
  assert.deepEqual(names.sort(), known.map((/** @type {any} */ one) => one.name).sort());
  const summary = known.find((/** @type {any} */ one) => one.name === 'summary.json');
  assert.ok((await row.textContent())?.includes(summary.digest.slice(7, 19)));
  const content = await (await fetch(`${server.base}/api/v1/runs/${run}/artifacts/collect/summary.json`)).text();
  await row.getByRole('button', { name: 'summary.json', exact: true }).click();
  assert.equal(await page.getByLabel('Content').textContent(), content);
  await page.getByRole('button', { name: 'Close' }).click();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    row.getByRole('button', { name: 'Download summary.json' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'summary.json');
  assert.equal(readFileSync(await download.path(), 'utf8'), content);
  // The same in the run itself, with the outputs of its steps.
  await page.goto(`${server.base}/runs/${run}?tab=files`);
  await page.locator('tr[data-file]').first().waitFor();
  assert.equal(await page.locator('tr[data-file]').count(), known.length);
  const [outputs] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Outputs of orders as ndjson' }).click(),
  ]);
  assert.equal(
    readFileSync(await outputs.path(), 'utf8')
      .trim()
      .split('\n').length,
    16,
  );
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('a plugin is tried with a form: one task, its result, its log and its cost', { skip: missing }, async () => {
  const page = await show('/plugins/generator?tab=try');
  const form = page.locator('.try form');
  await form.getByLabel('worker_count').fill('3');
  await form.getByLabel('failure_rate').fill('2');
  await form.getByRole('button', { name: 'Try it' }).click();
  await form.locator('[data-field="failure_rate"].wrong').getByText('at most 1 is allowed').waitFor();
  await form.getByLabel('failure_rate').fill('');
  await form.getByLabel('log_count').fill('12');
  await form.getByRole('button', { name: 'Try it' }).click();
  const done = page.getByTestId('try-task');
  await done.locator('.state.succeeded').waitFor();
  assert.equal(JSON.parse((await done.getByLabel('Output', { exact: true }).textContent()) ?? '').lines, 12);
  assert.equal(await done.locator('.tail li').count(), 12);
  assert.match((await done.locator('.figures').textContent()) ?? '', /Memory\s*\d+ KiB/);
  await page.getByText('2 other tasks were cancelled.').waitFor();
  const [run] = (await server.api('/runs?tag=try')).items;
  assert.deepEqual([run.state, run.tasks.succeeded, run.tasks.cancelled], ['cancelled', 2, 2]);
  assert.equal(
    (await server.api('/definitions')).items.some((/** @type {any} */ one) => one.id.startsWith('try-')),
    false,
  );

  // One that fails says how.
  await page.goto(`${server.base}/plugins/misbehave?tab=try`);
  await page.locator('.try form').getByLabel('mode', { exact: true }).selectOption('"panic"');
  await page.getByRole('button', { name: 'Try it' }).click();
  await page.getByTestId('try-task').locator('.failure').getByText('the compartment is flooding').waitFor();
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('an upload shows how far it is, in every tab and after a reload, and then what it is', { skip: missing }, async () => {
  // It is compiled in some seconds, and was not before.
  const page = await show('/plugins');
  await page.locator('.drop input').setInputFiles(join(ROOT, 'target/plugins/languages/go.wasm'));
  const bar = page.locator('.upload.checking progress');
  await bar.waitFor();
  const done = async () => Number(await bar.getAttribute('value'));
  const first = await done();
  await page.reload();
  await bar.waitFor();
  await page.waitForFunction((first) => Number(document.querySelector('.upload progress')?.getAttribute('value')) > first, first);
  assert.ok((await done()) < Number(await bar.getAttribute('max')));
  await page.locator('td.name').getByRole('link', { name: 'go', exact: true }).click();
  await page.getByRole('tab', { name: 'Interfaces' }).click();
  const known = await server.api('/plugins/go');
  const names = (/** @type {string} */ label) =>
    page.getByRole('list', { name: label, exact: true }).locator('li').allTextContents();
  await page.locator('.interfaces li').first().waitFor();
  assert.deepEqual([await names('Needs'), await names('Offers')], [known.analysis.imports, known.analysis.exports]);
  assert.ok(known.analysis.imports.some((/** @type {string} */ name) => name.startsWith('bulkhead:plugin/log@')));
  assert.match((await page.locator('.facts').textContent()) ?? '', /plugin, from a.*Compiled in/s);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('plugins are uploaded where they are dropped, and refused with the reason', { skip: missing }, async () => {
  await server.api('/plugins/hello', { method: 'DELETE' });
  const page = await show('/plugins');
  await page.getByRole('link', { name: 'generator', exact: true }).waitFor();
  const drop = async (/** @type {string} */ name, /** @type {Buffer} */ bytes) => {
    const data = await page.evaluateHandle(
      ([name, text]) => {
        const transfer = new DataTransfer();
        transfer.items.add(
          new File([Uint8Array.from(atob(text), (char) => char.charCodeAt(0))], name, { type: 'application/wasm' }),
        );
        return transfer;
      },
      [name, bytes.toString('base64')],
    );
    await page.dispatchEvent('.drop', 'drop', { dataTransfer: data });
  };
  await drop('nothing.wasm', Buffer.from('no component'));
  await page.locator('.upload.refused').getByText('it is no WebAssembly').waitFor();
  await drop('hello.wasm', readFileSync(join(ROOT, 'target/plugins/hello.wasm')));
  await page.locator('td.name').getByRole('link', { name: 'hello', exact: true }).waitFor();
  assert.equal((await server.api('/plugins/hello')).name, 'hello');
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
