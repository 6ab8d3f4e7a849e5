// Who is told when runs end and tasks fail, what did not arrive, and that once more.

import { act, confirm, tell } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Empty, Foreign, Moment, Trouble } from '../components/parts.js';
import { Tabs } from '../components/tabs.js';
import { get, post, query, remove } from '../lib/api.js';
import { ago, count, moment, short } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useHooks, useLoad } from '../lib/load.js';
import { go, params, setParams } from '../lib/router.js';
import { html, now, useEffect, useState } from '../lib/view.js';

/** @typedef {import('../lib/types.js').Hook} Hook */
/** @typedef {import('../lib/types.js').Delivery} Delivery */

/** Hooks, and deliveries, of one page. */
const MOST = 100;
/** What became of deliveries, and what is said where there is none. */
const STATES = [
  ['failed', 'Failed', 'Nothing failed for good.'],
  ['waiting', 'Waiting', 'Nothing waits for an attempt.'],
  ['delivered', 'Delivered', 'Nothing has arrived yet.'],
];

const deliveries = (/** @type {number} */ number) => `${count(number)} ${number === 1 ? 'delivery' : 'deliveries'}`;
const pathOf = (/** @type {string} */ name) => `/hooks/${encodeURIComponent(name)}`;

/** Has what failed sent again, under the ids that it had. @param {Hook} hook */
async function again(hook) {
  const text = 'Each goes out under the id that it had, so a receiver knows what it has already.';
  const { failed } = hook.deliveries;
  if (!(await confirm({ title: `Send ${deliveries(failed)} again?`, text, action: 'Send again' }))) return;
  const done = await act(() => post(`${pathOf(hook.name)}/redeliver`));
  if (done) tell(`${deliveries(done.count)} will be sent again`);
}

/** @param {{hook: Hook, small?: boolean}} props */
function Buttons({ hook, small = false }) {
  if (!may('operator')) return null;
  const { name } = hook;
  const test = () => act(() => post(`${pathOf(name)}/test`), 'A test is on its way');
  const erase = async () => {
    const text = 'What it was still to be told goes with it.';
    if (!(await confirm({ title: `Remove ${name}?`, text, action: 'Remove', danger: true }))) return;
    await act(async () => {
      await remove(pathOf(name));
      go('/hooks');
    }, 'The hook is removed');
  };
  return html`<span class="buttons tight">
    ${hook.deliveries.failed > 0 && html`<button class=${small ? '' : 'primary'} aria-label=${small ? `Send again ${short(hook.deliveries.failed)} of ${name}` : undefined} onClick=${() => again(hook)}><${Icon} name="retrying" /> Send again ${short(hook.deliveries.failed)}</button>`}
    <button aria-label=${small ? `Test ${name}` : undefined} title="Send a delivery of the type hook.test" onClick=${test}>Test</button>
    ${!small && !hook.stated_by && may('admin') && html`<button class="icon-only" aria-label="Remove" title="Remove this hook" onClick=${erase}><${Icon} name="trash" /></button>`}
  </span>`;
}

