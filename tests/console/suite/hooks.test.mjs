// Hooks: a receiver that refuses and then accepts, and what the console shows of it.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, missing, open, Server } from './support.mjs';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('node:http').Server} */
let receiver;
let url = '';
const directory = mkdtempSync(join(tmpdir(), 'bulkhead-console-hooks-'));
/** What the receiver was told, and what it answers: 410 says that nothing is to be tried again. */
const told = /** @type {{id: string, type: string}[]} */ ([]);
let status = 410;

before(async () => {
  if (missing) return;
  receiver = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    told.push({ id: String(request.headers['webhook-id']), type: JSON.parse(body).type });
    response.writeHead(status).end(status === 410 ? '<img src=x onerror=alert(1)>moved \u202eaway' : '');
  });
  await new Promise((done) => {
    receiver.listen(0, '127.0.0.1', () => done(null));
  });
  const { port } = /** @type {import('node:net').AddressInfo} */ (receiver.address());
  url = `http://127.0.0.1:${port}/hook`;
  const secret = join(directory, 'ops');
  writeFileSync(secret, `whsec_${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o600 });
  server = await Server.start(['--hooks-secret', `ops=${secret}`, '--hooks-allow', `127.0.0.1:${port}`]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  receiver?.close();
  rmSync(directory, { recursive: true, force: true });
});

test('what a receiver refused is seen as it fails, and sent again', { skip: missing }, async () => {
  const put = (/** @type {object} */ hook) =>
    server.api('/hooks/ops', { method: 'PUT', body: JSON.stringify(hook), headers: { 'content-type': 'application/json' } });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context);
  await page.goto(server.base);
  await page.locator('.tiles').waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('h');
  await page.getByText('Nobody is told of anything').waitFor();

  // A hook that is made, and what it is told, come without a reload.
  await put({ url, secret: 'ops', events: ['run.succeeded'] });
  const cells = page.locator('tr[data-hook="ops"] td.number');
  await cells.first().waitFor();
  assert.deepEqual(await cells.allTextContents(), ['0', '0', '0', '0']);
  const job =
    'id = "told"\n[[hooks]]\nname = "mine"\nurl = "https://127.0.0.1:9/"\nsecret = "none"\nevents = ["run.failed"]\n[step.one]\nplugin = "noop"\n';
  await server.define(job);
  await page.locator('tr[data-hook="told:mine"]').getByText('can’t send').waitFor();
  for (let turn = 0; turn < 3; turn += 1) await server.end((await server.api('/definitions/told/runs', { method: 'POST' })).id);
  await cells.nth(2).getByText('3').waitFor();
  assert.deepEqual(await cells.allTextContents(), ['0', '0', '3', '0']);
  assert.equal(told.length, 3);

  // Each of them, with what the receiver said; there by its address, too.
  await page.getByRole('link', { name: 'ops', exact: true }).click();
  await page.waitForURL('**/hooks/ops');
  await page.reload();
  const rows = page.locator('tr[data-delivery]');
  await rows.nth(2).waitFor();
  assert.equal(await rows.count(), 3);
  const answer = (await rows.first().locator('.delivery-answer').textContent()) ?? '';
  assert.ok(answer.startsWith('410 <img src=x onerror=alert(1)>moved ⟨U+202E⟩away'), answer);
  assert.equal(await page.locator('main img').count(), 0);
  // What the stream says first makes it read once more.
  await page.waitForTimeout(1_500);
  const asked = await server.asked('/api/v1/hooks/{name}/deliveries');
  await page.waitForTimeout(2_500);
  assert.equal(await server.asked('/api/v1/hooks/{name}/deliveries'), asked, 'nothing polls');

  // One again, and then the rest; each under the id that it had.
  status = 204;
  await page.getByRole('button', { name: 'Send again: delivery 2' }).click();
  await page.locator('tr[data-delivery="2"]').waitFor({ state: 'detached' });
  assert.equal(await rows.count(), 2);
  await page.getByRole('button', { name: /^Send again 2/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Send again' }).click();
  await page.getByText('Nothing failed for good.').waitFor();
  await page.getByRole('tab', { name: /^Delivered/ }).click();
  await page.waitForURL('**/hooks/ops?state=delivered');
  await rows.nth(2).waitFor();
  assert.equal(await rows.count(), 3);
  assert.deepEqual([...new Set(told.map(({ id }) => id))].sort(), [...new Set(told.slice(0, 3).map(({ id }) => id))].sort());
  assert.equal(told.length, 6);

  await page.getByRole('button', { name: 'Test' }).click();
  await rows.nth(3).waitFor();
  assert.equal(told.at(-1)?.type, 'hook.test');
  await page.getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await page.waitForURL('**/hooks');
  await page.locator('tr[data-hook="ops"]').waitFor({ state: 'detached' });
  await page.locator('tr[data-hook="told:mine"]').waitFor();
  assert.deepEqual(page.errors, []);
  await context.close();
});
