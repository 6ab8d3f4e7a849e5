// The tasks of a run or a step, a million as well as ten: only the rows in sight are in the document. Without a filter a row is a task's
// number, so any part of the list is read on its own; with one, pages come one after the other as one scrolls.

import { Trouble } from '../../components/parts.js';
import { get, query } from '../../lib/api.js';
import { count, duration, short, size, words } from '../../lib/format.js';
import { useKeys } from '../../lib/keys.js';
import { useAgain } from '../../lib/load.js';
import { params, setParams } from '../../lib/router.js';
import { html, now, useEffect, useMemo, useRef, useState } from '../../lib/view.js';
import { fill } from '../../log/ansi.js';
import { Viewport } from '../../log/viewport.js';

/** @typedef {import('../../lib/types.js').Task} Task */
/** @typedef {import('../../lib/types.js').RunDetail} RunDetail */

const STATES = /** @type {const} */ (['queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled', 'skipped']);
/** Tasks of one request. */
const PAGE = 200;
/** Pages that are kept. */
const MOST_PAGES = 60;
/** What is in sight is read when it stays in sight so long, in milliseconds: who drags the scroll bar passes by thousands of pages. */
const SETTLED = 40;
const ROW = 30;

/** What both kinds of rows share. */
class Rows {
  /** @param {string} run */
  constructor(run) {
    this.path = `/runs/${run}/tasks`;
    this.stop = new AbortController();
    /** @type {import('../../lib/api.js').Problem|null} */
    this.error = null;
    this.requests = 0;
    /** The rows in sight. @type {[number, number]} */
    this.seen = [0, 0];
    this.changed = () => {};
  }

  /** These rows are in sight. @param {number} from @param {number} to */
  look(from, to) {
    this.seen = [from, to];
  }

  /** @param {Record<string, any>} what @returns {Promise<import('../../lib/types.js').TaskPage|null>} */
  async ask(what) {
    this.requests += 1;
    try {
      const page = await get(`${this.path}${query({ ...what, limit: PAGE })}`, this.stop.signal);
      this.error = null;
      return page;
    } catch (error) {
      if (!this.stop.signal.aborted) this.error = /** @type {any} */ (error);
      return null;
    }
  }
}

/** All tasks of one step or of all: a row is a number. */
class NumberedRows extends Rows {
  /** @param {string} run @param {string|undefined} step */
  constructor(run, step) {
    super(run);
    this.only = step;
    /** @type {{name: string, first: number, total: number}[]} */
    this.steps = [];
    /** Pages by step and number, the one used longest ago first. @type {Map<string, Task[]>} */
    this.pages = new Map();
    /** @type {Set<string>} */
    this.reading = new Set();
    this.timer = 0;
    this.complete = true;
  }

  /** How many tasks each step has now. @param {import('../../lib/types.js').Step[]} steps */
  tell(steps) {
    let first = 0;
    this.steps = steps
      .filter((step) => !this.only || step.name === this.only)
      .map((step) => {
        const place = { name: step.name, first, total: step.tasks.total };
        first += step.tasks.total;
        return place;
      });
  }

  get count() {
    const last = this.steps.at(-1);
    return last ? last.first + last.total : 0;
  }

  /** The step and the number of a row. @param {number} row */
  place(row) {
    const step = this.steps.findLast((one) => one.first <= row && one.total > 0);
    return step ? { step: step.name, index: row - step.first } : null;
  }

  /** @param {number} row */
  line(row) {
    const place = this.place(row);
    return place ? this.pages.get(`${place.step} ${Math.floor(place.index / PAGE)}`)?.[place.index % PAGE] : undefined;
  }

  /** The pages that rows lie on. @param {number} from @param {number} to */
  wanted(from, to) {
    /** @type {Map<string, {step: string, page: number}>} */
    const pages = new Map();
    for (let row = from; row < to; row += 1) {
      const place = this.place(row);
      if (place)
        pages.set(`${place.step} ${Math.floor(place.index / PAGE)}`, { step: place.step, page: Math.floor(place.index / PAGE) });
    }
    return pages;
  }

  /** @param {number} from @param {number} to */
  want(from, to) {
    this.look(from, to);
    const missing = () => [...this.wanted(...this.seen)].filter(([key]) => !this.pages.has(key) && !this.reading.has(key));
    if (missing().length === 0) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      for (const [key, { step, page }] of missing()) this.read(key, step, page);
    }, SETTLED);
  }

  /** @param {string} key @param {string} step @param {number} page */
  async read(key, step, page) {
    if (this.reading.has(key)) return;
    this.reading.add(key);
    const found = await this.ask({ step, from: page * PAGE });
    this.reading.delete(key);
    if (this.stop.signal.aborted) return;
    if (found) {
      this.pages.delete(key);
      this.pages.set(key, found.items);
      const [oldest] = this.pages.keys();
      if (this.pages.size > MOST_PAGES) this.pages.delete(oldest);
    }
    this.changed();
  }

  /** Reads anew what is in sight. */
  refresh() {
    const [from, to] = this.seen;
    const wanted = this.wanted(from, to);
    for (const key of this.pages.keys()) if (!wanted.has(key)) this.pages.delete(key);
    for (const [key, { step, page }] of wanted) this.read(key, step, page);
  }

  close() {
    clearTimeout(this.timer);
    this.stop.abort();
  }
}

