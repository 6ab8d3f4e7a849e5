// Tasks that failed for good, by what they failed of.

import { act, confirm } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Cause, Empty, Foreign, Trouble } from '../components/parts.js';
import { get, post, query } from '../lib/api.js';
import { ago, count, tail, words } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { html, now, useEffect } from '../lib/view.js';

/** @typedef {import('../lib/types.js').Task} Task */
/** @typedef {import('../lib/types.js').Run} Run */
/** @typedef {{signature: string, failure: import('../lib/types.js').Failure, tasks: Task[], runs: Map<string, Run>}} Group */

/** Runs that are looked through, the newest first, and tasks of each. */
const MOST_RUNS = 20;
const MOST_TASKS = 200;

/** A message without what differs from task to task. @param {import('../lib/types.js').Failure} failure */
const signatureOf = (failure) =>
  `${failure.cause} ${failure.detail ?? ''} ${failure.message.replaceAll(/\d+/g, '#').slice(0, 160)}`;

/** @param {AbortSignal} signal */
async function read(signal) {
  /** @type {import('../lib/types.js').RunPage} */
  const page = await get('/runs?limit=500', signal);
  const runs = page.items.filter((run) => run.tasks.failed > 0);
  /** @type {Map<string, Group>} */
  const groups = new Map();
  await Promise.all(
    runs.slice(0, MOST_RUNS).map(async (run) => {
      const { items } = await get(`/runs/${run.id}/tasks?state=failed&limit=${MOST_TASKS}`, signal);
      for (const task of /** @type {Task[]} */ (items)) {
        if (!task.failure) continue;
        const signature = signatureOf(task.failure);
        /** @type {Group} */
        const group = groups.get(signature) ?? { signature, failure: task.failure, tasks: [], runs: new Map() };
        group.tasks.push(task);
        group.runs.set(run.id, run);
        groups.set(signature, group);
      }
    }),
  );
  return {
    groups: [...groups.values()].sort((a, b) => b.tasks.length - a.tasks.length),
    left: Math.max(0, runs.length - MOST_RUNS),
  };
}

export function DeadLettersPage() {
  const { value, error, reload } = useLoad('dead letters', read);
  useEffect(() => {
    headline.value = { title: 'Dead letters', state: '' };
  }, []);
  const retry = async (/** @type {Run[]} */ runs, /** @type {Group} */ group) => {
    const title = `Retry what failed of this in ${count(runs.length)} ${runs.length === 1 ? 'run' : 'runs'}?`;
    const text = `Every task of these runs that failed with the cause “${words(group.failure.cause)}” is queued again, and the steps that were skipped because of it.`;
    if (!(await confirm({ title, text, action: 'Retry' }))) return;
    await act(async () => {
      for (const run of runs) await post(`/runs/${run.id}/retry${query({ cause: group.failure.cause })}`);
    }, 'They are queued again');
    reload();
  };
  return html`
    <div class="page">
      <header class="page-head"><h1>Dead letters</h1><span class="faint">tasks that failed for good, by what they failed of</span></header>
      <${Trouble} problem=${error} retry=${reload} />
      ${value?.groups.length === 0 && html`<${Empty} title="No task has failed for good" />`}
      ${value?.groups.map(
        (group) => html`<section class="letters" key=${group.signature}>
          <header>
            <span class="group-count">${count(group.tasks.length)}</span>
            <div><${Cause} failure=${group.failure} /> <${Foreign} text=${group.failure.message} max=${300} /></div>
            <span class="grow"></span>
            ${
              may('operator') &&
              html`<button onClick=${() =>
                retry(
                  [...group.runs.values()].filter((run) => run.ended_at),
                  group,
                )}>Retry</button>`
            }
          </header>
          <ul>
            ${[...group.runs.values()].slice(0, 6).map((run) => {
              const of = group.tasks.filter((task) => task.run === run.id);
              return html`<li><a href=${`/runs/${run.id}?tab=tasks&state=failed`}><${Foreign} text=${run.name || run.definition} max=${60} /> <code class="faint">${tail(run.id)}</code></a>
                <span class="faint">${count(of.length)} ${of.length === 1 ? 'task' : 'tasks'}: ${of.slice(0, 5).map((task) => html`<a href=${`/runs/${run.id}?tab=tasks&state=failed&panel=${task.id}`}>${task.step}/${task.index}</a> `)}${of.length > 5 ? '…' : ''}</span>
                <span class="grow"></span><span class="faint">${ago(run.ended_at ?? run.created_at, now.value)}</span></li>`;
            })}
          </ul>
        </section>`,
      )}
      ${value && value.left > 0 && html`<p class="faint">${count(value.left)} older runs with failed tasks are not shown.</p>`}
    </div>
  `;
}
