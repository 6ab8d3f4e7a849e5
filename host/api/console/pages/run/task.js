// One task: what it was given, what it gave, and each attempt at it.

import { act, confirm } from '../../components/dialog.js';
import { may } from '../../components/frame.js';
import { Icon } from '../../components/icons.js';
import { Cause, Foreign, Json, Levels, Moment, State, seen, Trouble } from '../../components/parts.js';
import { Tail } from '../../components/tail.js';
import { ask, get, Problem, post } from '../../lib/api.js';
import { count, duration, short, size } from '../../lib/format.js';
import { useKeys } from '../../lib/keys.js';
import { useAgain, useLoad } from '../../lib/load.js';
import { setParams } from '../../lib/router.js';
import { html, now, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').TaskDetail} TaskDetail */
/** @typedef {import('../../lib/types.js').Attempt} Attempt */

/** A running task is read anew no more often than this, in milliseconds. */
const AGAIN = 500;

/** @param {{id: string, run: import('../../lib/types.js').RunDetail}} props */
export function TaskPanel({ id, run }) {
  const {
    value: task,
    error,
    reload,
  } = useLoad(id, (signal) => /** @type {Promise<TaskDetail>} */ (get(`/tasks/${id}`, signal)));
  const close = () => setParams({ panel: null });
  useKeys({ Escape: close });
  // The run says when there may be something new: an attempt ended, a task changed its state, or lines came.
  const told = JSON.stringify([run.attempts, run.tasks, run.last_line, run.state]);
  useAgain(task?.state === 'succeeded' ? '' : told, reload, AGAIN);
  return html`
    <aside class="panel" aria-label="Task">
      <header>
        ${task && html`<${State} state=${task.state} stopping=${task.stopping ? 'cancelled' : undefined} />`}
        <h2>${task ? html`${task.step} / ${task.index === 0 ? 'plan' : task.index}` : 'Task'}</h2>
        <span class="grow"></span>
        <button class="quiet icon-only" aria-label="Close the task" onClick=${close}><${Icon} name="close" /></button>
      </header>
      <${Trouble} problem=${error} retry=${reload} />
      ${task && html`<${Body} task=${task} reload=${reload} />`}
    </aside>
  `;
}

/** @param {{task: TaskDetail, reload: () => void}} props */
function Body({ task, reload }) {
  const [editing, setEditing] = useState(false);
  const operator = may('operator');
  const order = async (/** @type {'retry'|'skip'|'cancel'} */ name, /** @type {string} */ done) => {
    if (name === 'cancel') {
      const text =
        'Its attempt is told to end, and none follows. Its step fails in the end, unless the task is retried or skipped.';
      if (!(await confirm({ title: 'Cancel this task?', text, action: 'Cancel the task', danger: true }))) return;
    }
    await act(() => post(`/tasks/${task.id}/${name}`), done);
    reload();
  };
  const editable = task.index > 0 && !['running', 'succeeded'].includes(task.state);
  return html`
    ${task.failure && html`<div class="failure"><${Cause} failure=${task.failure} /><p><${Foreign} text=${task.failure.message} max=${4_000} /></p></div>`}
    ${task.state === 'running' && task.progress && html`<${Doing} progress=${task.progress} />`}
    <div class="buttons">
      <button onClick=${() => setParams({ tab: null, task: task.id, step: null, panel: null, level: null, q: null })}>Its log</button>
      ${operator && ['failed', 'cancelled', 'skipped'].includes(task.state) && html`<button class="primary" onClick=${() => order('retry', 'It is queued again')}>Retry</button>`}
      ${operator && editable && html`<button onClick=${() => setEditing(!editing)} aria-expanded=${editing}>Edit input</button>`}
      ${operator && ['queued', 'retrying', 'failed', 'cancelled'].includes(task.state) && html`<button onClick=${() => order('skip', 'It is skipped')}>Skip</button>`}
      ${operator && ['queued', 'retrying', 'running'].includes(task.state) && html`<button class="danger" disabled=${task.stopping} onClick=${() => order('cancel', 'It is being cancelled')}>Cancel</button>`}
    </div>
    ${
      editing &&
      html`<${Edit} task=${task} done=${() => {
        setEditing(false);
        reload();
      }} />`
    }
    <dl class="pairs">
      ${task.index > 0 && html`<div><dt>Key</dt><dd><${Foreign} text=${task.key} max=${200} /></dd></div>`}
      <div><dt>Id</dt><dd><code>${task.id}</code></dd></div>
      ${task.parent !== undefined && html`<div><dt>Spawned by</dt><dd>${task.parent === 0 ? 'the plan' : html`task ${task.parent}`}</dd></div>`}
      <div><dt>Created</dt><dd><${Moment} at=${task.created_at} /></dd></div>
      ${task.due_at && html`<div><dt>Due</dt><dd><${Moment} at=${task.due_at} /></dd></div>`}
      ${task.running_since && html`<div><dt>Attempt ${task.attempt} runs for</dt><dd class="number">${duration(Math.max(0, now.value - Date.parse(task.running_since)))}</dd></div>`}
      ${task.ended_at && html`<div><dt>Ended</dt><dd><${Moment} at=${task.ended_at} /></dd></div>`}
      ${task.edited_at && html`<div><dt>Input edited</dt><dd><${Moment} at=${task.edited_at} />${task.edited_by ? html` by ${task.edited_by}` : ''}</dd></div>`}
      ${task.failures > 0 && html`<div><dt>Failures that count</dt><dd class="number">${count(task.failures)}</dd></div>`}
      ${task.host_deaths > 0 && html`<div><dt>Hosts that died under it</dt><dd class="number bad">${count(task.host_deaths)}</dd></div>`}
      <div><dt>Lines</dt><dd><${Levels} lines=${task.lines} /></dd></div>
      <div><dt>Used</dt><dd>${used(task.usage)}</dd></div>
    </dl>
    <h3>Attempts</h3>
    ${task.state === 'running' && html`<${Running} task=${task} />`}
    ${task.attempts.length === 0 && task.state !== 'running' && html`<p class="faint">None yet.</p>`}
    ${task.attempts.toReversed().map((attempt, at) => html`<${OneAttempt} key=${attempt.number} run=${task.run} attempt=${attempt} open=${at === 0 && attempt.end !== 'succeeded'} />`)}
    <h3>Input</h3>
    <${Json} value=${task.input} label="Input" />
    <h3>Output</h3>
    <${Json} value=${task.output} label="Output" />
  `;
}

/** @param {import('../../lib/types.js').Usage} usage */
const used = (usage) =>
  `${duration(usage.cpu_us / 1_000)} processor, ${size(usage.peak_memory_bytes)}${usage.fuel ? `, ${short(usage.fuel)} fuel` : ''}`;

/** How far it says that it is. @param {{progress: {done: number, total?: number, message?: string}}} props */
function Doing({ progress }) {
  const { done, total, message } = progress;
  return html`<div class="doing">
    <span><strong class="number">${count(done)}${total ? ` of ${count(total)}` : ''}</strong> <${Foreign} text=${message ?? ''} max=${300} /></span>
    ${total ? html`<progress value=${done} max=${total} aria-label="Progress of the task"></progress>` : ''}
  </div>`;
}

/** The attempt that is at work. @param {{task: TaskDetail}} props */
function Running({ task }) {
  return html`<div class="attempt running">
    <div class="attempt-head"><strong>${task.attempt}</strong><span>running</span><span class="grow"></span></div>
    <${Tail} run=${task.run} lines=${task.log_tail ?? []} />
  </div>`;
}

/** @param {{run: string, attempt: Attempt, open: boolean}} props */
function OneAttempt({ run, attempt, open }) {
  const { failure, usage } = attempt;
  return html`<details class=${`attempt ${attempt.end}`} open=${open}>
    <summary class="attempt-head"><strong>${attempt.number}</strong><span>${attempt.end.replace('-', ' ')}</span>${failure && html`<${Cause} failure=${failure} />`}<span class="grow"></span><span class="number">${duration(attempt.duration_ms)}</span></summary>
    ${failure && html`<p class="attempt-message"><${Foreign} text=${failure.message} max=${4_000} /></p>`}
    <dl class="figures">
      <div><dt>Began</dt><dd><${Moment} at=${attempt.claimed_at} /></dd></div>
      <div><dt>Fuel</dt><dd class="number">${usage.fuel ? count(usage.fuel) : 'not metered'}</dd></div>
      <div><dt>Memory</dt><dd class="number">${size(usage.peak_memory_bytes)}</dd></div>
      <div><dt>Processor</dt><dd class="number">${duration(usage.cpu_us / 1_000)}</dd></div>
      <div><dt>Lines</dt><dd class="number">${count(attempt.lines)}${attempt.suppressed > 0 ? html` <span class="warn-text">+ ${count(attempt.suppressed)} suppressed</span>` : ''}</dd></div>
    </dl>
    ${failure?.backtrace && html`<details class="inner" open><summary>Backtrace</summary><pre tabindex="0" aria-label=${`Backtrace of attempt ${attempt.number}`}>${seen(failure.backtrace)}</pre></details>`}
    ${(attempt.log_tail?.length ?? 0) > 0 && html`<details class="inner" open=${Boolean(failure)}><summary>Its last lines</summary><${Tail} run=${run} lines=${attempt.log_tail ?? []} /></details>`}
  </details>`;
}

/** Another input before the next attempt. @param {{task: TaskDetail, done: () => void}} props */
function Edit({ task, done }) {
  const [text, setText] = useState(JSON.stringify(task.input, null, 2));
  const [error, setError] = useState('');
  const store = async (/** @type {boolean} */ retry) => {
    try {
      JSON.parse(text);
      await ask('PUT', `/tasks/${task.id}/input`, { body: text, type: 'application/json' });
      if (retry) await post(`/tasks/${task.id}/retry`);
      done();
    } catch (error) {
      setError(
        error instanceof SyntaxError
          ? `This is no JSON: ${error.message}`
          : error instanceof Problem
            ? error.message
            : String(error),
      );
    }
  };
  const retries = ['failed', 'cancelled', 'skipped'].includes(task.state);
  return html`<div class="edit-input">
    <label for="task-input">Input of the next attempt, as JSON</label>
    <textarea id="task-input" rows="8" spellcheck="false" value=${text} aria-invalid=${error !== ''} aria-describedby="task-input-error" onInput=${(
      /** @type {any} */ event,
    ) => {
      setText(event.target.value);
      setError('');
    }}></textarea>
    <p id="task-input-error" class="bad" role="alert">${error}</p>
    <div class="buttons">
      ${retries && html`<button class="primary" onClick=${() => store(true)}>Store and retry</button>`}
      <button class=${retries ? '' : 'primary'} onClick=${() => store(false)}>Store</button>
    </div>
  </div>`;
}
