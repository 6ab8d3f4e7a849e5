// One task: what it was given, what it gave, and each attempt at it.

import { act } from '../../components/dialog.js';
import { may } from '../../components/frame.js';
import { Cause, Foreign, Levels, Moment, State, seen, Trouble } from '../../components/parts.js';
import { get, post } from '../../lib/api.js';
import { count, duration, short, size } from '../../lib/format.js';
import { useKeys } from '../../lib/keys.js';
import { useLoad } from '../../lib/load.js';
import { setParams } from '../../lib/router.js';
import { html, useEffect } from '../../lib/view.js';

/** Characters of an input or an output that are shown. */
const MOST = 20_000;

/** @param {{id: string, run: import('../../lib/types.js').RunDetail}} props */
export function TaskPanel({ id, run }) {
  const { value: task, error, reload } = useLoad(id, (signal) => get(`/tasks/${id}`, signal));
  const close = () => setParams({ panel: null });
  useKeys({ Escape: close });
  // The run's counters of ended attempts say when there may be something new.
  // Read anew when an attempt ended.
  useEffect(() => {
    if (task && !task.ended_at) reload();
  }, [run.attempts, run.tasks.queued, run.tasks.running]);
  return html`
    <aside class="panel" aria-label="Task">
      <header>
        ${task && html`<${State} state=${task.state} />`}
        <h2>${task ? html`${task.step} / ${task.index === 0 ? 'plan' : task.index}` : 'Task'}</h2>
        <span class="grow"></span>
        <button class="quiet" aria-label="Close the task" onClick=${close}>✕</button>
      </header>
      <${Trouble} problem=${error} retry=${reload} />
      ${task && html`<${Body} task=${task} reload=${reload} />`}
    </aside>
  `;
}

/** @param {{task: import('../../lib/types.js').TaskDetail, reload: () => void}} props */
function Body({ task, reload }) {
  const order = async (/** @type {'retry'|'skip'|'cancel'} */ name, /** @type {string} */ done) => {
    await act(() => post(`/tasks/${task.id}/${name}`), done);
    reload();
  };
  return html`
    <dl class="pairs">
      <div><dt>Id</dt><dd><code>${task.id}</code></dd></div>
      ${task.index > 0 && html`<div><dt>Key</dt><dd><${Foreign} text=${task.key} max=${200} /></dd></div>`}
      ${task.parent !== undefined && html`<div><dt>Spawned by</dt><dd>${task.parent === 0 ? 'the plan' : `task ${task.parent}`}</dd></div>`}
      <div><dt>Created</dt><dd><${Moment} at=${task.created_at} /></dd></div>
      <div><dt>Ended</dt><dd><${Moment} at=${task.ended_at} none="not yet" /></dd></div>
      <div><dt>Lines</dt><dd><${Levels} lines=${task.lines} /></dd></div>
      <div><dt>Used</dt><dd>${duration(task.usage.cpu_us / 1_000)} processor, ${size(task.usage.peak_memory_bytes)}${task.usage.fuel ? `, ${short(task.usage.fuel)} fuel` : ''}${task.usage.http_requests ? `, ${count(task.usage.http_requests)} HTTP requests for ${size(task.usage.http_received_bytes)}` : ''}</dd></div>
      ${task.due_at && html`<div><dt>Due</dt><dd><${Moment} at=${task.due_at} /></dd></div>`}
    </dl>
    <div class="buttons">
      <button onClick=${() => setParams({ tab: null, task: task.id, step: null, panel: null, level: null, q: null })}>Its log</button>
      ${may('operator') && ['failed', 'cancelled', 'skipped'].includes(task.state) && html`<button onClick=${() => order('retry', 'It is queued again')}>Retry</button>`}
      ${may('operator') && ['queued', 'retrying', 'failed'].includes(task.state) && html`<button onClick=${() => order('skip', 'It is skipped')}>Skip</button>`}
      ${may('operator') && ['queued', 'retrying', 'running'].includes(task.state) && html`<button class="danger" onClick=${() => order('cancel', 'It is being cancelled')}>Cancel</button>`}
    </div>
    ${task.failure && html`<div class="failure"><${Cause} failure=${task.failure} /><p><${Foreign} text=${task.failure.message} max=${4_000} /></p></div>`}
    <h3>Attempts</h3>
    ${task.attempts.length === 0 && html`<p class="faint">None has ended yet.</p>`}
    ${task.attempts.toReversed().map(
      (attempt) => html`<div class=${`attempt ${attempt.end}`}>
        <div class="attempt-head"><strong>${attempt.number}</strong><span>${attempt.end}</span>${attempt.failure && html`<${Cause} failure=${attempt.failure} />`}<span class="grow"></span><span class="number">${duration(attempt.duration_ms)}</span></div>
        ${attempt.failure && html`<p><${Foreign} text=${attempt.failure.message} max=${4_000} /></p>`}
        ${
          (attempt.log_tail?.length ?? 0) > 0 &&
          html`<details><summary>Its last lines</summary><pre tabindex="0">${seen(
            (attempt.log_tail ?? [])
              .map((line) => `${line.seq}  ${line.message}`)
              .join('\n')
              .slice(0, MOST),
          )}</pre></details>`
        }
        ${attempt.failure?.backtrace && html`<details><summary>Backtrace</summary><pre tabindex="0">${seen(attempt.failure.backtrace)}</pre></details>`}
        <p class="faint">${count(attempt.usage.fuel)} fuel · ${size(attempt.usage.peak_memory_bytes)} · ${duration(attempt.usage.cpu_us / 1_000)} processor · ${count(attempt.lines)} lines${attempt.suppressed > 0 ? ` · ${count(attempt.suppressed)} suppressed` : ''}</p>
      </div>`,
    )}
    <h3>Input</h3>
    <${Json} value=${task.input} />
    <h3>Output</h3>
    <${Json} value=${task.output} />
  `;
}

/** @param {{value: unknown}} props */
function Json({ value }) {
  if (value === null || value === undefined) return html`<p class="faint">None</p>`;
  const text = JSON.stringify(value, null, 2);
  return html`<pre tabindex="0">${seen(text.slice(0, MOST))}${text.length > MOST ? `\n… ${count(text.length)} characters` : ''}</pre>`;
}
