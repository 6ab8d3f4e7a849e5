// What is going on.

import { Chart } from '../components/chart.js';
import { headline, statistics } from '../components/frame.js';
import { Empty, Trouble } from '../components/parts.js';
import { get } from '../lib/api.js';
import { ago, count, short, size, words } from '../lib/format.js';
import { useLoad, useRuns } from '../lib/load.js';
import { html, now, useEffect, useRef, useState } from '../lib/view.js';
import { Table } from './runs.js';

const STATES = /** @type {const} */ (['queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled']);

export function OverviewPage() {
  const { value, error, reload } = useLoad('overview', async (signal) => {
    const [live, failed] = await Promise.all([
      get('/runs?state=queued,running,paused&limit=20', signal),
      get('/runs?state=failed&limit=100', signal),
    ]);
    return /** @type {{live: import('../lib/types.js').RunPage, failed: import('../lib/types.js').RunPage}} */ ({ live, failed });
  });
  useRuns(reload);
  useEffect(() => {
    headline.value = { title: 'Overview', state: '' };
  }, []);
  const told = statistics.value;
  return html`
    <div class="page overview">
      <header class="page-head"><h1>Overview</h1></header>
      <${Trouble} problem=${error} retry=${reload} />
      ${told && html`<${Numbers} told=${told} />`}
      <${Charts} />
      <section aria-labelledby="live"><h2 id="live">Going on</h2>
        ${value && (value.live.items.length > 0 ? html`<${Table} items=${value.live.items} />` : html`<${Empty} icon="runs" title="Nothing is going on"><a href="/definitions">Start a run</a></${Empty}>`)}
      </section>
      <section aria-labelledby="failed"><h2 id="failed">Recent failures by cause</h2>
        ${value && html`<${Failures} runs=${value.failed.items} />`}
        ${told && told.tasks.failed > 0 && html`<p><a href="/dead-letters">${count(told.tasks.failed)} ${told.tasks.failed === 1 ? 'task has' : 'tasks have'} failed for good: by what they failed of</a></p>`}
      </section>
    </div>
  `;
}

/** @param {{told: import('../lib/types.js').Statistics}} props */
function Numbers({ told }) {
  const { load, tasks, runs } = told;
  const share = (/** @type {number} */ part, /** @type {number} */ whole) => (whole > 0 ? part / whole : 0);
  return html`
    <div class="tiles">
      <section class="tile wide" aria-label="Tasks">
        <h2>Tasks</h2>
        <div class="states">${STATES.map((state) => html`<div class=${state}><b data-testid=${`tasks-${state}`} title=${count(tasks[state])}>${short(tasks[state])}</b><span>${state}</span></div>`)}</div>
      </section>
      <section class="tile" aria-label="Runs">
        <h2>Runs</h2>
        <div class="states">
          <a class="running" href="/runs?state=running"><b>${short(runs.running)}</b><span>running</span></a>
          <a class="queued" href="/runs?state=queued"><b>${short(runs.queued)}</b><span>queued</span></a>
          <a class="failed" href="/runs?state=failed"><b>${short(runs.failed)}</b><span>failed</span></a>
        </div>
      </section>
      <section class="tile" aria-label="Worker">
        <h2>Worker ${load.draining ? html`<span class="tag warn">draining</span>` : ''}</h2>
        <${Meter} name="Slots" value=${share(load.running, load.slots)} text=${`${load.running} of ${load.slots}`} />
        <${Meter} name="Memory" value=${share(load.reserved_bytes, load.memory_bytes)} text=${`${size(load.reserved_bytes)} of ${size(load.memory_bytes)}`} />
        <p class="faint">${told.oldest_due ? html`oldest waiting task: ${ago(told.oldest_due, now.value)}` : 'nothing waits'}</p>
      </section>
      <section class="tile" aria-label="Store">
        <h2>Store</h2>
        <dl class="pairs">
          <div><dt>Attempts</dt><dd class="number">${short(told.attempts)}</dd></div>
          <div><dt>Lines</dt><dd class="number">${short(told.lines)}</dd></div>
          <div><dt>Retries</dt><dd class="number">${short(told.retries)}</dd></div>
          <div><dt>Lost leases</dt><dd class=${`number${told.lost_leases > 0 ? ' warn-text' : ''}`}>${short(told.lost_leases)}</dd></div>
        </dl>
      </section>
    </div>
  `;
}