/** The tasks that match, page after page. */
class FilteredRows extends Rows {
  /** @param {string} run @param {Record<string, string|undefined>} filter */
  constructor(run, filter) {
    super(run);
    this.filter = filter;
    /** @type {Task[]} */
    this.tasks = [];
    /** The cursor that each page begins with; the first one has none. @type {(string|undefined)[]} */
    this.cursors = [undefined];
    this.complete = false;
    this.busy = false;
  }

  tell() {}

  get count() {
    return this.tasks.length;
  }

  /** @param {number} row */
  line(row) {
    return this.tasks[row];
  }

  /** @param {number} from @param {number} to */
  want(from, to) {
    this.look(from, to);
    if (to >= this.tasks.length - 20 && !this.complete) this.read(this.cursors.length - 1);
  }

  /** @param {number} page */
  async read(page) {
    if (this.busy) return;
    this.busy = true;
    const found = await this.ask({ ...this.filter, cursor: this.cursors[page] });
    this.busy = false;
    if (this.stop.signal.aborted) return;
    if (found) {
      const { items, next } = found;
      this.tasks.splice(page * PAGE, PAGE, ...items);
      if (next) {
        this.cursors[page + 1] ??= next;
        if (page === this.cursors.length - 2 && this.tasks.length === (page + 1) * PAGE) this.complete = false;
      } else {
        this.tasks.length = page * PAGE + items.length;
        this.cursors.length = page + 1;
        this.complete = true;
      }
    }
    this.changed();
  }

  /** Reads anew what is in sight. */
  async refresh() {
    const [from, to] = this.seen;
    for (let page = Math.floor(from / PAGE); page <= Math.floor(Math.max(0, to - 1) / PAGE); page += 1) {
      if (page < this.cursors.length) await this.read(page);
    }
  }

  close() {
    this.stop.abort();
  }
}

