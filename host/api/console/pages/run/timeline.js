// When everything happened: each step as a bar, and below it its tasks.

import { Trouble } from '../../components/parts.js';
import { get } from '../../lib/api.js';
import { duration } from '../../lib/format.js';
import { useLoad } from '../../lib/load.js';
import { setParams } from '../../lib/router.js';
import { html, now } from '../../lib/view.js';

/** The most tasks that are drawn. */
const MOST = 400;

/** @param {{run: import('../../lib/types.js').RunDetail}} props */
export function Timeline({ run }) {
  const { value, error, reload } = useLoad(`${run.id} ${run.attempts}`, (signal) =>
    get(`/runs/${run.id}/tasks?limit=${MOST}`, signal),
  );
  /** @type {import('../../lib/types.js').Task[]} */
  const tasks = value?.items ?? [];
  if (!run.started_at) return html`<p class="empty">It has not started.</p>`;
  const start = Date.parse(run.started_at);
  const end = Math.max(run.ended_at ? Date.parse(run.ended_at) : now.value, start + 1);
  const share = (/** @type {number} */ at) => `${(Math.min(1, Math.max(0, (at - start) / (end - start))) * 100).toFixed(3)}%`;
  const place = (/** @type {string|undefined} */ from, /** @type {string|undefined} */ to) => {
    const [left, right] = [from ? Date.parse(from) : start, to ? Date.parse(to) : end];
    return { left: share(left), width: `calc(${share(start + (right - left))} + 2px)` };
  };
  const ticks = Array.from({ length: 6 }, (_, index) => start + ((end - start) * index) / 5);
  return html`
    <section class="timeline" aria-label="Timeline">
      <${Trouble} problem=${error} retry=${reload} />
      <div class="time-axis" aria-hidden="true">${ticks.map((tick) => html`<span style=${{ left: share(tick) }}>${duration(tick - start)}</span>`)}</div>
      ${run.steps.map(
        (step) => html`<div class="time-step">
          <div class="time-row step-row"><span class="time-name">${step.name}</span><div class="time-track">
            ${step.started_at && html`<i class=${step.state} style=${place(step.started_at, step.ended_at)} title=${`${step.name}: ${step.state}`}></i>`}
          </div></div>
          ${tasks
            .filter((task) => task.step === step.name && task.attempt > 0)
            .map(
              (
                task,
              ) => html`<button class="time-row" onClick=${() => setParams({ panel: task.id })} aria-label=${`${task.index === 0 ? 'plan' : task.index} of ${step.name}, ${task.state}`}>
                <span class="time-name">${task.index === 0 ? 'plan' : task.index}</span><span class="time-track">
                  <i class=${task.state} style=${place(task.running_since ?? task.created_at, task.ended_at)}></i>
                </span>
              </button>`,
            )}
        </div>`,
      )}
      ${value?.next && html`<p class="faint">The first ${MOST} tasks are drawn.</p>`}
    </section>
  `;
}
