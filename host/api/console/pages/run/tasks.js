// The tasks of a run or a step: pages by keyset, read as one scrolls, and only the rows in sight in the document.

import { Trouble } from '../../components/parts.js';
import { get, query } from '../../lib/api.js';
import { count, duration, short, words } from '../../lib/format.js';
import { setParams } from '../../lib/router.js';
import { html, now, useEffect, useMemo, useRef, useState } from '../../lib/view.js';
import { fill } from '../../log/ansi.js';
import { Viewport } from '../../log/viewport.js';

/** @typedef {import('../../lib/types.js').Task} Task */

const STATES = /** @type {const} */ (['queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled', 'skipped']);
/** Tasks of one request. */
const PAGE = 200;
/** What is in sight is read anew no more often than this while the run goes on, in milliseconds. */
const AGAIN = 1_000;

class TaskRows {
  /** @param {string} run @param {string|undefined} step @param {string} state */
  constructor(run, step, state) {
    this.path = `/runs/${run}/tasks`;
    this.filter = { step, state, limit: PAGE };
    /** @type {Task[]} */
    this.tasks = [];
    /** The cursor that each page begins with; the first one has none. @type {(string|undefined)[]} */
    this.cursors = [undefined];
    this.complete = false;
    /** @type {import('../../lib/api.js').Problem|null} */
    this.error = null;
    this.stop = new AbortController();
    this.busy = false;
    this.seen = [0, 0];
    this.changed = () => {};
  }

  get count() {
    return this.tasks.length;
  }

  /** @param {number} row */
  line(row) {
    return this.tasks[row];
  }

  /** @param {number} from @param {number} to */
  want(from, to) {
    this.seen = [from, to];
    if (to >= this.tasks.length - 20 && !this.complete) this.read(this.cursors.length - 1);
  }

  /** @param {number} page */
  async read(page) {
    if (this.busy) return;
    this.busy = true;
    try {
      const { items, next } = await get(`${this.path}${query({ ...this.filter, cursor: this.cursors[page] })}`, this.stop.signal);
      this.tasks.splice(page * PAGE, PAGE, ...items);
      if (next) this.cursors[page + 1] ??= next;
      else if (page === this.cursors.length - 1) this.complete = true;
      if (!next) {
        this.tasks.length = page * PAGE + items.length;
        this.cursors.length = page + 1;
        this.complete = true;
      } else if (page === this.cursors.length - 2 && this.tasks.length === (page + 1) * PAGE) this.complete = false;
      this.error = null;
    } catch (error) {
      if (!this.stop.signal.aborted) this.error = /** @type {any} */ (error);
    } finally {
      this.busy = false;
      if (!this.stop.signal.aborted) this.changed();
    }
  }

  /** Reads anew what is in sight. */
  async refresh() {
    const [from, to] = this.seen;
    for (let page = Math.floor(from / PAGE); page <= Math.floor(Math.max(0, to - 1) / PAGE); page += 1) {
      if (page < this.cursors.length) await this.read(page);
    }
  }
}

