// When everything happened: for each step how many attempts were at work at once, and below it each attempt as a bar.

import { Icon } from '../../components/icons.js';
import { seen, Trouble } from '../../components/parts.js';
import { get, query } from '../../lib/api.js';
import { count, duration, words } from '../../lib/format.js';
import { useAgain, useLoad } from '../../lib/load.js';
import { params, setParams } from '../../lib/router.js';
import { html, now, useRef, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').RunDetail} RunDetail */
/** @typedef {import('../../lib/types.js').Timeline} Times */
/** @typedef {import('../../lib/types.js').StepTimeline} StepTimes */
/** @typedef {import('../../lib/types.js').TimelineAttempt} Attempt */

/** Bars of each step. */
const MOST = 120;
/** Up to so many tasks of a step have a row each; of more, attempts share rows. */
const MOST_ROWS = 40;
const ZOOMS = [1, 2, 4, 8, 16, 32];
const WHICH = /** @type {const} */ (['newest', 'longest', 'failed']);
/** The height of what shows how many were at work, in pixels. */
const BAND = 28;

/** @param {{run: RunDetail}} props */
export function Timeline({ run }) {
  const which = params.value.get('which') ?? 'newest';
  const [zoom, setZoom] = useState(1);
  const { value, error, reload } = useLoad(
    `${run.id} ${which}`,
    (signal) => /** @type {Promise<Times>} */ (get(`/runs/${run.id}/timeline${query({ which, limit: MOST })}`, signal)),
  );
  useAgain(JSON.stringify([run.tasks, run.attempts]), reload);
  // While other attempts are asked for, those that are shown stay.
  const shown = useRef(/** @type {Times|null} */ (null));
  if (value) shown.current = value;
  const times = shown.current;
  if (!run.started_at && run.attempts === 0) {
    return html`<div class="timeline"><p class="faint">Nothing of it has started yet. Each attempt gets a bar here.</p></div>`;
  }
  if (!times)
    return html`<div class="timeline"><${Trouble} problem=${error} retry=${reload} />${!error && html`<p class="faint" role="status">Reading…</p>`}</div>`;
  const from = Date.parse(times.from);
  const to = Math.max(from + 1, run.ended_at ? Date.parse(times.to) : Math.max(now.value, Date.parse(times.to)));
  const axis = { from, to, ticks: ticksOf(to - from, zoom), told: (Date.parse(times.to) - from) / (to - from) };
  const step = (/** @type {number} */ by) => setZoom(ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, ZOOMS.indexOf(zoom) + by))]);
  return html`
    <section class="timeline" aria-label="Timeline">
      <${Trouble} problem=${error} retry=${reload} />
      <div class="time-tools">
        <span class="faint">Of each step the</span>
        <div class="chips" role="group" aria-label="Which attempts">
          ${WHICH.map((name) => html`<button class=${`chip${which === name ? ' on' : ''}`} aria-pressed=${which === name} onClick=${() => setParams({ which: name === 'newest' ? null : name })}>${name}</button>`)}
        </div>
        <span class="faint">${MOST} attempts</span>
        <span class="grow"></span>
        <div class="time-zoom" role="toolbar" aria-label="Scale">
          <button aria-label="Shorter" disabled=${zoom === 1} onClick=${() => step(-1)}>−</button><span class="number faint">${zoom}×</span>
          <button aria-label="Longer" disabled=${zoom === ZOOMS.at(-1)} onClick=${() => step(1)}>+</button>
        </div>
      </div>
      <div class="time-box" tabindex="0" role="region" aria-label="Attempts over time">
        <div class="time-whole" style=${{ width: `calc((100% - var(--time-names)) * ${zoom} + var(--time-names))` }}>
          <div class="time-axis" aria-hidden="true">${axis.ticks.map((tick) => html`<span style=${{ left: `${(tick / (to - from)) * 100}%` }}>${tick === 0 ? '0' : duration(tick)}</span>`)}</div>
          ${times.steps.map((one) => html`<${StepRows} key=${one.step} ...${{ run, times: one, axis, which }} />`)}
        </div>
      </div>
    </section>
  `;
}

/** Round numbers along a span. @param {number} span @param {number} zoom */
function ticksOf(span, zoom) {
  const wanted = span / (7 * zoom);
  const units = [1, 2, 5, 10, 20, 50, 100, 200, 500];
  const steps = [
    ...units,
    ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1_000),
    ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60_000),
    ...[1, 2, 4, 6, 12, 24].map((hours) => hours * 3_600_000),
  ];
  const step = steps.find((one) => one >= wanted) ?? Math.ceil(wanted / 86_400_000) * 86_400_000;
  return Array.from({ length: Math.floor(span / step) + 1 }, (_, at) => at * step).filter(
    (tick) => tick < span * 0.985 || tick === 0,
  );
}

