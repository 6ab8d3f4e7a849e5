// Tasks that failed for good, of all runs, by what they failed of; and all of them again.

import { throughAll } from '../components/bulk.js';
import { act, confirm, tell } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Cause, Empty, Foreign, Lasting, State, Trouble } from '../components/parts.js';
import { get, post, query } from '../lib/api.js';
import { ago, count, moment, short, tail, words } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useLoad, useRuns } from '../lib/load.js';
import { go, params, setParams } from '../lib/router.js';
import { html, now, useEffect, useRef, useState } from '../lib/view.js';
import { CAUSES } from './runs/filter.js';

/** @typedef {import('../lib/types.js').LetterGroup} Group */
/** @typedef {import('../lib/types.js').LetterRun} LetterRun */

/** Groups of one page. */
const MOST = 200;

const tasks = (/** @type {number} */ number) => `${count(number)} ${number === 1 ? 'task' : 'tasks'}`;
const runs = (/** @type {number} */ number) => `${count(number)} ${number === 1 ? 'run' : 'runs'}`;

/**
 * Retries or skips a group, or what a run has of it, and says how far it is.
 * @param {'retry'|'skip'} what
 * @param {{id: string, tasks: number}} group
 * @param {import('../lib/types.js').Run} [run]
 */
async function replay(what, group, run) {
  const all = run ? `of ${run.name || run.definition} ${tail(run.id)}` : 'of all runs';
  const text =
    what === 'retry'
      ? `They are queued again ${all}, with the steps that were skipped because of them. Runs that have ended are opened again.`
      : `They count as neither a success nor a failure then ${all}, and what depends on their steps goes on.`;
  const verb = what === 'retry' ? 'Retry' : 'Skip';
  if (!(await confirm({ title: `${verb} ${tasks(group.tasks)}?`, text, action: verb }))) return false;
  await act(async () => {
    const sum = await throughAll(`/dead-letters/${group.id}/${what}${query({ run: run?.id })}`, {}, (sum) => {
      if (sum.next) tell(`${tasks(sum.acted)} so far…`);
      return true;
    });
    tell(
      `${tasks(sum.acted)} ${what === 'retry' ? 'queued again' : 'skipped'}${sum.left > 0 ? `, ${count(sum.left)} left as they are` : ''}`,
    );
  });
  return true;
}

