// A run: where it is, why it failed, and every line that it wrote.

import { act, confirm } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Cause, Empty, Foreign, Json, Lasting, Levels, Moment, Progress, State } from '../components/parts.js';
import { Tabs } from '../components/tabs.js';
import { get, post, remove } from '../lib/api.js';
import { count, duration, short, size, tail, words } from '../lib/format.js';
import { go, params, setParams } from '../lib/router.js';
import { html, useEffect, useMemo, useState } from '../lib/view.js';
import { useLive } from '../live/live.js';
import { LogViewer } from '../log/viewer.js';
import { Files } from './run/files.js';
import { Graph } from './run/graph.js';
import { Steps } from './run/steps.js';
import { TaskPanel } from './run/task.js';
import { Tasks } from './run/tasks.js';
import { Timeline } from './run/timeline.js';

/** @typedef {import('../lib/types.js').RunDetail} RunDetail */

const STARTED_BY = /** @type {Record<string, string>} */ ({
  api: 'a request',
  cli: 'bulkhead run',
  'auto-start': 'the server’s start',
  schedule: 'its schedule',
});
const ENDED = ['succeeded', 'failed', 'cancelled'];
const TABS = [
  ['log', 'Log'],
  ['tasks', 'Tasks'],
  ['graph', 'Graph'],
  ['timeline', 'Timeline'],
  ['files', 'Files'],
  ['about', 'About'],
];

/** @param {{id: string}} props */
export function RunPage({ id }) {
  const [run, setRun] = useState(/** @type {RunDetail|null} */ (null));
  const [gone, setGone] = useState(false);
  const valid = /^run_[0-9a-z]{26}$/.test(id);
  useLive(valid ? { kind: 'run', run: id } : null, (data) => {
    if (data.kind === 'gone') setGone(true);
    else setRun(data);
  });
  // The stream's first word of it comes later than an answer that was asked for with the page.
  useEffect(() => {
    if (!valid) return undefined;
    const stop = new AbortController();
    get(`/runs/${id}`, stop.signal).then(
      (read) => stop.signal.aborted || setRun((before) => before ?? read),
      (problem) => problem.status === 404 && setGone(true),
    );
    return () => stop.abort();
  }, [id]);
  useEffect(() => {
    headline.value = { title: run ? run.name || run.definition : 'Run', state: run?.state ?? '' };
    return () => {
      headline.value = { title: '', state: '' };
    };
  }, [run?.name, run?.state]);
  const tab = params.value.get('tab') ?? 'log';
  const search = params.value.toString();
  // The text stands for the parameters.
  const filter = useMemo(() => {
    const read = (/** @type {string} */ name) => params.value.get(name) ?? undefined;
    return { level: read('level'), step: read('step'), task: read('task'), contains: read('q') };
  }, [search]);
  if (!valid || gone) {
    return html`<div class="page"><h1>There is no such run</h1><${Empty} icon="runs" title="It may have been deleted, or its time of keeping is over."><a href="/runs">All runs</a></${Empty}></div>`;
  }
  if (!run) return html`<div class="page loading" role="status">Reading the run…</div>`;
  const panel = params.value.get('panel');
  return html`
    <div class="run">
      <${Head} run=${run} />
      <div class="run-body">
        <${Steps} run=${run} />
        <div class="run-main">
          <${Errors} run=${run} />
          <${Tabs} label="Views of the run" panel="run-view" current=${tab} choose=${(/** @type {string} */ name) => setParams({ tab: name === 'log' ? null : name })}
            tabs=${TABS.map(([name, title]) => ({ name, title, count: name === 'tasks' ? run.tasks.total : undefined }))} />
          <div class="run-view" id="run-view" role="tabpanel" aria-labelledby=${`tab-${tab}`}>
            ${tab === 'log' && html`<${LogViewer} run=${id} filter=${filter} start=${run.started_at ?? run.created_at} steps=${run.steps.map((step) => step.name)} />`}
            ${tab === 'tasks' && html`<${Tasks} run=${run} step=${filter.step} state=${params.value.get('state') ?? ''} />`}
            ${tab === 'graph' && html`<${Graph} run=${run} />`}
            ${tab === 'timeline' && html`<${Timeline} run=${run} />`}
            ${tab === 'files' && html`<${Files} run=${run} />`}
            ${tab === 'about' && html`<${About} run=${run} />`}
          </div>
        </div>
        ${panel && html`<${TaskPanel} key=${panel} id=${panel} run=${run} />`}
      </div>
    </div>
  `;
}

