// All runs: what is going on, and what was.

import { bulk } from '../components/bulk.js';
import { act, confirm } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Cause, Empty, Foreign, Lasting, Progress, State, Trouble } from '../components/parts.js';
import { get, post, query } from '../lib/api.js';
import { ago, count, moment, short, tail, words } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useLoad } from '../lib/load.js';
import { go, params, setParams } from '../lib/router.js';
import { html, now, skew, useEffect, useRef, useState } from '../lib/view.js';
import { useLive } from '../live/live.js';
import { CAUSES, NAMES, read, selection, since, span, wording } from './runs/filter.js';

/** @typedef {import('../lib/types.js').Run} Run */
/** @typedef {import('./runs/filter.js').Filter} Filter */

const STATES = /** @type {const} */ (['queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled']);
/** Runs of one page. */
const PAGE = 50;

/** Whether a run is one that the filter asks for, as the server decides it. @param {Run} run @param {Filter} filter */
function matches(run, filter) {
  const text = filter.text?.toLowerCase();
  const created = Date.parse(run.created_at);
  const started = run.started_at ? Date.parse(run.started_at) : null;
  const took = started === null ? null : (run.ended_at ? Date.parse(run.ended_at) : now.peek()) - started;
  const [min, max] = [span(filter.min_duration), span(filter.max_duration)];
  return (
    (!filter.state || filter.state.split(',').includes(run.state)) &&
    (!filter.definition || run.definition === filter.definition) &&
    (!filter.tag || (run.tags ?? []).includes(filter.tag)) &&
    (!filter.cause || run.failure?.cause === filter.cause) &&
    (!text || [run.id, run.name, run.definition].some((part) => part.toLowerCase().includes(text))) &&
    (!filter.since || created >= Date.parse(since(filter.since, Date.now() + skew.peek()) ?? '')) &&
    (!filter.until || created < Date.parse(filter.until)) &&
    (min === null || (took !== null && took >= min)) &&
    (max === null || (took !== null && took <= max))
  );
}

