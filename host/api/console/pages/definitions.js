// All definitions.

import { headline, may } from '../components/frame.js';
import { Empty, Foreign, Trouble } from '../components/parts.js';
import { get } from '../lib/api.js';
import { ago, moment } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useLoad, useRuns } from '../lib/load.js';
import { go } from '../lib/router.js';
import { html, now, useEffect, useRef, useState } from '../lib/view.js';

/** @typedef {import('../lib/types.js').DefinitionSummary} DefinitionSummary */

/** Runs of a definition that the list shows. */
const MOST_LATELY = 12;

export function DefinitionsPage() {
  const { value, error, reload } = useLoad('definitions', (signal) => get('/definitions?limit=500', signal));
  const [text, setText] = useState('');
  const [at, setAt] = useState(-1);
  const search = useRef(/** @type {HTMLInputElement|null} */ (null));
  const latest = useLoad(
    'latest runs',
    (signal) => /** @type {Promise<import('../lib/types.js').RunPage>} */ (get('/runs?limit=500', signal)),
  );
  useRuns(latest.reload);
  useEffect(() => {
    headline.value = { title: 'Definitions', state: '' };
  }, []);
  /** @type {DefinitionSummary[]} */
  const all = value?.items ?? [];
  const items = all.filter((item) => [item.id, item.name, ...item.tags].join(' ').toLowerCase().includes(text.toLowerCase()));
  useKeys({
    j: () => setAt(Math.min(items.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    'g g': () => setAt(0),
    G: () => setAt(items.length - 1),
    Enter: () => items[at] && go(`/definitions/${items[at].id}`),
    '/': () => search.current?.focus(),
  });
  useEffect(() => document.querySelector('tr.at')?.scrollIntoView({ block: 'nearest' }), [at]);
  const runs = latest.value?.items ?? [];
  return html`
    <div class="page">
      <header class="page-head">
        <h1>Definitions</h1>
        <input ref=${search} type="search" aria-label="Search definitions" placeholder="Name, id or tag  /" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
        <span class="grow"></span>
        ${may('admin') && html`<a class="button primary" href="/definitions/new">New definition</a>`}
      </header>
      <${Trouble} problem=${error} retry=${reload} />
      ${value && all.length === 0 && html`<${Empty} icon="definitions" title="No definition yet">Write one here, or start the server with <code>--definitions</code>.</${Empty}>`}
      ${all.length > 0 && items.length === 0 && html`<${Empty} icon="definitions" title="No definition matches">Its name, its id and its tags are looked at.</${Empty}>`}
      ${
        items.length > 0 &&
        html`<div class="table-box" tabindex="0" role="region" aria-label="Definitions"><table>
          <thead><tr><th>Definition</th><th>Its last runs</th><th>Steps</th><th>Schedule</th><th class="right">Version</th><th class="right">Changed</th></tr></thead>
          <tbody>
            ${items.map(
              (item, index) => html`<tr key=${item.id} class=${index === at ? 'at' : ''}>
                <td class="name"><a href=${`/definitions/${item.id}`}><${Foreign} text=${item.name || item.id} max=${80} /></a> <code class="faint">${item.id}</code>
                  ${!item.valid && html` <span class="tag error">not valid</span>`}${item.valid && !item.enabled && html` <span class="tag">disabled</span>`}${item.tags.slice(0, 3).map((tag) => html` <span class="chip small"><${Foreign} text=${tag} max=${24} /></span>`)}</td>
                <td><${Lately} id=${item.id} runs=${runs.filter((run) => run.definition === item.id)} /></td>
                <td class="steps-cell">${item.steps.length > 4 ? html`<span class="faint">${item.steps.length} steps</span>` : item.steps.map((step, index) => html`${index > 0 ? html`<span class="faint"> · </span>` : ''}${step.name}`)}</td>
                <td>${item.schedule && html`<a class="subtle" href=${`/schedules/${item.id}`}><code>${item.schedule}</code></a>`}</td>
                <td class="right number">${item.version}</td>
                <td class="right" title=${moment(item.updated_at)}>${ago(item.updated_at, now.value)}</td>
              </tr>`,
            )}
          </tbody>
        </table></div>`
      }
    </div>
  `;
}

/** Its last runs as signs, the newest last. @param {{id: string, runs: import('../lib/types.js').Run[]}} props */
function Lately({ id, runs }) {
  if (runs.length === 0) return html`<span class="faint">–</span>`;
  const told = runs.slice(0, MOST_LATELY).reverse();
  return html`<a class="lately" href=${`/runs?definition=${id}`} aria-label=${`Runs of ${id}, the last one ${runs[0].state}`}>
    ${told.map((run) => html`<i class=${run.state} title=${`${run.state}, ${ago(run.created_at, now.value)}`}></i>`)}
    <span class=${`state ${runs[0].state}`}>${runs[0].state}</span>
  </a>`;
}
