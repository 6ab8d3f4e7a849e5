// All runs: what is going on, and what was.

import { act, confirm } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Cause, Empty, Foreign, Lasting, Progress, State, Trouble } from '../components/parts.js';
import { get, post, query, remove } from '../lib/api.js';
import { ago, count, moment, short, tail, words } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useLoad } from '../lib/load.js';
import { go, params, setParams } from '../lib/router.js';
import { html, now, useEffect, useRef, useState } from '../lib/view.js';
import { useLive } from '../live/live.js';

/** @typedef {import('../lib/types.js').Run} Run */

const STATES = /** @type {const} */ (['queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled']);
/** Runs of one page. */
const PAGE = 50;

/** Whether a run is one that the filter asks for, as the server decides it. @param {Run} run @param {Record<string, string>} filter */
function matches(run, filter) {
  const text = filter.text?.toLowerCase();
  return (
    (!filter.state || filter.state.split(',').includes(run.state)) &&
    (!filter.definition || run.definition === filter.definition) &&
    (!filter.tag || (run.tags ?? []).includes(filter.tag)) &&
    (!filter.cause || run.failure?.cause === filter.cause) &&
    (!text || [run.id, run.name, run.definition].some((part) => part.toLowerCase().includes(text)))
  );
}

export function RunsPage() {
  const filter = /** @type {Record<string, string>} */ ({});
  for (const name of ['state', 'definition', 'tag', 'cause', 'text', 'since']) {
    const value = params.value.get(name);
    if (value) filter[name] = value;
  }
  const cursor = params.value.get('cursor') ?? '';
  const key = query({ ...filter, cursor, limit: PAGE });
  const {
    value: page,
    error,
    reload,
    set,
  } = useLoad(key, (signal) => /** @type {Promise<import('../lib/types.js').RunPage>} */ (get(`/runs${key}`, signal)));
  const [frozen, setFrozen] = useState(false);
  const [held, setHeld] = useState(0);
  const [at, setAt] = useState(-1);
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  const search = useRef(/** @type {HTMLInputElement|null} */ (null));
  useEffect(() => {
    headline.value = { title: 'Runs', state: '' };
  }, []);
  useLive({ kind: 'runs' }, (data) => {
    if (!page) return;
    if (frozen) {
      setHeld((before) => before + data.runs.length + data.gone.length + (data.stale ? 1 : 0));
      return;
    }
    if (data.stale) {
      reload();
      return;
    }
    set(merge(page, data, filter, cursor !== ''));
  });
  const items = page?.items ?? [];
  const thaw = () => {
    setFrozen(false);
    setHeld(0);
    reload();
  };
  useKeys({
    j: () => setAt(Math.min(items.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    'g g': () => setAt(0),
    G: () => setAt(items.length - 1),
    Enter: () => items[at] && go(`/runs/${items[at].id}`),
    '/': () => search.current?.focus(),
    f: () => (frozen ? thaw() : setFrozen(true)),
    Escape: () => setChosen(new Set()),
  });
  useEffect(() => document.querySelector('tr.at')?.scrollIntoView({ block: 'nearest' }), [at]);
  const counts = page?.counts;
  const change = (/** @type {Record<string, string|null>} */ values) => setParams({ ...values, cursor: null });
  return html`
    <div class="page">
      <header class="page-head">
        <h1>Runs</h1>
        <span class="grow"></span>
        <button class=${frozen ? 'on' : ''} aria-pressed=${frozen} onClick=${frozen ? thaw : () => setFrozen(true)} title="Hold the list still (f)">
          ${frozen ? (held > 0 ? `Frozen, ${short(held)} changes wait` : 'Frozen') : 'Freeze'}
        </button>
      </header>
      <div class="filters">
        <div class="chips" role="group" aria-label="States">
          <button class=${`chip${filter.state ? '' : ' on'}`} aria-pressed=${!filter.state} onClick=${() => change({ state: null })}>all <b>${counts ? short(counts.total) : ''}</b></button>
          ${STATES.map((state) => html`<button class=${`chip ${state}${filter.state === state ? ' on' : ''}`} aria-pressed=${filter.state === state} onClick=${() => change({ state: filter.state === state ? null : state })}>${state} <b>${counts ? short(counts[state]) : ''}</b></button>`)}
        </div>
        <form class="search" role="search" onSubmit=${(/** @type {Event} */ event) => {
          event.preventDefault();
          change({ text: search.current?.value ?? '' });
        }}>
          <input ref=${search} type="search" aria-label="Search runs by name, definition or id" placeholder="Name, definition or id  /" defaultValue=${filter.text ?? ''}
            onSearch=${(/** @type {any} */ event) => change({ text: event.target.value })} />
        </form>
        ${['definition', 'tag', 'cause', 'since'].map((name) => filter[name] && html`<button class="chip on" onClick=${() => change({ [name]: null })} title="Remove this filter">${name}: ${filter[name]} ✕</button>`)}
      </div>
      <${Trouble} problem=${error} retry=${reload} />
      ${chosen.size > 0 && html`<${Bulk} runs=${items.filter((run) => chosen.has(run.id))} clear=${() => setChosen(new Set())} />`}
      ${page && items.length === 0 && html`<${Empty} title=${Object.keys(filter).length ? 'No run matches' : 'No run yet'}>${Object.keys(filter).length ? html`<a href="/runs">All runs</a>` : html`<a href="/definitions">Start one</a>`}</${Empty}>`}
      ${items.length > 0 && html`<${Table} ...${{ items, at, chosen, setChosen }} />`}
      <nav class="pager" aria-label="Pages">
        ${cursor && html`<button onClick=${() => setParams({ cursor: null })}>Newest</button>`}
        ${page?.next && html`<button onClick=${() => setParams({ cursor: page.next })}>Older</button>`}
      </nav>
    </div>
  `;
}

/**
 * The page with runs that changed.
 * @param {import('../lib/types.js').RunPage} page
 * @param {{runs: Run[], gone: string[]}} data
 * @param {Record<string, string>} filter
 * @param {boolean} later whether it is not the newest page
 */
function merge(page, data, filter, later) {
  const changed = new Map(data.runs.map((run) => [run.id, run]));
  const items = page.items
    .filter((run) => !data.gone.includes(run.id))
    .map((run) => {
      const next = changed.get(run.id);
      changed.delete(run.id);
      return next ?? run;
    });
  const fresh = [...changed.values()].filter(
    (run) => matches(run, filter) && (!items.length || run.created_at > items[0].created_at),
  );
  const counts = { ...page.counts };
  const before = new Map(page.items.map((run) => [run.id, run.state]));
  for (const run of data.runs) {
    const was = before.get(run.id);
    if (was) counts[was] -= 1;
    else if (fresh.includes(run)) counts.total += 1;
    else continue;
    counts[run.state] += 1;
  }
  if (later) return { ...page, items, counts };
  fresh.sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  return { ...page, items: [...fresh, ...items].slice(0, PAGE * 2), counts };
}

/** @param {{items: Run[], at?: number, chosen?: Set<string>, setChosen?: (chosen: Set<string>) => void}} props */
export function Table({ items, at = -1, chosen, setChosen }) {
  const toggle = (/** @type {string} */ id) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen?.(next);
  };
  const all = chosen !== undefined && items.every((run) => chosen.has(run.id));
  return html`
    <div class="table-box" tabindex="0" role="region" aria-label="Runs">
    <table class="runs">
      <thead><tr>
        ${setChosen && html`<th class="check"><input type="checkbox" aria-label="Choose all" checked=${all} onChange=${() => setChosen(all ? new Set() : new Set(items.map((run) => run.id)))} /></th>`}
        <th>State</th><th>Run</th><th>Definition</th><th class="right">Started</th><th class="right">Time</th><th>Tasks</th><th class="right">Lines</th><th>Why</th>
      </tr></thead>
      <tbody>
        ${items.map(
          (run, index) => html`<tr key=${run.id} class=${index === at ? 'at' : ''} data-run=${run.id} data-state=${run.state}>
            ${setChosen && html`<td class="check"><input type="checkbox" aria-label=${`Choose ${tail(run.id)}`} checked=${chosen?.has(run.id)} onChange=${() => toggle(run.id)} /></td>`}
            <td><${State} state=${run.state} stopping=${run.stopping} /></td>
            <td class="name"><a href=${`/runs/${run.id}`}><${Foreign} text=${run.name || run.definition} max=${80} /></a> <code class="faint">${tail(run.id)}</code></td>
            <td><a class="subtle" href=${`/runs?definition=${run.definition}`}>${run.definition}</a>${(run.tags ?? []).slice(0, 3).map((tag) => html` <a class="chip small" href=${`/runs?tag=${encodeURIComponent(tag)}`}><${Foreign} text=${tag} max=${24} /></a>`)}</td>
            <td class="right" title=${moment(run.created_at)}>${ago(run.started_at ?? run.created_at, now.value)}<span class="faint by"> ${run.trigger === 'api' ? '' : words(run.trigger)}</span></td>
            <td class="right"><${Lasting} from=${run.started_at} to=${run.ended_at} ms=${run.duration_ms} /></td>
            <td class="bar"><span class="number">${short(run.tasks.succeeded)}/${short(run.tasks.total)}</span> <${Progress} tasks=${run.tasks} /></td>
            <td class="right number">${short(run.last_line)}${run.lines.error > 0 && html` <span class="bad" title="errors">${short(run.lines.error)}</span>`}</td>
            <td class="why">${run.failure && html`<${Cause} failure=${run.failure} />`}</td>
          </tr>`,
        )}
      </tbody>
    </table>
    </div>
  `;
}

/** What can be done to the runs that are chosen. @param {{runs: Run[], clear: () => void}} props */
function Bulk({ runs, clear }) {
  if (!may('operator')) return null;
  const live = runs.filter((run) => !run.ended_at);
  const failed = runs.filter((run) => run.ended_at && run.tasks.failed > 0);
  const ended = runs.filter((run) => run.ended_at);
  const each = async (
    /** @type {Run[]} */ what,
    /** @type {string} */ verb,
    /** @type {(run: Run) => Promise<unknown>} */ action,
    danger = false,
  ) => {
    const title = `${verb} ${count(what.length)} ${what.length === 1 ? 'run' : 'runs'}?`;
    if (
      !(await confirm({
        title,
        text: what.slice(0, 8).map((run) => html`<div>${run.name || run.definition} <code>${tail(run.id)}</code></div>`),
        action: verb,
        danger,
      }))
    )
      return;
    await act(async () => {
      for (const run of what) await action(run);
    }, 'Done');
    clear();
  };
  return html`<div class="bulk" role="toolbar" aria-label="Chosen runs">
    <strong>${count(runs.length)} chosen</strong>
    <button disabled=${live.length === 0} onClick=${() => each(live, 'Cancel', (run) => post(`/runs/${run.id}/cancel`), true)}>Cancel ${live.length || ''}</button>
    <button disabled=${failed.length === 0} onClick=${() => each(failed, 'Retry', (run) => post(`/runs/${run.id}/retry`))}>Retry failed ${failed.length || ''}</button>
    <button disabled=${ended.length === 0} onClick=${() => each(ended, 'Delete', (run) => remove(`/runs/${run.id}`), true)}>Delete ${ended.length || ''}</button>
    <button class="link" onClick=${clear}>None</button>
  </div>`;
}