/** @param {{run: RunDetail}} props */
function Head({ run }) {
  const ended = ENDED.includes(run.state);
  const operator = may('operator');
  const command = (/** @type {string} */ name) => act(() => post(`/runs/${run.id}/${name}`));
  const cancel = async () => {
    const left = run.tasks.queued + run.tasks.running + run.tasks.retrying;
    const text = `${count(left)} tasks have not ended: those that wait are cancelled, those at work are told to end.`;
    if (await confirm({ title: 'Cancel this run?', text, action: 'Cancel the run', danger: true })) await command('cancel');
  };
  const [busy, setBusy] = useState(false);
  // Runs one task although the run is paused, and shows what came of it.
  const next = async () => {
    setBusy(true);
    const processed = await act(() => post(`/runs/${run.id}/process-next`));
    setBusy(false);
    if (processed) setParams({ panel: processed.task.id });
  };
  const retryFailed = async () => {
    const waits = 'Those that failed or were cancelled are queued again, and the steps that were skipped because of them.';
    if (!(await confirm({ title: 'Retry what failed?', text: waits, action: 'Retry' }))) return;
    await command('retry');
  };
  const again = async () => {
    const started = await act(async () => {
      /** @type {import('../lib/types.js').RunFile[]} */
      const files = (await get(`/runs/${run.id}/files`)).items;
      const named = Object.fromEntries(files.map((file) => [file.name, file.digest]));
      return post(`/definitions/${run.definition}/runs`, { parameters: run.parameters, files: named });
    });
    if (started) go(`/runs/${started.id}`);
  };
  const erase = async () => {
    const text = `Its ${count(run.tasks.total)} tasks and ${count(run.last_line)} lines go with it.`;
    if (!(await confirm({ title: 'Delete this run?', text, action: 'Delete', danger: true }))) return;
    await act(async () => {
      await remove(`/runs/${run.id}`);
      go('/runs');
    }, 'The run is deleted');
  };
  return html`
    <header class="run-head">
      <div class="run-title">
        <${State} state=${run.state} stopping=${run.stopping} />
        ${run.failure && html`<${Cause} failure=${run.failure} />`}
        <h1><${Foreign} text=${run.name || run.definition} max=${120} /></h1>
        <span class="run-id"><code class="faint" title=${run.id}>${tail(run.id)}</code><button class="quiet icon-only small" aria-label="Copy the run's id" title="Copy the id" onClick=${() => act(() => navigator.clipboard.writeText(run.id), 'The id is copied')}><${Icon} name="copy" size=${13} /></button></span>
        <span class="grow"></span>
        ${
          operator &&
          html`<div class="buttons">
            ${!ended && run.state !== 'paused' && !run.stopping && html`<button onClick=${() => command('pause')}><${Icon} name="paused" /> Pause</button>`}
            ${run.state === 'paused' && !run.stopping && html`<button onClick=${next} disabled=${busy} title="Run one waiting task, although the run is paused"><${Icon} name="next" /> ${busy ? 'Processing…' : 'Process next'}</button><button class="primary" onClick=${() => command('resume')}><${Icon} name="play" /> Resume</button>`}
            ${!ended && html`<button class="danger" disabled=${Boolean(run.stopping)} onClick=${cancel}><${Icon} name="cancelled" /> Cancel</button>`}
            ${run.state !== 'cancelled' && !run.stopping && run.tasks.failed + (ended ? run.tasks.cancelled : 0) > 0 && html`<button onClick=${retryFailed}><${Icon} name="retrying" /> Retry failed <span class="number">${short(run.tasks.failed + (ended ? run.tasks.cancelled : 0))}</span></button>`}
            ${ended && html`<button onClick=${again}><${Icon} name="play" /> Run again</button>`}
            ${ended && html`<button class="icon-only" aria-label="Delete" title="Delete this run" onClick=${erase}><${Icon} name="trash" /></button>`}
          </div>`
        }
      </div>
      <dl class="facts">
        <div><dt>Definition</dt><dd><a href=${`/definitions/${run.definition}`}>${run.definition}</a></dd></div>
        <div><dt>Started by</dt><dd>${STARTED_BY[run.trigger] ?? words(run.trigger)}</dd></div>
        <div><dt>Started</dt><dd><${Moment} at=${run.started_at} none="not yet" /></dd></div>
        <div><dt>${ended ? 'Took' : 'For'}</dt><dd><${Lasting} from=${run.started_at} to=${run.ended_at} ms=${run.duration_ms} /></dd></div>
        ${run.pace && html`<div><dt>Pace</dt><dd class="number">${run.pace.per_second >= 0.05 ? `${run.pace.per_second.toFixed(1)} tasks/s` : '–'}${run.pace.remaining_ms !== undefined && run.tasks.total > 0 ? html` <span class="faint">about ${duration(run.pace.remaining_ms)} left</span>` : ''}</dd></div>`}
        <div><dt>Tasks</dt><dd class="with-bar"><span class="number" data-testid="run-tasks">${count(run.tasks.succeeded)} / ${count(run.tasks.total)}</span><${Progress} tasks=${run.tasks} /></dd></div>
        <div><dt>Lines</dt><dd><${Levels} lines=${run.lines} /></dd></div>
        <div><dt title="processor time, greatest memory of an attempt, fuel, HTTP">Cost</dt><dd>${duration(run.usage.cpu_us / 1_000)}, ${size(run.usage.peak_memory_bytes)}${run.usage.fuel ? `, ${short(run.usage.fuel)} fuel` : ''}${run.usage.http_requests ? `, ${count(run.usage.http_requests)} HTTP requests for ${size(run.usage.http_received_bytes)}` : ''}</dd></div>
      </dl>
    </header>
  `;
}