export function DeadLettersPage() {
  const [cause, text, order] = ['cause', 'text', 'order'].map((name) => params.value.get(name) ?? '');
  const key = query({ cause, text, order, limit: MOST });
  const { value, error, reload } = useLoad(
    key,
    (signal) => /** @type {Promise<import('../lib/types.js').Letters>} */ (get(`/dead-letters${key}`, signal)),
  );
  const [at, setAt] = useState(-1);
  const search = useRef(/** @type {HTMLInputElement|null} */ (null));
  useRuns(reload);
  useEffect(() => {
    headline.value = { title: 'Dead letters', state: '' };
  }, []);
  const items = value?.items ?? [];
  useKeys({
    j: () => setAt(Math.min(items.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    'g g': () => setAt(0),
    G: () => setAt(items.length - 1),
    Enter: () => items[at] && go(`/dead-letters/${items[at].id}`),
    '/': () => search.current?.focus(),
  });
  useEffect(() => document.querySelector('.letters.at')?.scrollIntoView({ block: 'nearest' }), [at]);
  const filtered = cause || text;
  return html`
    <div class="page">
      <header class="page-head"><h1>Dead letters</h1>
        <span class="faint">${value ? (value.tasks > 0 ? html`${tasks(value.tasks)} that failed for good, in ${count(value.groups)} ${value.groups === 1 ? 'group' : 'groups'}` : 'tasks that failed for good') : ''}</span></header>
      <div class="filters">
        <label class="labelled">Cause <select value=${cause} onChange=${(/** @type {any} */ event) => setParams({ cause: event.target.value })}><option value="">any</option>${CAUSES.map((one) => html`<option value=${one}>${words(one)}</option>`)}</select></label>
        <label class="labelled">Order <select value=${order} onChange=${(/** @type {any} */ event) => setParams({ order: event.target.value })}><option value="">most tasks first</option><option value="latest">latest first</option></select></label>
        <span class="grow"></span>
        <form class="search" role="search" onSubmit=${(/** @type {Event} */ event) => {
          event.preventDefault();
          setParams({ text: search.current?.value ?? '' });
        }}><input ref=${search} type="search" aria-label="Search messages" placeholder="Search messages  /" defaultValue=${text} onSearch=${(/** @type {any} */ event) => setParams({ text: event.target.value })} /></form>
      </div>
      <${Trouble} problem=${error} retry=${reload} />
      ${value && items.length === 0 && html`<${Empty} icon="letters" title=${filtered ? 'No group matches' : 'No task has failed for good'}>${filtered ? html`<a href="/dead-letters">Show all</a>` : 'A task that used up its attempts waits here until somebody retries or skips it.'}</${Empty}>`}
      ${items.map((group, index) => html`<${Card} key=${group.id} group=${group} at=${index === at} changed=${reload} />`)}
      ${value && value.groups > items.length && html`<p class="faint">${count(value.groups - items.length)} more groups are not shown: filter by cause or message.</p>`}
    </div>
  `;
}

/** @param {{group: Group, at: boolean, changed: () => void}} props */
function Card({ group, at, changed }) {
  const order = async (/** @type {'retry'|'skip'} */ what) => {
    if (await replay(what, group)) changed();
  };
  return html`<section class=${`letters${at ? ' at' : ''}`} data-group=${group.id} aria-label=${`${tasks(group.tasks)}: ${words(group.failure.cause)}`}>
    <span class="group-count" title=${tasks(group.tasks)}>${short(group.tasks)}</span>
    <div class="letters-what">
      <div><${Cause} failure=${group.failure} />${group.others ? html` <span class="tag">and others</span>` : ''}</div>
      <a class="letters-message subtle" href=${`/dead-letters/${group.id}`}><${Foreign} text=${group.failure.message} max=${300} /></a>
      <div class="letters-facts faint">
        <span>${runs(group.runs)}</span><span title=${moment(group.last_at)}>last ${ago(group.last_at, now.value)}</span><span title=${moment(group.first_at)}>first ${ago(group.first_at, now.value)}</span>
        <a href=${`/runs/${runOf(group.last_task)}?tab=tasks&state=failed&panel=${group.last_task}`}>latest task</a>
      </div>
    </div>
    ${may('operator') && html`<div class="buttons"><button onClick=${() => order('retry')}><${Icon} name="retrying" /> Retry all</button><button onClick=${() => order('skip')}>Skip all</button></div>`}
  </section>`;
}

/** The run of a task, by their ids. @param {string} task */
const runOf = (task) => `run_${task.slice('task_'.length).split('-')[0]}`;

/** One group: its runs, and the tasks of each. @param {{id: string}} props */
export function DeadLetterPage({ id }) {
  const [cursors, setCursors] = useState(/** @type {string[]} */ ([]));
  const cursor = cursors.at(-1);
  const { value, error, reload } = useLoad(
    `${id} ${cursor}`,
    (signal) =>
      /** @type {Promise<{group: Group, items: LetterRun[], next?: string}>} */ (
        get(`/dead-letters/${id}${query({ cursor })}`, signal)
      ),
  );
  useRuns(reload);
  useEffect(() => {
    headline.value = { title: 'Dead letters', state: value ? 'failed' : '' };
  }, [value]);
  const done = async (/** @type {'retry'|'skip'} */ what, /** @type {LetterRun} */ of) => {
    if (value && (await replay(what, { id, tasks: of.tasks }, of.run))) reload();
  };
  const all = async (/** @type {'retry'|'skip'} */ what) => {
    if (value && (await replay(what, value.group))) reload();
  };
  if (error?.status === 404) {
    return html`<div class="page"><header class="page-head"><h1>Dead letters</h1></header><${Empty} icon="succeeded" title="This group is empty now">All its tasks were retried, skipped or deleted with their runs. <a href="/dead-letters">All dead letters</a></${Empty}></div>`;
  }
  const group = value?.group;
  return html`
    <div class="page">
      <header class="page-head"><h1><a class="subtle" href="/dead-letters">Dead letters</a></h1>
        ${group && html`<span class="faint">${tasks(group.tasks)} of ${runs(group.runs)}</span>`}
        <span class="grow"></span>
        ${group && may('operator') && html`<div class="buttons"><button class="primary" onClick=${() => all('retry')}><${Icon} name="retrying" /> Retry all ${short(group.tasks)}</button><button onClick=${() => all('skip')}>Skip all</button></div>`}
      </header>
      <${Trouble} problem=${error} retry=${reload} />
      ${
        group &&
        html`<div class="failure"><${Cause} failure=${group.failure} /> <span class="faint">last ${ago(group.last_at, now.value)}, first ${ago(group.first_at, now.value)}</span>
          <p><${Foreign} text=${group.failure.message} max=${2_000} /></p>
          ${group.others && html`<p class="faint">There were too many different failures to tell them all apart: this group has the others of its cause.</p>`}</div>`
      }
      ${value?.items.map((of) => html`<${Of} key=${of.run.id} group=${id} of=${of} done=${done} />`)}
      <nav class="pager" aria-label="Pages">
        ${cursor && html`<button onClick=${() => setCursors(cursors.slice(0, -1))}>Newer</button>`}
        ${value?.next && html`<button onClick=${() => value.next && setCursors([...cursors, value.next])}>Older</button>`}
      </nav>
    </div>
  `;
}

/** What a run has of a group. @param {{group: string, of: LetterRun, done: (what: 'retry'|'skip', of: LetterRun) => void}} props */
function Of({ group, of, done }) {
  const [open, setOpen] = useState(false);
  const { run } = of;
  const tasks_ = useLoad(open ? `${group} ${run.id} ${of.tasks}` : '', async (signal) =>
    open
      ? /** @type {import('../lib/types.js').TaskPage} */ (
          await get(`/runs/${run.id}/tasks${query({ letter: group, limit: 50 })}`, signal)
        )
      : null,
  );
  const retry = async (/** @type {string} */ task) => {
    await act(() => post(`/tasks/${task}/retry`), 'It is queued again');
    tasks_.reload();
  };
  return html`<section class="letter-run" data-run=${run.id}>
    <header>
      <button class="quiet icon-only" aria-expanded=${open} aria-label=${`Tasks of ${tail(run.id)}`} onClick=${() => setOpen(!open)}><${Icon} name=${open ? 'down' : 'next'} size=${13} /></button>
      <${State} state=${run.state} stopping=${run.stopping} />
      <a class="subtle cut" href=${`/runs/${run.id}`}><strong><${Foreign} text=${run.name || run.definition} max=${60} /></strong> <code class="faint">${tail(run.id)}</code></a>
      <span class="faint"><${Lasting} from=${run.started_at} to=${run.ended_at} ms=${run.duration_ms} /></span>
      <span class="grow"></span>
      <a href=${`/runs/${run.id}?tab=tasks${query({ letter: group }).replace('?', '&')}`}>${tasks(of.tasks)}</a>
      <span class="faint" title=${moment(of.last_at)}>${ago(of.last_at, now.value)}</span>
      ${may('operator') && html`<button onClick=${() => done('retry', of)}>Retry</button>`}
    </header>
    ${
      open &&
      html`<${Trouble} problem=${tasks_.error} retry=${tasks_.reload} /><ul>
        ${tasks_.value?.items.map(
          (
            task,
          ) => html`<li key=${task.id}><a href=${`/runs/${run.id}?tab=tasks&letter=${group}&panel=${task.id}`}>${task.step} / ${task.index === 0 ? 'plan' : task.index}</a>
            <span class="letters-message"><${Foreign} text=${task.failure?.message ?? ''} max=${200} /></span>
            ${may('operator') && html`<button class="link" aria-label=${`Retry ${task.step}/${task.index}`} onClick=${() => retry(task.id)}>retry</button>`}</li>`,
        )}
        ${tasks_.value?.next && html`<li class="faint">and more: see the run’s tasks</li>`}
      </ul>`
    }
  </section>`;
}