/** @param {{name: string, value: number, text: string}} props */
function Meter({ name, value, text }) {
  return html`<div class="meter"><span>${name}</span><span class="number">${text}</span>
    <div role="meter" aria-label=${name} aria-valuenow=${Math.round(value * 100)} aria-valuemin="0" aria-valuemax="100" aria-valuetext=${text}><i class=${value > 0.9 ? 'full' : ''} style=${{ width: `${Math.min(100, value * 100)}%` }}></i></div></div>`;
}

/** The last samples of the server, and then those that the stream tells. */
function Charts() {
  const { value } = useLoad('history', (signal) => get('/statistics/history', signal));
  const [, redraw] = useState(0);
  const kept = useRef(/** @type {{at: number, attempts: number, failed: number, lines: number}[]} */ ([]));
  const sample = (/** @type {any} */ told) => ({
    at: Date.parse(told.at) / 1_000,
    attempts: told.attempts,
    failed: told.failed ?? told.tasks?.failed ?? 0,
    lines: told.lines,
  });
  useEffect(() => {
    if (value)
      kept.current = [
        ...value.samples.map(sample),
        ...kept.current.filter((known) => known.at > Date.parse(value.samples.at(-1)?.at ?? 0) / 1_000),
      ];
    redraw((before) => before + 1);
  }, [value]);
  const told = statistics.value;
  useEffect(() => {
    const last = kept.current.at(-1);
    if (!told) return;
    const next = sample(told);
    if (last && next.at - last.at < 4) return;
    kept.current.push(next);
    if (kept.current.length > 1_000) kept.current.shift();
    redraw((before) => before + 1);
  }, [told]);
  const samples = kept.current;
  const rate = (/** @type {'attempts'|'failed'|'lines'} */ name) =>
    samples
      .slice(1)
      .map((next, index) => Math.max(0, (next[name] - samples[index][name]) / Math.max(0.5, next.at - samples[index].at)));
  const at = samples.slice(1).map((next) => next.at);
  return html`
    <div class="charts">
      <section class="tile" aria-label="Throughput"><h2>Attempts a second</h2><${Chart} at=${at} lines=${[{ name: 'attempts', values: rate('attempts'), colour: '--running' }, { name: 'failures', values: rate('failed'), colour: '--failed' }]} /></section>
      <section class="tile" aria-label="Lines"><h2>Lines a second</h2><${Chart} at=${at} lines=${[{ name: 'lines', values: rate('lines'), colour: '--accent' }]} /></section>
    </div>
  `;
}

/** @param {{runs: import('../lib/types.js').Run[]}} props */
function Failures({ runs }) {
  if (runs.length === 0) return html`<${Empty} icon="succeeded" title="No run has failed" />`;
  /** @type {Map<string, import('../lib/types.js').Run[]>} */
  const groups = new Map();
  for (const run of runs) {
    const cause = run.failure?.cause ?? 'other';
    groups.set(cause, [...(groups.get(cause) ?? []), run]);
  }
  const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length);
  return html`<ul class="groups">
    ${sorted.map(
      ([cause, of]) => html`<li>
        <a class="group-count" href=${`/runs?state=failed&cause=${cause}`}>${count(of.length)}</a>
        <div><strong class="cause">${words(cause)}</strong>
          <span class="faint"> in ${[...new Set(of.map((run) => run.definition))].slice(0, 4).join(', ')}</span>
          <p>${of[0].failure?.message ?? ''}</p></div>
        <a class="faint" href=${`/runs/${of[0].id}`}>latest ${ago(of[0].ended_at ?? of[0].created_at, now.value)}</a>
      </li>`,
    )}
  </ul>`;
}
