// The steps of a run, as cards that open themselves when they start.

import { Cause, Foreign, Lasting, Levels, Progress, State } from '../../components/parts.js';
import { count, duration, words } from '../../lib/format.js';
import { params, setParams } from '../../lib/router.js';
import { html, useEffect, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').Step} Step */

/** Why nothing of a step goes on. @type {Record<string, string>} */
const STALLS = {
  'waiting-for-dependency': 'waits for another step',
  paused: 'the run is paused',
  'waiting-for-retry': 'waits to try again',
  'no-slot': 'all slots are taken',
  'waiting-for-memory': 'waits for memory',
  draining: 'the server is about to end',
  stopping: 'its attempts are ending',
  silent: 'nothing for a minute',
};

/** @param {{run: import('../../lib/types.js').RunDetail}} props */
export function Steps({ run }) {
  const chosen = params.value.get('step');
  return html`
    <aside class="steps" aria-label="Steps">
      ${run.steps.map((step) => html`<${StepCard} key=${step.name} step=${step} chosen=${chosen === step.name} />`)}
    </aside>
  `;
}

/** @param {{step: Step, chosen: boolean}} props */
function StepCard({ step, chosen }) {
  const [toggled, setToggled] = useState(/** @type {boolean|null} */ (null));
  const open = toggled ?? (step.state === 'running' || chosen);
  // Whoever chooses a step, in the graph for instance, wants to see its card.
  useEffect(() => {
    if (chosen) setToggled(null);
  }, [chosen]);
  const { tasks } = step;
  const done = tasks.succeeded + tasks.failed + tasks.cancelled + tasks.skipped;
  const body = `step-${step.index}`;
  return html`
    <article class=${`step ${step.state}${chosen ? ' chosen' : ''}`} data-step=${step.name} data-state=${step.state}>
      <button class="step-head" aria-expanded=${open} aria-controls=${body} onClick=${() => setToggled(!open)}>
        <${State} state=${step.state} stopping=${step.stopping} />
        <strong>${step.name}</strong>
        <span class="grow"></span>
        <span class="step-time">${step.started_at && html`<${Lasting} from=${step.started_at} to=${step.ended_at} ms=${step.duration_ms} />`}</span>
      </button>
      ${tasks.total > 0 && html`<${Progress} tasks=${tasks} />`}
      <div id=${body} hidden=${!open} class="step-body">
        ${step.description && html`<p class="faint"><${Foreign} text=${step.description} max=${300} /></p>`}
        <dl class="pairs">
          <div><dt>Tasks</dt><dd data-testid="step-tasks">${count(done)} of ${count(tasks.total)}${tasks.failed > 0 && html`, <span class="bad">${count(tasks.failed)} failed</span>`}${tasks.running > 0 && html`, ${count(tasks.running)} running`}${tasks.retrying > 0 && html`, ${count(tasks.retrying)} retrying`}</dd></div>
          <div><dt>Plugin</dt><dd><a href=${`/plugins/${step.plugin.name}`}>${step.plugin.name}</a></dd></div>
          ${step.depends.length > 0 && html`<div><dt>After</dt><dd>${step.depends.join(', ')}</dd></div>`}
          ${step.stalled && html`<div><dt>Stands still</dt><dd class="warn-text">${STALLS[step.stalled] ?? words(step.stalled)}</dd></div>`}
          ${step.pace && step.pace.per_second >= 0.05 && html`<div><dt>Pace</dt><dd>${step.pace.per_second.toFixed(1)} tasks/s${step.pace.remaining_ms !== undefined ? html`, about ${duration(step.pace.remaining_ms)} left` : ''}</dd></div>`}
          ${step.concurrency && html`<div><dt>At once</dt><dd>${step.concurrency}</dd></div>`}
          ${step.failure && html`<div><dt>Failed</dt><dd><${Cause} failure=${step.failure} /></dd></div>`}
        </dl>
      </div>
      <div class="step-foot">
        <${Levels} lines=${step.lines} />
        <span class="grow"></span>
        <button class="link" aria-label=${`Log of ${step.name}`} onClick=${() => setParams({ tab: null, step: chosen && !params.value.get('tab') ? null : step.name, task: null })}>Log</button>
        <button class="link" aria-label=${`Tasks of ${step.name}`} onClick=${() => setParams({ tab: 'tasks', step: step.name, state: null })}>Tasks</button>
      </div>
    </article>
  `;
}
