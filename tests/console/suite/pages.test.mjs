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

before(async () => {
  if (missing) return;
  server = await Server.start(['--definitions', join(ROOT, 'job-definitions')]);
  browser = await launch();
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
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** @type {[string, () => string, string][]} name, address, what is there when the page is */
const PAGES = [
  ['overview', () => '/', '.tiles'],
  ['runs', () => '/runs', 'tr[data-run]'],
  ['run', () => `/runs/${misbehaved}`, '.line'],
  ['run-failed', () => `/runs/${failed}`, '.errors.bad'],
  ['run-line', () => `/runs/${misbehaved}#L2`, '.log-detail .tag'],
  ['run-tasks', () => `/runs/${misbehaved}?tab=tasks`, '.task-rows .task'],
  ['run-task', () => `/runs/${failed}?tab=tasks&state=failed&panel=${failed.replace('run_', 'task_')}-0-1`, '.panel .attempt'],
  ['run-timeline', () => `/runs/${misbehaved}?tab=timeline`, '.time-row'],
  ['run-about', () => `/runs/${misbehaved}?tab=about`, '.about'],
  ['definitions', () => '/definitions', 'td.name'],
  ['definition', () => '/definitions/test_job_generator', '.diagnostics .good'],
  ['plugins', () => '/plugins', 'td.name'],
  ['plugin', () => '/plugins/generator', 'table.plain'],
  ['dead-letters', () => '/dead-letters', '.letters'],
  ['settings', () => '/settings', 'table.plain'],
];

test('no page violates a rule of accessibility, and each has its picture', { skip: missing }, async () => {
  await server.end(failed);
  await server.end(misbehaved);
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
      for (const { id, nodes } of found.violations) {
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
  for (const [name, path, there] of PAGES.filter(([name]) => ['overview', 'runs', 'run', 'definition'].includes(name))) {
    await page.goto(server.base + path());
    await page.locator(there).first().waitFor();
    await page.screenshot({ path: join(ARTIFACTS, `${name}-phone.png`) });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), name);
  }
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
  const id = await server.define(
    'id = "hostile"\nname = "<img src=x onerror=alert(1)>\\u202Egnp"\ntags = ["<b>"]\n[step.one]\nplugin = "generator"\nworker_count = 1\nlog_count = 3\n',
  );
  const run = (await server.api(`/definitions/${id}/runs`, { method: 'POST' })).id;
  await server.end(run);
  // The lines are the server's own, made hostile on their way.
  const hostile = [
    '<script>alert(1)</script><img src=x onerror=alert(1)> & "quotes"',
    '\u001b[31mred\u001b[0m \u001b[1;38;5;208morange\u001b[0m \u001b]8;;javascript:alert(1)\u0007link \u001b[2J\u202Ereversed\u2066 \u0000',
    'x'.repeat(4_096),
  ];
  await context.route('**/logs?**', async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    const whole = new URL(route.request().url()).searchParams.get('limit') === '1';
    for (const line of body.lines) {
      line.message = hostile[(line.seq - 1) % 3];
      if (line.seq === 3) Object.assign(line, whole ? { message: 'x'.repeat(1 << 20) } : { full_bytes: 1 << 20 });
    }
    await route.fulfill({ response, json: body });
  });
  await page.goto(`${server.base}/runs/${run}`);
  await until(page, 'shown.length === 3 && !waiting');
  const lines = page.locator('.l-message');
  assert.equal(await lines.nth(0).textContent(), hostile[0]);
  assert.equal(await page.locator('.run script, .run img, .line a').count(), 0);
  const second = (await lines.nth(1).textContent()) ?? '';
  for (const part of ['red', 'orange', '␛]8;;javascript:alert(1)␇link', '␛[2J', '⟨RLO⟩reversed⟨LRI⟩', '␀'])
    assert.ok(second.includes(part), second);
  assert.ok(!/[\u0000-\u001f\u202e\u2066]/.test(second));
  assert.equal(await lines.nth(1).locator('.a-f1').textContent(), 'red');
  assert.match((await lines.nth(2).textContent()) ?? '', /1,048,576 bytes/);
  await lines.nth(2).click();
  await page.getByRole('button', { name: 'Show all 1,048,576 characters' }).click();
  await page.waitForFunction(() => document.querySelector('.log-full')?.textContent?.length === 1 << 20);
  assert.match((await page.locator('h1').textContent()) ?? '', /^<img src=x onerror=alert\(1\)>⟨U\+202E⟩gnp$/);
  assert.deepEqual(page.errors, []);
  await page.goto(`${server.base}/runs?text=hostile`);
  await page.locator('tr[data-run]').first().waitFor();
  assert.equal(await page.locator('main img, main td b b').count(), 0);
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
