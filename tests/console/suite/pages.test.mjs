// Every page: reachable by keyboard, without violations of accessibility rules, in dark and in light, on a phone; and closed where
// the server wants a token.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ARTIFACTS, launch, missing, open, ROOT, Server, until } from './support.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
let misbehaved = '';
let failed = '';
let batch = '';
let group = '';

before(async () => {
  if (missing) return;
  server = await Server.start(['--definitions', join(ROOT, 'job-definitions')]);
  browser = await launch();
  // Nothing is sent, as the server has no such secret: it waits.
  const hook = { url: 'https://127.0.0.1:9/hook', secret: 'ops', events: ['run.failed', 'task.failed'] };
  const json = { 'content-type': 'application/json' };
  await server.api('/hooks/ops', { method: 'PUT', body: JSON.stringify(hook), headers: json });
  const misbehave = readFileSync(join(ROOT, 'job-definitions/misbehave.toml'), 'utf8');
  misbehaved = await server.run(misbehave.replace(/^enabled = false$/m, 'enabled = true'));
  failed = await server.run(
    'id = "doomed"\nname = "Doomed"\n[step.one]\nplugin = "generator"\nworker_count = 3\nlog_count = 30\nfailure_rate = 1.0\n[step.two]\ndepends = "one"\nplugin = "noop"\n',
  );
  await server.run(
    'id = "steady"\nname = "Steady"\ntags = ["demo"]\n[step.steady]\nplugin = "generator"\nworker_count = 3\nlog_count = 100000\nlog_delay_ms = 50\ntimeout = "20m"\n',
  );
  const small =
    'id = "small"\nname = "Small"\ntags = ["demo"]\n[step.one]\nplugin = "generator"\nworker_count = 4\nlog_count = 40\n[step.two]\ndepends = "one"\nplugin = "noop"\n';
  for (let turn = 0; turn < 6; turn += 1) await server.run(small);
  batch = await server.run(readFileSync(join(ROOT, 'job-definitions/batch.toml'), 'utf8'));
  const nightly = (/** @type {number} */ count) =>
    `id = "nightly"\nname = "Nightly import"\ntags = ["import"]\n[schedule]\ncron = "0 3 * * MON-FRI"\ntimezone = "Europe/Berlin"\nparameters = { mode = "full" }\n[parameters.mode]\nenum = ["full", "changes"]\ndescription = "Everything, or what changed"\nrequired = true\n[parameters.count]\ntype = "integer"\ndefault = ${count}\nminimum = 1\n[files.rows]\ndescription = "Rows to import"\n[step.one]\nplugin = "generator"\nworker_count = ${count}\nlog_count = 3\n`;
  await server.define(nightly(3));
  await server.define(nightly(4));
  await server.end(batch);
  await server.end(misbehaved);
  group = (await server.api('/dead-letters')).items[0].id;
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** @type {[string, () => string, string][]} name, address, what is there when the page is */
const PAGES = [
  ['overview', () => '/', '.tiles'],
  ['runs', () => '/runs', 'tr[data-run]'],
  ['run', () => `/runs/${misbehaved}`, '#app .line'],
  ['run-failed', () => `/runs/${failed}`, '.errors.bad'],
  ['run-line', () => `/runs/${misbehaved}#L2`, '.log-detail .tag'],
  ['run-tasks', () => `/runs/${misbehaved}?tab=tasks`, '.task-rows .task'],
  ['run-task', () => `/runs/${failed}?tab=tasks&state=failed&panel=${failed.replace('run_', 'task_')}-0-1`, '.panel .attempt'],
  ['run-graph', () => `/runs/${misbehaved}?tab=graph`, '.node'],
  ['run-timeline', () => `/runs/${misbehaved}?tab=timeline`, '.time-bar'],
  ['run-files', () => `/runs/${batch}?tab=files`, '.file-table'],
  ['run-about', () => `/runs/${misbehaved}?tab=about`, '.about'],
  ['runs-filtered', () => '/runs?tag=demo&since=24h', '.more-filters'],
  ['runs-none', () => '/runs?tag=nothing', '.empty'],
  ['definitions', () => '/definitions', 'td.name'],
  ['definition', () => '/definitions/test_job_generator', '.diagnostics .good'],
  ['definition-form', () => '/definitions/nightly', '.schedule-line'],
  ['definition-versions', () => '/definitions/nightly?tab=versions', '.diff'],
  ['definition-runs', () => '/definitions/small?tab=runs', 'tr[data-run]'],
  ['schedules', () => '/schedules', '.moments'],
  ['schedule', () => '/schedules/nightly', '.moments'],
  ['hooks', () => '/hooks', 'tr[data-hook]'],
  ['hook', () => '/hooks/ops?state=waiting', 'tr[data-delivery]'],
  ['plugins', () => '/plugins', 'td.name'],
  ['plugin', () => '/plugins/generator', 'table'],
  ['plugin-try', () => '/plugins/generator?tab=try', '.fields'],
  ['plugin-interfaces', () => '/plugins/generator?tab=interfaces', '.interfaces li'],
  ['artifacts', () => '/artifacts', '.file-table'],
  ['dead-letters', () => '/dead-letters', '.letters'],
  ['dead-letter', () => `/dead-letters/${group}`, '.letter-run'],
  ['settings', () => '/settings', 'table.plain'],
  ['missing', () => '/definitions/nothing', '.empty'],
];

test('no page violates a rule of accessibility, and each has its picture', { skip: missing }, async () => {
  await server.end(failed);
  mkdirSync(ARTIFACTS, { recursive: true });
  const violations = [];
  for (const theme of /** @type {const} */ (['dark', 'light'])) {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      colorScheme: theme,
      reducedMotion: 'reduce',
      bypassCSP: true,
    });
    const page = await open(context);
    for (const [name, path, there] of PAGES) {
      await page.goto(server.base + path());
      await page.locator(there).first().waitFor();
      await page.screenshot({ path: join(ARTIFACTS, `${name}-${theme}.png`) });
      await page.evaluate(axe);
      const found = await page.evaluate(() =>
        /** @type {any} */ (window).axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }),
      );
      for (const { id, nodes: all } of found.violations) {
        // A bar's width is its time, and the list of tasks has a row for each (WCAG 2.5.8, equivalent).
        const nodes = all.filter((/** @type {any} */ node) => id !== 'target-size' || !node.html.includes('time-bar'));
        if (nodes.length === 0) continue;
        violations.push(
          `${name} ${theme}: ${id}: ${nodes
            .slice(0, 3)
            .map((/** @type {any} */ node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`)
            .join(' | ')}`,
        );
      }
    }
    assert.deepEqual(page.errors, []);
    assert.deepEqual(page.foreign, []);
    await context.close();
  }
  assert.deepEqual(violations, []);
});

test('a phone shows every page without sideways scrolling', { skip: missing }, async () => {
  const context = await browser.newContext({ viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true });
  const page = await open(context);
  for (const [name, path, there] of PAGES) {
    await page.goto(server.base + path());
    await page.locator(there).first().waitFor();
    await page.screenshot({ path: join(ARTIFACTS, `${name}-phone.png`) });
    const wide = await page.evaluate(() => {
      const main = /** @type {HTMLElement} */ (document.querySelector('main'));
      return [document.documentElement.scrollWidth - innerWidth, main.scrollWidth - main.clientWidth];
    });
    assert.deepEqual(wide, [0, 0], name);
  }
  // Where one can go is behind one button.
  await page.goto(server.base);
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.getByRole('link', { name: 'Schedules' }).click();
  await page.getByRole('heading', { name: 'Schedules', level: 1 }).waitFor();
  await page.getByRole('link', { name: 'Artifacts' }).waitFor({ state: 'hidden' });
  assert.deepEqual(page.errors, []);
  await context.close();
});

test('the keyboard is enough', { skip: missing }, async () => {
  const context = await browser.newContext();
  const page = await open(context);
  await page.goto(server.base);
  await page.locator('.tiles').waitFor();
  await page.keyboard.press('?');
  await page.getByRole('heading', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('heading', { name: 'Keys' }).waitFor({ state: 'detached' });
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await page.locator('tr[data-run]').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  const chosen = await page.locator('tr.at').getAttribute('data-run');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/runs/${chosen}`);
  await page.locator('.log-rows').waitFor();
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'log-search');
  assert.deepEqual(page.errors, []);
  await context.close();
});