/** @param {{run: RunDetail, step?: string, state: string}} props */
export function Tasks({ run, step, state }) {
  const scroller = useRef(/** @type {HTMLElement|null} */ (null));
  const viewport = useRef(/** @type {Viewport|null} */ (null));
  const chosen = useRef(-1);
  const [, redraw] = useState(0);
  const cause = params.value.get('cause') ?? undefined;
  const letter = params.value.get('letter') ?? undefined;
  const narrow = state || cause || letter;
  const rows = useMemo(
    () => (narrow ? new FilteredRows(run.id, { step, state, cause, letter }) : new NumberedRows(run.id, step)),
    [run.id, step, state, cause, letter],
  );
  rows.tell(run.steps);
  useEffect(() => {
    if (!scroller.current) return undefined;
    const element = scroller.current;
    const view = new Viewport(element, {
      rows,
      rowHeight: ROW,
      paint: (row, task, at) => paint(row, task, at, at === chosen.current),
      moved: () => {},
    });
    viewport.current = view;
    chosen.current = -1;
    rows.changed = () => {
      view.repaint();
      redraw((before) => before + 1);
    };
    view.draw();
    Object.assign(element, { viewport: view, source: rows });
    return () => {
      rows.changed = () => {};
      rows.close();
      view.close();
    };
  }, [rows]);
  // The run says that something changed.
  useAgain(JSON.stringify([run.tasks, run.attempts]), () => {
    viewport.current?.refresh();
    rows.refresh();
  });
  const of = step ? run.steps.find((known) => known.name === step) : undefined;
  const counts = of?.tasks ?? run.tasks;
  const open = (/** @type {number} */ row) => {
    const task = /** @type {Task|undefined} */ (rows.line(row));
    if (task) setParams({ panel: task.id });
  };
  const go = (/** @type {number} */ row) => {
    const view = viewport.current;
    if (!view || rows.count === 0) return;
    chosen.current = Math.max(0, Math.min(rows.count - 1, row));
    if (!view.inSight(chosen.current)) view.jump(chosen.current, 0.4);
    view.repaint();
    // Whoever walks through the tasks with an open panel sees each.
    if (params.peek().get('panel')) open(chosen.current);
  };
  useKeys({
    j: () => go(chosen.current + 1),
    k: () => go(chosen.current - 1),
    'g g': () => go(0),
    G: () => go(rows.count - 1),
    Enter: () => open(chosen.current),
  });
  const click = (/** @type {Event} */ event) => {
    const row = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest('.task'));
    const at = Number(row?.dataset.row);
    if (!row?.dataset.id) return;
    chosen.current = at;
    viewport.current?.repaint();
    open(at);
  };
  const shown = narrow ? `${count(rows.count)}${rows.complete ? '' : '+'}` : count(rows.count);
  return html`
    <section class="tasks" aria-label="Tasks">
      <div class="log-tools">
        <select aria-label="Step" value=${step ?? ''} onChange=${(/** @type {any} */ event) => setParams({ step: event.target.value })}>
          <option value="">All steps</option>
          ${run.steps.map((known) => html`<option value=${known.name}>${known.name}</option>`)}
        </select>
        <div class="chips" role="group" aria-label="States">
          <button class=${`chip${state ? '' : ' on'}`} aria-pressed=${!state} onClick=${() => setParams({ state: null })}>all <b>${short(counts.total)}</b></button>
          ${STATES.filter((name) => counts[name] > 0 || state === name).map((name) => html`<button class=${`chip ${name}${state === name ? ' on' : ''}`} aria-pressed=${state === name} onClick=${() => setParams({ state: state === name ? null : name })}>${name} <b>${short(counts[name])}</b></button>`)}
          ${cause && html`<button class="chip on" title="Remove this filter" onClick=${() => setParams({ cause: null })}>${words(cause)} ✕</button>`}
          ${letter && html`<button class="chip on" title="Remove this filter" onClick=${() => setParams({ letter: null })}>one group of dead letters ✕</button>`}
        </div>
        <span class="grow"></span>
        ${
          !narrow &&
          step &&
          html`<form class="jump" onSubmit=${(/** @type {Event} */ event) => {
            event.preventDefault();
            const field = /** @type {HTMLInputElement} */ (document.getElementById('task-number'));
            const number = Number.parseInt(field.value.replaceAll(/\D/g, ''), 10);
            if (number >= 0) go(number);
            field.blur();
          }}><input id="task-number" inputmode="numeric" placeholder="Task no." aria-label="Go to task number" /></form>`
        }
      </div>
      <${Trouble} problem=${rows.error} retry=${() => rows.refresh()} />
      <div class="task task-names" aria-hidden="true"><span>State</span><span>Step</span><span>No.</span><span>Key</span><span>Tries</span><span title="from its creation to its end, or since its attempt began">Time</span><span>Memory</span><span>Log</span><span>What it says</span></div>
      <div class="task-rows" ref=${scroller} tabindex="0" role="table" aria-label="Tasks" aria-rowcount=${rows.count} onClick=${click}></div>
      <footer class="log-foot"><span data-testid="task-count">${shown} of ${count(state && !cause && !letter ? counts[/** @type {'queued'} */ (state)] : counts.total)} tasks</span>
        ${rows.count === 0 && rows.complete && html`<span class="faint">${narrow ? 'None matches.' : 'There is none yet: a step gets its tasks when it starts.'}</span>`}
      </footer>
    </section>
  `;
}

const CELLS = ['state', 'step', 'number', 'key', 'attempts', 'time', 'memory', 'lines', 'says'];

/** @param {HTMLElement} row @param {Task|undefined} task @param {number} at @param {boolean} chosen */
function paint(row, task, at, chosen) {
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
  row.dataset.row = String(at);
  row.setAttribute('aria-rowindex', String(at + 1));
  if (!task) {
    row.className = `task waiting${chosen ? ' at' : ''}`;
    delete row.dataset.id;
    for (const cell of row.children) cell.textContent = '';
    return;
  }
  row.className = `task ${task.state}${chosen ? ' at' : ''}`;
  row.dataset.id = task.id;
  const took = task.ended_at && task.attempt > 0 ? Date.parse(task.ended_at) - Date.parse(task.created_at) : null;
  const running = task.running_since ? Math.max(0, now.peek() - Date.parse(task.running_since)) : null;
  const says = task.failure
    ? `${words(task.failure.cause)}: ${task.failure.message}`
    : task.progress
      ? `${count(task.progress.done)}${task.progress.total ? ` of ${count(task.progress.total)}` : ''} ${task.progress.message ?? ''}`
      : '';
  const { lines, usage } = task;
  const texts = [
    task.state,
    task.step,
    task.index === 0 ? 'plan' : String(task.index),
    task.index === 0 ? '' : task.key,
    task.attempt ? String(task.attempt) : '',
    running !== null ? duration(running) : took !== null ? duration(took) : '',
    usage.peak_memory_bytes ? size(usage.peak_memory_bytes) : '',
    [lines.error ? `${short(lines.error)} ERR` : '', lines.warn ? `${short(lines.warn)} WRN` : ''].filter(Boolean).join(' ') ||
      (lines.total ? short(lines.total) : ''),
    says.slice(0, 300),
  ];
  texts.forEach((text, index) => {
    fill(/** @type {HTMLElement} */ (row.children[index]), text);
  });
  row.children[7].className = `t-lines${lines.error ? ' error' : lines.warn ? ' warn' : ''}`;
}