export function RunsPage() {
  const filter = read(params.value);
  const cursor = params.value.get('cursor') ?? '';
  const key = JSON.stringify([filter, cursor]);
  const {
    value: page,
    error,
    reload,
    set,
  } = useLoad(key, (signal) => {
    const wanted = { ...filter, since: since(filter.since, Date.now() + skew.peek()) };
    return /** @type {Promise<import('../lib/types.js').RunPage>} */ (
      get(`/runs${query({ ...wanted, cursor, limit: PAGE })}`, signal)
    );
  });
  const [frozen, setFrozen] = useState(false);
  const [held, setHeld] = useState(0);
  const [at, setAt] = useState(-1);
  const [open, setOpen] = useState(
    ['definition', 'tag', 'cause', 'since', 'until', 'min_duration', 'max_duration'].some((name) => name in filter),
  );
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
  const toggle = (/** @type {string} */ id) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  useKeys({
    j: () => setAt(Math.min(items.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    'g g': () => setAt(0),
    G: () => setAt(items.length - 1),
    Enter: () => items[at] && go(`/runs/${items[at].id}`),
    x: () => items[at] && may('operator') && toggle(items[at].id),
    '/': () => search.current?.focus(),
    f: () => (frozen ? thaw() : setFrozen(true)),
    Escape: () => setChosen(new Set()),
  });
  useEffect(() => document.querySelector('tr.at')?.scrollIntoView({ block: 'nearest' }), [at]);
  const counts = page?.counts;
  const change = (/** @type {Record<string, string|null>} */ values) => setParams({ ...values, cursor: null });
  const filtered = Object.keys(filter).length > 0;
  const everything = () => {
    const at = Date.now() + skew.peek();
    bulk(selection(filter, at), wording(filter), () => {
      setChosen(new Set());
      reload();
    });
  };
  const more = NAMES.filter((name) => filter[name] && name !== 'state' && name !== 'text');
  return html`
    <div class="page">
      <header class="page-head">
        <h1>Runs</h1>
        <span class="grow"></span>
        ${may('operator') && items.length > 0 && html`<button onClick=${everything} title="Cancel, retry or delete all runs that match">Act on ${filtered ? 'all that match' : 'all'}…</button>`}
        <button class=${frozen ? 'on' : ''} aria-pressed=${frozen} onClick=${frozen ? thaw : () => setFrozen(true)} title="Hold the list still (f)">
          <${Icon} name=${frozen ? 'play' : 'freeze'} /> ${frozen ? (held > 0 ? `Frozen, ${short(held)} changes wait` : 'Frozen') : 'Freeze'}
        </button>
      </header>
      <div class="filters">
        <div class="chips" role="group" aria-label="States">
          <button class=${`chip${filter.state ? '' : ' on'}`} aria-pressed=${!filter.state} onClick=${() => change({ state: null })}>all <b>${counts ? short(counts.total) : ''}</b></button>
          ${STATES.map((state) => html`<button class=${`chip ${state}${filter.state === state ? ' on' : ''}`} aria-pressed=${filter.state === state} onClick=${() => change({ state: filter.state === state ? null : state })}>${state} <b>${counts ? short(counts[state]) : ''}</b></button>`)}
        </div>
        <span class="grow"></span>
        <form class="search" role="search" onSubmit=${(/** @type {Event} */ event) => {
          event.preventDefault();
          change({ text: search.current?.value ?? '' });
        }}>
          <input ref=${search} type="search" aria-label="Search runs by name, definition or id" placeholder="Name, definition or id  /" defaultValue=${filter.text ?? ''}
            onSearch=${(/** @type {any} */ event) => change({ text: event.target.value })} />
        </form>
        <button aria-expanded=${open} aria-controls="more-filters" class=${more.length > 0 ? 'on' : ''} onClick=${() => setOpen(!open)}><${Icon} name="filter" /> Filter${more.length > 0 ? html` <b>${more.length}</b>` : ''}</button>
      </div>
      ${open && html`<${More} filter=${filter} change=${change} />`}
      <${Trouble} problem=${error} retry=${reload} />
      ${chosen.size > 0 && html`<${Chosen} runs=${items.filter((run) => chosen.has(run.id))} clear=${() => setChosen(new Set())} done=${reload} />`}
      ${
        page &&
        items.length === 0 &&
        html`<${Empty} icon="runs" title=${filtered ? (page.next ? 'None of the newest runs matches' : 'No run matches') : 'No run yet'}>${
          filtered
            ? html`${page.next ? html`Older ones may: look on with “Older”, or ` : ''}<a href="/runs">show all runs</a>`
            : html`Start one from <a href="/definitions">a definition</a>, or with <code>bulkhead trigger ID</code>.`
        }</${Empty}>`
      }
      ${items.length > 0 && html`<${Table} ...${{ items, at, chosen: may('operator') ? chosen : undefined, setChosen: may('operator') ? setChosen : undefined }} />`}
      <nav class="pager" aria-label="Pages">
        ${cursor && html`<button onClick=${() => setParams({ cursor: null })}>Newest</button>`}
        ${page?.next && html`<button onClick=${() => setParams({ cursor: page.next })}>Older</button>`}
      </nav>
    </div>
  `;
}

/** The filters that have no place of their own. @param {{filter: Filter, change: (values: Record<string, string|null>) => void}} props */
function More({ filter, change }) {
  const { value } = useLoad('definitions of runs', (signal) => get('/definitions?limit=500', signal));
  /** @type {string[]} */
  const known = (value?.items ?? []).map((/** @type {{id: string}} */ item) => item.id);
  const definitions = [...new Set([...known, ...(filter.definition ? [filter.definition] : [])])].sort();
  /** @type {string[]} */
  const tags = [...new Set((value?.items ?? []).flatMap((/** @type {{tags: string[]}} */ item) => item.tags))].map(String).sort();
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) => change({ [name]: event.target.value });
  const local = (/** @type {string|undefined} */ at) => {
    if (!at || !/^\d{4}-/.test(at)) return '';
    const moment = new Date(at);
    return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  const moments = (/** @type {string} */ name) => (/** @type {any} */ event) =>
    change({ [name]: event.target.value ? new Date(event.target.value).toISOString() : null });
  const relative = filter.since && !/^\d{4}-/.test(filter.since);
  return html`<div class="more-filters" id="more-filters" role="group" aria-label="Filter">
    <label>Definition <select value=${filter.definition ?? ''} onChange=${set('definition')}><option value="">any</option>${definitions.map((id) => html`<option value=${id}>${id}</option>`)}</select></label>
    <label>Tag <input list="tags" value=${filter.tag ?? ''} placeholder="any" onChange=${set('tag')} /><datalist id="tags">${tags.map((tag) => html`<option value=${tag}></option>`)}</datalist></label>
    <label>Cause <select value=${filter.cause ?? ''} onChange=${set('cause')}><option value="">any</option>${CAUSES.map((cause) => html`<option value=${cause}>${words(cause)}</option>`)}</select></label>
    <label>Created <select value=${relative ? filter.since : filter.since || filter.until ? 'between' : ''} onChange=${(
      /** @type {any} */ event,
    ) => {
      const { value } = event.target;
      change(value === 'between' ? { since: new Date(Date.now() - 86_400_000).toISOString() } : { since: value, until: null });
    }}><option value="">any time</option><option value="15m">last 15 minutes</option><option value="1h">last hour</option><option value="24h">last 24 hours</option><option value="7d">last 7 days</option><option value="30d">last 30 days</option><option value="between">between…</option></select></label>
    ${
      !relative &&
      (filter.since || filter.until) &&
      html`<label>From <input type="datetime-local" value=${local(filter.since)} onChange=${moments('since')} /></label>
      <label>To <input type="datetime-local" value=${local(filter.until)} onChange=${moments('until')} /></label>`
    }
    <label>Took at least <input class="short" value=${filter.min_duration ?? ''} placeholder="30s" pattern="\\d+(ms|s|m|h|d)" title="a number and ms, s, m, h or d" onChange=${set('min_duration')} /></label>
    <label>at most <input class="short" value=${filter.max_duration ?? ''} placeholder="5m" pattern="\\d+(ms|s|m|h|d)" title="a number and ms, s, m, h or d" onChange=${set('max_duration')} /></label>
    ${Object.keys(filter).length > 0 && html`<a class="clear" href="/runs">Clear all</a>`}
  </div>`;
}

/**
 * The page with runs that changed.
 * @param {import('../lib/types.js').RunPage} page
 * @param {{runs: Run[], gone: string[]}} data
 * @param {Filter} filter
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

/** What can be done to the runs that are chosen. @param {{runs: Run[], clear: () => void, done: () => void}} props */
function Chosen({ runs, clear, done }) {
  const live = runs.filter((run) => !run.ended_at);
  const failed = runs.filter((run) => run.ended_at && run.state !== 'cancelled' && run.tasks.failed + run.tasks.cancelled > 0);
  const ended = runs.filter((run) => run.ended_at);
  const each = async (/** @type {Run[]} */ what, /** @type {string} */ verb, /** @type {string} */ action, danger = false) => {
    const title = `${verb} ${count(what.length)} ${what.length === 1 ? 'run' : 'runs'}?`;
    const text = html`${what.slice(0, 8).map((run) => html`<div><${Foreign} text=${run.name || run.definition} max=${60} /> <code>${tail(run.id)}</code></div>`)}${what.length > 8 ? html`<div>and ${count(what.length - 8)} more</div>` : ''}`;
    if (!(await confirm({ title, text, action: verb, danger }))) return;
    const result = await act(() => post('/runs/bulk', { action, filter: { ids: what.map((run) => run.id) } }), 'Done');
    if (result) clear();
    done();
  };
  return html`<div class="bulk" role="toolbar" aria-label="Chosen runs">
    <strong>${count(runs.length)} chosen</strong>
    <button disabled=${live.length === 0} onClick=${() => each(live, 'Cancel', 'cancel', true)}>Cancel ${live.length || ''}</button>
    <button disabled=${failed.length === 0} onClick=${() => each(failed, 'Retry', 'retry')}>Retry failed ${failed.length || ''}</button>
    <button disabled=${ended.length === 0} onClick=${() => each(ended, 'Delete', 'delete', true)}>Delete ${ended.length || ''}</button>
    <button class="link" onClick=${clear}>None</button>
  </div>`;
}