test('runs come and change in the list by themselves, and a filter is in the address', { skip: missing }, async () => {
  const context = await browser.newContext();
  const page = await open(context);
  await page.goto(`${server.base}/runs`);
  await page.locator('tr[data-run]').first().waitFor();
  const run = await server.run(
    'id = "fresh"\nname = "Fresh"\n[step.one]\nplugin = "generator"\nworker_count = 2\nlog_count = 50\nlog_delay_ms = 5\n',
  );
  await page.locator(`tr[data-run="${run}"][data-state="succeeded"]`).waitFor();
  await page.getByRole('button', { name: /^failed/ }).click();
  await page.waitForURL('**/runs?state=failed');
  await page.locator(`tr[data-run="${failed}"]`).waitFor();
  await page.locator(`tr[data-run="${run}"]`).waitFor({ state: 'detached' });
  await page.goto(`${server.base}/runs?text=fresh`);
  await page.locator(`tr[data-run="${run}"]`).waitFor();
  assert.equal(await page.locator('tr[data-run]').count(), 1);
  assert.deepEqual(page.errors, []);
  await context.close();
});

test('a definition is written with the server’s help, stored and run', { skip: missing }, async () => {
  const context = await browser.newContext();
  const page = await open(context);
  await page.goto(`${server.base}/definitions/new`);
  const text = page.getByLabel('Text of the definition, in TOML');
  await text.fill('id = "written"\n[step.first]\nplugin = "generator"\nworker_cout = 2\nlog_count = 5\n');
  await page.locator('.diagnostic').first().waitFor();
  assert.match((await page.locator('.diagnostic').first().textContent()) ?? '', /^4:1.*worker_count/s);
  await text.fill('id = "written"\n[step.first]\nplugin = "generator"\nworker_count = 2\nlog_count = 5\n');
  await page.locator('.diagnostics .good').waitFor();
  await page.getByRole('button', { name: 'Store' }).click();
  await page.waitForURL('**/definitions/written');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.waitForURL('**/runs/run_*');
  await until(page, 'source.ended && source.last === 10 && shown.length === 10');
  assert.deepEqual(page.errors, []);
  await context.close();
});