export function HooksPage() {
  const [cursors, setCursors] = useState(/** @type {string[]} */ ([]));
  const cursor = cursors.at(-1);
  const { value, error, reload } = useLoad(
    `hooks ${cursor}`,
    (signal) => /** @type {Promise<{items: Hook[], next?: string}>} */ (get(`/hooks${query({ limit: MOST, cursor })}`, signal)),
  );
  const [at, setAt] = useState(-1);
  useHooks(reload);
  useEffect(() => {
    headline.value = { title: 'Hooks', state: '' };
  }, []);
  const items = value?.items ?? [];
  useKeys({
    j: () => setAt(Math.min(items.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    'g g': () => setAt(0),
    G: () => setAt(items.length - 1),
    Enter: () => items[at] && go(pathOf(items[at].name)),
  });
  return html`
    <div class="page">
      <header class="page-head"><h1>Hooks</h1><span class="faint">who is told when runs end and tasks fail for good</span></header>
      <${Trouble} problem=${error} retry=${reload} />
      ${value && items.length === 0 && html`<${Empty} icon="hooks" title="Nobody is told of anything">A definition tells with <code>[[hooks]]</code>, all of them with <code>bulkhead hooks put NAME URL --secret ops</code>.</${Empty}>`}
      ${
        items.length > 0 &&
        html`<div class="table-box" tabindex="0" role="region" aria-label="Hooks"><table>
          <thead><tr><th>Hook</th><th>Where</th><th>Of what</th><th class="right">Waiting</th><th class="right">Delivered</th><th class="right">Failed</th><th class="right" title="given up and forgotten, because too many waited or had failed">Dropped</th><th></th></tr></thead>
          <tbody>${items.map(
            (hook, index) => html`<tr key=${hook.name} data-hook=${hook.name} class=${index === at ? 'at' : ''}>
              <td class="name"><a href=${pathOf(hook.name)}>${hook.name}</a>${hook.problem && html` <span class="tag warn" title=${hook.problem}>can’t send</span>`}</td>
              <td><code><${Foreign} text=${hook.url} max=${80} /></code></td>
              <td><${Told} hook=${hook} /></td>
              ${['waiting', 'delivered'].map((state) => html`<td class="right number">${count(hook.deliveries[/** @type {'waiting'} */ (state)])}</td>`)}
              <td class="right number">${hook.deliveries.failed > 0 ? html`<span class="bad">${count(hook.deliveries.failed)}</span>` : '0'}</td>
              <td class="right number">${count(hook.deliveries.dropped)}</td>
              <td class="right"><${Buttons} hook=${hook} small=${true} /></td>
            </tr>`,
          )}</tbody>
        </table></div>`
      }
      <${Pager} ...${{ cursors, setCursors, next: value?.next, back: 'Earlier', onward: 'Later' }} />
    </div>
  `;
}

/** Of which events, and of whose. @param {{hook: Hook}} props */
function Told({ hook }) {
  return html`${hook.events.map((event) => html`<span class="tag">${event}</span> `)}<span class="faint">of ${
    hook.definitions.length === 0
      ? 'all runs'
      : hook.definitions.map((id, index) => html`${index > 0 ? ', ' : ''}<a href=${`/definitions/${id}`}>${id}</a>`)
  }</span>`;
}

/** @param {{cursors: string[], setCursors: (cursors: string[]) => void, next?: string, back: string, onward: string}} props */
function Pager({ cursors, setCursors, next, back, onward }) {
  if (cursors.length === 0 && !next) return null;
  return html`<nav class="pager" aria-label="Pages">
    ${cursors.length > 0 && html`<button onClick=${() => setCursors(cursors.slice(0, -1))}>${back}</button>`}
    ${next && html`<button onClick=${() => setCursors([...cursors, next])}>${onward}</button>`}
  </nav>`;
}

/** @param {{name: string}} props */
export function HookPage({ name }) {
  const state = params.value.get('state') ?? 'failed';
  const {
    value: hook,
    error,
    reload,
  } = useLoad(`hook ${name}`, (signal) => /** @type {Promise<Hook>} */ (get(pathOf(name), signal)));
  const [turn, setTurn] = useState(0);
  useHooks(() => {
    reload();
    setTurn((before) => before + 1);
  });
  useEffect(() => {
    headline.value = { title: `Hook ${name}`, state: hook?.deliveries.failed ? 'failed' : '' };
  }, [name, hook?.deliveries.failed]);
  if (error?.status === 404) {
    return html`<div class="page"><header class="page-head"><h1>${name}</h1></header><${Empty} icon="hooks" title="There is no such hook"><a href="/hooks">All hooks</a></${Empty}></div>`;
  }
  return html`
    <div class="page">
      <header class="page-head"><h1>${name}</h1>
        ${hook && html`<code class="faint"><${Foreign} text=${hook.url} max=${120} /></code>`}
        <span class="grow"></span>
        ${hook && html`<${Buttons} hook=${hook} />`}
      </header>
      <${Trouble} problem=${error} retry=${reload} />
      ${hook?.problem && html`<div class="trouble" role="alert"><strong>Nothing can be sent</strong><span>${hook.problem}</span></div>`}
      ${
        hook &&
        html`<section class="tile hook-facts" aria-label="What it says"><dl class="pairs">
          <div><dt>Is told of</dt><dd><${Told} hook=${hook} /></dd></div>
          <div><dt>Signed with</dt><dd><code>${hook.secret}</code></dd></div>
          <div><dt>Stated by</dt><dd>${hook.stated_by ? html`<a href=${`/definitions/${hook.stated_by}`}>${hook.stated_by}</a>` : 'the server'}</dd></div>
          <div><dt>Made</dt><dd><${Moment} at=${hook.created_at} /></dd></div>
          <div><dt>Dropped</dt><dd class="number">${count(hook.deliveries.dropped)}</dd></div>
        </dl></section>
        <${Tabs} label="Deliveries" panel="deliveries" current=${state} choose=${(/** @type {string} */ name) => setParams({ state: name === 'failed' ? null : name })}
          tabs=${STATES.map(([name, title]) => ({ name, title, count: hook.deliveries[/** @type {'failed'} */ (name)] }))} />
        <div id="deliveries" role="tabpanel" aria-labelledby=${`tab-${state}`}><${Deliveries} key=${state} hook=${name} state=${state} turn=${turn} /></div>`
      }
    </div>
  `;
}

/** @param {{hook: string, state: string, turn: number}} props */
function Deliveries({ hook, state, turn }) {
  const [cursors, setCursors] = useState(/** @type {string[]} */ ([]));
  const cursor = cursors.at(-1);
  const { value, error, reload } = useLoad(
    `${state} ${cursor}`,
    (signal) =>
      /** @type {Promise<{items: Delivery[], next?: string}>} */ (
        get(`${pathOf(hook)}/deliveries${query({ state, limit: MOST, cursor })}`, signal)
      ),
  );
  useEffect(() => {
    if (turn > 0) reload();
  }, [turn]);
  const sendAgain = (/** @type {Delivery} */ { number }) =>
    act(() => post(`${pathOf(hook)}/redeliver`, { number }), `Delivery ${number} is sent again`);
  if (error) return html`<${Trouble} problem=${error} retry=${reload} />`;
  if (!value) return null;
  if (value.items.length === 0 && !cursor) {
    const none = STATES.find(([name]) => name === state)?.[2];
    return html`<${Empty} icon=${state === 'failed' ? 'succeeded' : 'hooks'} title=${none ?? ''} />`;
  }
  const waits = state === 'waiting';
  const operator = may('operator') && state === 'failed';
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${`Deliveries: ${state}`}><table>
      <thead><tr><th class="right">No.</th><th>Event</th><th>Happened</th><th class="right">Attempts</th><th>${waits ? 'Next attempt' : 'Last attempt'}</th><th>Answer</th><th></th></tr></thead>
      <tbody>${value.items.map(
        (delivery) => html`<tr key=${delivery.number} data-delivery=${delivery.number}>
          <td class="right number">${count(delivery.number)}</td>
          <td><span class="tag" title=${delivery.id}>${delivery.event}</span></td>
          <td><span title=${moment(delivery.at)}>${ago(delivery.at, now.value)}</span></td>
          <td class="right number">${count(delivery.attempts)}</td>
          <td>${(waits ? delivery.next_at : delivery.answered_at) ? html`<span title=${moment(/** @type {string} */ (waits ? delivery.next_at : delivery.answered_at))}>${ago(/** @type {string} */ (waits ? delivery.next_at : delivery.answered_at), now.value)}</span>` : html`<span class="faint">–</span>`}</td>
          <td class="delivery-answer">${delivery.status !== undefined && html`<span class=${`tag${delivery.status < 300 ? '' : ' warn'}`}>${delivery.status}</span> `}<${Foreign} text=${delivery.answer ?? ''} max=${300} /></td>
          <td class="right">${operator && html`<button aria-label=${`Send again: delivery ${delivery.number}`} onClick=${() => sendAgain(delivery)}>Send again</button>`}</td>
        </tr>`,
      )}</tbody>
    </table></div>
    <${Pager} ...${{ cursors, setCursors, next: value.next, back: 'Newer', onward: 'Older' }} />`;
}