/** @param {{run: RunDetail, times: StepTimes, axis: {from: number, to: number, ticks: number[], told: number}, which: string}} props */
function StepRows({ run, times, axis, which }) {
  const step = run.steps.find((one) => one.name === times.step);
  const [toggled, setToggled] = useState(/** @type {boolean|null} */ (null));
  if (!step) return null;
  const open = toggled ?? true;
  const rows = rowsOf(times.attempts, axis.to);
  const told = times.attempts.length < times.attempts_in_all;
  const most = Math.max(...times.at_work, 0);
  const peak = `up to ${most < 9.95 ? Number(most.toFixed(1)) : count(Math.round(most))} at once`;
  const id = `times-${step.index}`;
  const grid = html`<span class="time-grid" aria-hidden="true">${axis.ticks.map((tick) => html`<i style=${{ left: `${(tick / (axis.to - axis.from)) * 100}%` }}></i>`)}</span>`;
  return html`
    <div class=${`time-step ${step.state}`} data-step=${step.name}>
      <div class="time-row time-head">
        <button class="time-name" aria-expanded=${open} aria-controls=${id} onClick=${() => setToggled(!open)}>
          <span class=${`state ${step.state}`}><${Icon} name=${step.state} size=${14} /></span>
          <span class="time-title"><span class="cut">${step.name}</span>${most > 0 && html`<span class="faint cut">${peak}</span>`}</span>
        </button>
        <div class="time-track">${grid}${most > 0 && html`<${Band} times=${times} most=${most} share=${axis.told} label=${`${step.name}: ${peak}`} />`}</div>
      </div>
      ${
        open &&
        html`<div id=${id} class="time-rows">
          ${rows.map(
            (row) => html`<div class="time-row" key=${row.key}>
              <span class="time-name faint">${row.name}</span>
              <div class="time-track">${grid}${row.attempts.map((attempt) => html`<${Bar} key=${`${attempt.task} ${attempt.number}`} ...${{ attempt, step: step.name, axis }} />`)}</div>
            </div>`,
          )}
          ${told && html`<p class="faint time-note">${count(times.attempts.length)} of ${count(times.attempts_in_all)} attempts${times.looked_at < times.tasks ? html`, the ${which} of ${count(times.looked_at)} tasks that were looked at` : html`, the ${which}`}</p>`}
        </div>`
      }
    </div>
  `;
}

/**
 * How many attempts were at work, and when some failed.
 * @param {{times: StepTimes, most: number, share: number, label: string}} props `share` is the part of the axis that the answer knew
 */
function Band({ times, most, share, label }) {
  const parts = times.at_work.length;
  const y = (/** @type {number} */ value) => (BAND - (value / most) * (BAND - 4)).toFixed(1);
  const path = times.at_work.map((value, at) => `L${at} ${y(value)}L${at + 1} ${y(value)}`).join('');
  return html`<svg class="time-band" viewBox=${`0 0 ${parts} ${BAND}`} preserveAspectRatio="none" role="img" aria-label=${label} style=${{ width: `${share * 100}%` }}>
    <path d=${`M0 ${BAND}${path}L${parts} ${BAND}Z`} />
    ${times.failed.map((value, at) => value > 0 && html`<rect class="failed" x=${at} y=${BAND - 3} width="1" height="3" />`)}
  </svg>`;
}

/** @param {{attempt: Attempt, step: string, axis: {from: number, to: number}}} props */
function Bar({ attempt, step, axis }) {
  const span = axis.to - axis.from;
  const from = Date.parse(attempt.from);
  const to = attempt.to ? Date.parse(attempt.to) : axis.to;
  const name = attempt.index === 0 ? 'plan' : String(attempt.index);
  const label = [
    `${step}/${name}`,
    attempt.number > 1 ? `attempt ${attempt.number}` : '',
    attempt.cause ? `${attempt.state}: ${words(attempt.cause)}` : attempt.state,
    duration(to - from),
    attempt.index > 0 ? seen(attempt.key.slice(0, 80)) : '',
  ]
    .filter(Boolean)
    .join(', ');
  return html`<button class=${`time-bar ${attempt.state}`} title=${label} aria-label=${label} onClick=${() => setParams({ panel: attempt.task })}
    style=${{ left: `${((from - axis.from) / span) * 100}%`, width: `${((to - from) / span) * 100}%` }}></button>`;
}

/**
 * A row for each task, or, where those would be many, as few rows as hold all attempts side by side.
 * @param {Attempt[]} attempts in the order in which they began
 * @param {number} end
 * @returns {{key: string, name: string, attempts: Attempt[]}[]}
 */
function rowsOf(attempts, end) {
  /** @type {Map<string, Attempt[]>} */
  const tasks = new Map();
  for (const attempt of attempts) tasks.set(attempt.task, [...(tasks.get(attempt.task) ?? []), attempt]);
  if (tasks.size <= MOST_ROWS) {
    return [...tasks].map(([task, of]) => ({ key: task, name: of[0].index === 0 ? 'plan' : String(of[0].index), attempts: of }));
  }
  /** @type {{until: number, attempts: Attempt[]}[]} */
  const rows = [];
  for (const attempt of attempts) {
    const from = Date.parse(attempt.from);
    let row = rows.find((one) => one.until <= from);
    if (!row) {
      row = { until: 0, attempts: [] };
      rows.push(row);
    }
    row.attempts.push(attempt);
    row.until = attempt.to ? Date.parse(attempt.to) : end;
  }
  return rows.map((row, at) => ({ key: `row ${at}`, name: '', attempts: row.attempts }));
}
