// A server of the real binary, a real browser, and what tests ask of both.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
/** The repository. */
export const ROOT = join(here, '../../..');
/** Where pictures and figures go: kept by CI, not in git. */
export const ARTIFACTS = join(ROOT, 'target/console');
const BINARY = process.env.BULKHEAD ?? join(ROOT, 'target/debug/bulkhead');
/** A hang, not a slow machine. */
export const HANG = 90_000;

const BROWSERS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const browserPath = BROWSERS.find((path) => path && existsSync(path));

/** Why nothing can be tested; false where it can. In CI a missing browser is an error. */
export const missing = browserPath ? false : 'there is no Chromium: install the package `chromium`, or name one in CHROMIUM';
if (missing && process.env.CI) throw new Error(missing);

/** A running server. */
export class Server {
  /** @param {string[]} [options] */
  static async start(options = []) {
    const server = new Server();
    server.data = mkdtempSync(join(tmpdir(), 'bulkhead-console-'));
    server.options = options;
    await server.launch('127.0.0.1:0');
    return server;
  }

  /** @param {string} listen */
  async launch(listen) {
    const args = [
      'serve',
      '--json',
      '--data-dir',
      this.data,
      '--listen',
      listen,
      '--plugins',
      join(ROOT, 'target/plugins'),
      ...this.options,
    ];
    this.child = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    this.child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    let out = '';
    await new Promise((done, failed) => {
      this.child.on('exit', (code) => failed(new Error(`the server ended with ${code}: ${said}`)));
      this.child.stdout.on('data', (chunk) => {
        out += chunk;
        const listening = /"listening":"(http:[^"]+)"/.exec(out);
        if (listening) this.base = listening[1];
        if (listening && /"loaded":/.test(out)) done(null);
      });
    });
    this.child.removeAllListeners('exit');
  }

  /** Kills it, as a crash would. */
  async kill() {
    const gone = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGKILL');
    await gone;
  }

  /** Starts it again at the same address. */
  async again() {
    await this.launch(new URL(this.base).host);
  }

  async stop() {
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }

  /** @param {string} path @param {RequestInit} [options] */
  async api(path, options = {}) {
    const response = await fetch(`${this.base}/api/v1${path}`, options);
    const text = await response.text();
    assert.ok(response.ok, `${options.method ?? 'GET'} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Stores a definition. @param {string} text */
  async define(text) {
    const id = /^id = "([^"]+)"/m.exec(text)?.[1];
    await this.api(`/definitions/${id}`, { method: 'PUT', body: text, headers: { 'content-type': 'application/toml' } });
    return id;
  }

  /** Stores a definition and starts a run of it; the run's id. @param {string} text */
  async run(text) {
    const id = await this.define(text);
    return (await this.api(`/definitions/${id}/runs`, { method: 'POST' })).id;
  }

  /** The run at its end. @param {string} id */
  async end(id) {
    for (;;) {
      const run = await this.api(`/runs/${id}?wait=60s`);
      if (run.ended_at) return run;
    }
  }

  /** How often a route was asked for so far, by the server's own count. @param {string} route */
  async asked(route) {
    const text = await (await fetch(`${this.base}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.includes(`"${route}"`) && /_count\{/.test(line));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }
}

/** @param {{browser?: import('playwright-core').Browser}} [holder] */
export async function launch(holder = {}) {
  holder.browser = await chromium.launch({
    executablePath: browserPath,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-smooth-scrolling'],
  });
  return holder.browser;
}

/**
 * A page whose errors, and refusals of its own policy, fail the test that asks.
 * @param {import('playwright-core').BrowserContext} context
 */
export async function open(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(HANG);
  /** @type {string[]} */
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    // What is refused by the network is what a test did to it.
    if (message.type() === 'error' && !/net::ERR|Failed to load resource/.test(message.text())) errors.push(message.text());
  });
  const foreign = [];
  page.on('request', (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol.startsWith('http') && hostname !== '127.0.0.1') foreign.push(request.url());
  });
  return Object.assign(page, { errors, foreign });
}

/** What the viewer holds and shows. @param {import('playwright-core').Page} page */
export function viewer(page) {
  return page.evaluate(() => {
    const rows = /** @type {any} */ (document.querySelector('.log-rows'));
    const { source, viewport } = rows;
    const shown = [...rows.querySelectorAll('.line')].map((line) => Number(line.dataset.seq));
    const waiting = rows.querySelectorAll('.line.waiting').length;
    return {
      last: source.last,
      count: source.count,
      ended: source.ended,
      requests: source.requests,
      follow: viewport.follow,
      row: viewport.row,
      shown,
      waiting,
    };
  });
}

/** @type {WeakMap<object, import('playwright-core').CDPSession>} */
const sessions = new WeakMap();

/** Waits until the viewer is as wished. @param {import('playwright-core').Page} page @param {string} wished an expression over `source`, `viewport`, `shown` and `waiting` */
export async function until(page, wished) {
  const expression = `new Promise((done) => {
    const look = () => {
      const rows = document.querySelector('.log-rows');
      if (rows?.source) {
        const { source, viewport } = rows;
        const shown = [...rows.querySelectorAll('.line')].map((line) => Number(line.dataset.seq));
        const waiting = rows.querySelectorAll('.line.waiting').length;
        if (${wished}) return done(true);
      }
      setTimeout(look, 20);
    };
    look();
  })`;
  // By the debugger's own way, which the page's policy does not forbid.
  const debug = sessions.get(page) ?? (await page.context().newCDPSession(page));
  sessions.set(page, debug);
  const hang = AbortSignal.timeout(HANG);
  const hung = new Promise((_, failed) => hang.addEventListener('abort', () => failed(new Error('it did not come'))));
  try {
    const { exceptionDetails } = await Promise.race([debug.send('Runtime.evaluate', { expression, awaitPromise: true }), hung]);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  } catch (error) {
    throw new Error(`waited for ${wished}, and there is ${JSON.stringify(await viewer(page))}`, { cause: error });
  }
}

/** Rows follow each other without gap or repeat. @param {number[]} numbers */
export function consecutive(numbers) {
  for (let at = 1; at < numbers.length; at += 1)
    assert.equal(numbers[at], numbers[at - 1] + 1, `${numbers[at - 1]}, ${numbers[at]}`);
}

/** Figures that are reported and not asserted. @param {Record<string, unknown>} figures */
export function report(figures) {
  mkdirSync(ARTIFACTS, { recursive: true });
  const file = join(ARTIFACTS, 'figures.json');
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  writeFileSync(file, `${JSON.stringify({ ...before, ...figures }, null, 2)}\n`);
  for (const [name, value] of Object.entries(figures)) console.log(`figure: ${name} = ${value}`);
}