/** What failed, above the log. @param {{run: RunDetail}} props */
function Errors({ run }) {
  const [toggled, setOpen] = useState(/** @type {boolean|null} */ (null));
  const open = toggled ?? Boolean(run.failure);
  const steps = run.steps.filter((step) => step.failure || step.first_failure);
  if (!run.failure && steps.length === 0) return null;
  const failed = run.tasks.failed;
  return html`
    <section class=${`errors ${run.failure ? 'bad' : 'borne'}`} aria-label="Errors">
      <button class="errors-head" aria-expanded=${open} onClick=${() => setOpen(!open)}>
        <strong>${run.failure ? html`Failed: ${words(run.failure.cause)}` : `${count(failed)} failed ${failed === 1 ? 'task' : 'tasks'}${run.state === 'succeeded' ? ', which the definition bears' : ''}`}</strong>
        ${run.failure && html`<span class="errors-message"><${Foreign} text=${run.failure.message} max=${300} /></span>`}
        <span class="grow"></span><span aria-hidden="true">${open ? '▾' : '▸'}</span>
      </button>
      ${
        open &&
        html`<ul>
          ${steps.map((step) => {
            const failure = step.failure ?? step.first_failure;
            return html`<li>
              <span class="errors-step">${step.name}</span>
              <span><${Cause} failure=${failure} /> <${Foreign} text=${failure?.message ?? ''} max=${400} /></span>
              <a href=${`/runs/${run.id}?tab=tasks&step=${step.name}&state=failed`}>${count(step.tasks.failed)} failed</a>
            </li>`;
          })}
        </ul>`
      }
    </section>
  `;
}

/** @param {{run: RunDetail}} props */
function About({ run }) {
  return html`
    <div class="about">
      <h2>Parameters</h2>
      <${Json} value=${run.parameters} label="Parameters" />
      <h2>Run</h2>
      <table class="plain">
        <tbody>
          <tr><th scope="row">Id</th><td><code>${run.id}</code></td></tr>
          <tr><th scope="row">Plan</th><td><code>${run.plan}</code></td></tr>
          <tr><th scope="row">Created</th><td><${Moment} at=${run.created_at} /></td></tr>
          <tr><th scope="row">Ended</th><td><${Moment} at=${run.ended_at} none="not yet" /></td></tr>
          <tr><th scope="row">Priority</th><td>${run.priority}</td></tr>
          <tr><th scope="row">Timeout</th><td>${run.timeout_ms ? duration(run.timeout_ms) : 'none'}</td></tr>
          <tr><th scope="row">Tags</th><td>${(run.tags ?? []).map((tag) => html`<span class="chip">${tag}</span> `)}</td></tr>
          <tr><th scope="row">Attempts</th><td>${count(run.attempts)}</td></tr>
          <tr><th scope="row">Fuel</th><td>${count(run.usage.fuel)}</td></tr>
        </tbody>
      </table>
      <h2>Steps</h2>
      <div class="table-box" tabindex="0" role="region" aria-label="Cost of the steps"><table>
        <thead><tr><th>Step</th><th>Plugin</th><th>Digest</th><th class="right">Attempts</th><th class="right">Processor</th><th class="right">Peak memory</th><th class="right">Fuel</th></tr></thead>
        <tbody>
          ${run.steps.map(
            (
              step,
            ) => html`<tr><td>${step.name}</td><td><a href=${`/plugins/${step.plugin.name}`}>${step.plugin.name}</a></td><td><code title=${step.plugin.digest}>${step.plugin.digest.slice(7, 19)}</code></td>
              <td class="right number">${count(step.attempts)}</td><td class="right number">${duration(step.usage.cpu_us / 1_000)}</td><td class="right number">${size(step.usage.peak_memory_bytes)}</td><td class="right number">${step.usage.fuel ? count(step.usage.fuel) : 'not metered'}</td></tr>`,
          )}
        </tbody>
      </table></div>
    </div>
  `;
}