/** @param {{run: import('../../lib/types.js').RunDetail, step?: string, state: string}} props */
export function Tasks({ run, step, state }) {
  const scroller = useRef(/** @type {HTMLElement|null} */ (null));
  const [, redraw] = useState(0);
  const rows = useMemo(() => new TaskRows(run.id, step, state), [run.id, step, state]);
  useEffect(() => {
    if (!scroller.current) return undefined;
    const view = new Viewport(scroller.current, { rows, rowHeight: 30, paint, moved: () => {} });
    rows.changed = () => {
      view.repaint();
      redraw((before) => before + 1);
    };
    rows.read(0);
    return () => {
      rows.stop.abort();
      rows.changed = () => {};
      view.close();
    };
  }, [rows]);
  // The run says that something changed; nothing is asked for while nothing does.
  const told = JSON.stringify([run.tasks, run.attempts]);
  const timer = useRef(0);
  // The text stands for the counters.
  useEffect(() => {
    timer.current ||= setTimeout(() => {
      timer.current = 0;
      rows.refresh();
    }, AGAIN);
  }, [told, rows]);
  const of = step ? run.steps.find((known) => known.name === step) : undefined;
  const counts = of?.tasks ?? run.tasks;
  const open = (/** @type {Event} */ event) => {
    const row = /** @type {Element} */ (event.target).closest('.task');
    const id = /** @type {HTMLElement|null} */ (row)?.dataset.id;
    if (id) setParams({ panel: id });
  };
  return html`
    <section class="tasks" aria-label="Tasks">
      <div class="log-tools">
        <select aria-label="Step" value=${step ?? ''} onChange=${(/** @type {any} */ event) => setParams({ step: event.target.value })}>
          <option value="">All steps</option>
          ${run.steps.map((known) => html`<option value=${known.name}>${known.name}</option>`)}
        </select>
        <div class="chips" role="group" aria-label="States">
          <button class=${`chip${state ? '' : ' on'}`} aria-pressed=${!state} onClick=${() => setParams({ state: null })}>all <b>${short(counts.total)}</b></button>
          ${STATES.map((name) => html`<button class=${`chip ${name}${state === name ? ' on' : ''}`} aria-pressed=${state === name} onClick=${() => setParams({ state: state === name ? null : name })}>${name} <b>${short(counts[name])}</b></button>`)}
        </div>
      </div>
      <${Trouble} problem=${rows.error} retry=${() => rows.read(rows.cursors.length - 1)} />
      <div class="task task-names" aria-hidden="true"><span>State</span><span>Step</span><span>No.</span><span>Key</span><span>Attempts</span><span>Time</span><span>WRN</span><span>ERR</span><span>What it says</span></div>
      <div class="task-rows" ref=${scroller} tabindex="0" role="table" aria-label="Tasks" onClick=${open}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === 'Enter' && open(event)}></div>
      <footer class="log-foot"><span>${count(rows.count)}${rows.complete ? '' : '+'} of ${count(state ? counts[/** @type {'queued'} */ (state)] : counts.total)} tasks</span></footer>
    </section>
  `;
}

const CELLS = ['state', 'step', 'number', 'key', 'attempts', 'time', 'warn', 'error', 'says'];

/** @param {HTMLElement} row @param {Task|undefined} task */
function paint(row, task) {
  if (row.childElementCount !== CELLS.length) {
    row.replaceChildren(
      ...CELLS.map((name) => {
        const cell = document.createElement('span');
        cell.className = `t-${name}`;
        cell.setAttribute('role', 'cell');
        return cell;
      }),
    );
    row.setAttribute('role', 'row');
  }
  if (!task) return;
  row.className = `task ${task.state}`;
  row.dataset.id = task.id;
  const took = task.ended_at && task.attempt > 0 ? Date.parse(task.ended_at) - Date.parse(task.created_at) : null;
  const running = task.running_since ? Math.max(0, now.peek() - Date.parse(task.running_since)) : null;
  const says = task.failure
    ? `${words(task.failure.cause)}: ${task.failure.message}`
    : task.progress
      ? `${count(task.progress.done)}${task.progress.total ? ` of ${count(task.progress.total)}` : ''} ${task.progress.message ?? ''}`
      : '';
  const texts = [
    task.state,
    task.step,
    task.index === 0 ? 'plan' : String(task.index),
    task.index === 0 ? '' : task.key,
    task.attempt ? String(task.attempt) : '',
    running !== null ? duration(running) : took !== null ? duration(took) : '',
    task.lines.warn ? short(task.lines.warn) : '',
    task.lines.error ? short(task.lines.error) : '',
    says.slice(0, 300),
  ];
  texts.forEach((text, index) => {
    fill(/** @type {HTMLElement} */ (row.children[index]), text);
  });
}