test('names and lines that mean harm are shown and do nothing', { skip: missing }, async () => {
  const context = await browser.newContext();
  const page = await open(context);
  // A plugin writes them: nothing is put into an answer on its way.
  const run = await server.run(
    'id = "hostile"\nname = "<img src=x onerror=alert(1)>\\u202Egnp"\ndescription = "<b>x</b>"\ntags = ["<b>"]\n[step.one]\nplugin = "misbehave"\nmodes = ["hostile-lines", "hostile-error"]\non_error = "continue"\nlimits = { log_line_bytes = "1MiB" }\nconcurrency = 1\n',
  );
  const ended = await server.end(run);
  assert.equal(ended.lines.total, 4);
  const hostile = '<script>alert(1)</script><img src=x onerror=alert(1)> & "quotes" ';
  await page.goto(`${server.base}/runs/${run}`);
  await until(page, 'shown.length === 4 && !waiting');
  const lines = page.locator('.l-message');
  const first = (await lines.nth(0).textContent()) ?? '';
  assert.ok(first.startsWith(`${hostile}red `), first);
  for (const part of ['␛]8;;javascript:alert(1)␇link', '␛[2J', '⟨RLO⟩reversed⟨LRI⟩', '␀']) assert.ok(first.includes(part), first);
  assert.ok(!/[\u0000-\u001f\u202e\u2066]/.test(first));
  assert.equal(await lines.nth(0).locator('.a-f1').textContent(), 'red');
  const second = (await lines.nth(1).textContent()) ?? '';
  for (const part of ['orange', '⟨ZWSP⟩hidden⟨ZWSP⟩', '⏎']) assert.ok(second.includes(part), second);
  assert.match((await lines.nth(2).textContent()) ?? '', /1,048,576 bytes/);
  assert.match((await page.locator('.l-fields').first().textContent()) ?? '', /^<b>=<script>/);
  await lines.nth(2).click();
  await page.getByRole('button', { name: 'Show all 1,048,576 characters' }).click();
  await page.waitForFunction(() => document.querySelector('.log-full')?.textContent?.length === 1 << 20);
  assert.match((await page.locator('h1').textContent()) ?? '', /^<img src=x onerror=alert\(1\)>⟨U\+202E⟩gnp$/);
  const inert = async () => {
    assert.equal(await page.locator('#app script, #app img, .line a, .node b, main td b b').count(), 0);
    const text = (await page.locator('#app').textContent()) ?? '';
    assert.ok(
      !/[\u0000-\u0008\u000b-\u001f\u202e\u2066]/.test(text),
      JSON.stringify(/.{20}[\u0000-\u0008\u000b-\u001f\u202e\u2066].{20}/.exec(text)?.[0]),
    );
  };
  await inert();
  const task = run.replace('run_', 'task_');
  const [group] = (await server.api('/dead-letters?text=onerror')).items;
  for (const [path, there] of [
    [`/runs/${run}?tab=tasks&panel=${task}-0-1`, '.panel .attempt'],
    [`/runs/${run}?tab=tasks&panel=${task}-0-2`, '.panel .failure'],
    [`/runs/${run}?tab=timeline`, '.time-bar'],
    [`/runs/${run}?tab=graph`, '.node'],
    [`/runs/${run}?tab=about`, '.about table'],
    ['/runs?text=hostile', 'tr[data-run]'],
    ['/definitions/hostile', '.run-form'],
    ['/definitions?', 'td.name'],
    ['/dead-letters?text=onerror', '.letters'],
    [`/dead-letters/${group.id}`, '.letter-run'],
    ['/', '.tiles'],
  ]) {
    await page.goto(server.base + path);
    await page.locator(there).first().waitFor();
    await inert();
  }
  assert.deepEqual(page.errors, []);
  await context.close();
});

test('a server with tokens asks for one, and the stream uses it', { skip: missing }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'bulkhead-console-token-'));
  const guarded = new Server();
  Object.assign(guarded, { data, options: ['--admin-token-file', join(data, 'admin')] });
  await guarded.launch('127.0.0.1:0');
  try {
    const secret = readFileSync(join(data, 'admin'), 'utf8').trim();
    const context = await browser.newContext();
    const page = await open(context);
    await page.goto(`${guarded.base}/runs`);
    await page.getByLabel('Token').fill('bulkhead_wrong');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('not known').waitFor();
    await page.getByLabel('Token').fill(secret);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'Runs' }).waitFor();
    await page.locator('.connection.open').waitFor();
    await page.reload();
    await page.locator('.connection.open').waitFor();
    const stored = await page.evaluate(() => JSON.stringify([Object.values(localStorage), document.cookie]));
    assert.ok(!stored.includes(secret));
    await context.close();
  } finally {
    await guarded.stop();
    rmSync(data, { recursive: true, force: true });
  }
});

test('the vendored libraries are those of their packages', () => {
  execFileSync(process.execPath, [join(ROOT, 'tests/console/vendor.mjs'), '--check'], { stdio: 'inherit' });
});
