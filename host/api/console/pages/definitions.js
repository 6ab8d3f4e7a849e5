// All definitions.

import { headline, may } from '../components/frame.js';
import { Empty, Foreign, Trouble } from '../components/parts.js';
import { get } from '../lib/api.js';
import { ago, moment } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { html, now, useEffect, useState } from '../lib/view.js';

/** @typedef {import('../lib/types.js').DefinitionSummary} DefinitionSummary */

export function DefinitionsPage() {
  const { value, error, reload } = useLoad('definitions', (signal) => get('/definitions?limit=500', signal));
  const [text, setText] = useState('');
  useEffect(() => {
    headline.value = { title: 'Definitions', state: '' };
  }, []);
  /** @type {DefinitionSummary[]} */
  const all = value?.items ?? [];
  const items = all.filter((item) => [item.id, item.name, ...item.tags].join(' ').toLowerCase().includes(text.toLowerCase()));
  return html`
    <div class="page">
      <header class="page-head">
        <h1>Definitions</h1>
        <input type="search" aria-label="Search definitions" placeholder="Search" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
        <span class="grow"></span>
        ${may('admin') && html`<a class="button primary" href="/definitions/new">New definition</a>`}
      </header>
      <${Trouble} problem=${error} retry=${reload} />
      ${value && all.length === 0 && html`<${Empty} title="No definition yet">Write one here, or start the server with <code>--definitions</code>.</${Empty}>`}
      ${
        items.length > 0 &&
        html`<div class="table-box" tabindex="0" role="region" aria-label="Definitions"><table>
          <thead><tr><th>Definition</th><th>Steps</th><th>Tags</th><th>Schedule</th><th class="right">Version</th><th class="right">Changed</th><th></th></tr></thead>
          <tbody>
            ${items.map(
              (item) => html`<tr key=${item.id}>
                <td class="name"><a href=${`/definitions/${item.id}`}><${Foreign} text=${item.name || item.id} max=${80} /></a> <code class="faint">${item.id}</code>
                  ${!item.valid && html` <span class="tag error">not valid</span>`}${item.valid && !item.enabled && html` <span class="tag">disabled</span>`}</td>
                <td>${item.steps.map((step, index) => html`${index > 0 ? html`<span class="faint"> → </span>` : ''}${step.name}`)}</td>
                <td>${item.tags.map((tag) => html`<span class="chip small"><${Foreign} text=${tag} max=${24} /></span> `)}</td>
                <td><code>${item.schedule ?? ''}</code></td>
                <td class="right number">${item.version}</td>
                <td class="right" title=${moment(item.updated_at)}>${ago(item.updated_at, now.value)}</td>
                <td class="right"><a class="subtle" href=${`/runs?definition=${item.id}`}>runs</a></td>
              </tr>`,
            )}
          </tbody>
        </table></div>`
      }
    </div>
  `;
}
