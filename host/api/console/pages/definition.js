// One definition: its text, a form to run it, when it runs by itself, its runs and its versions.

import { act, confirm } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Empty, Foreign, Trouble } from '../components/parts.js';
import { Tabs } from '../components/tabs.js';
import { get, Problem, remove } from '../lib/api.js';
import { ago, moment } from '../lib/format.js';
import { useLoad, useRuns } from '../lib/load.js';
import { go, params, setParams } from '../lib/router.js';
import { html, now, useEffect, useState } from '../lib/view.js';
import { Editor } from './definition/editor.js';
import { RunForm } from './definition/run-form.js';
import { Versions } from './definition/versions.js';
import { Table } from './runs.js';

/** @typedef {import('../lib/types.js').Definition} Definition */
/** @typedef {import('../lib/types.js').ScheduleDetail} ScheduleDetail */

const EXAMPLE = `id = "my_job"
name = "My job"

# What a run is started with. Without this, anything is taken.
[parameters.count]
type = "integer"
description = "How many"
default = 10
minimum = 1

[step.first]
plugin = "generator"
worker_count = 2
log_count = 10
`;

/** @param {{id: string}} props */
export function DefinitionPage({ id }) {
  const fresh = id === 'new';
  const { value, error, reload } = useLoad(id, async (signal) =>
    fresh ? null : /** @type {Definition} */ (await get(`/definitions/${id}`, signal)),
  );
  const [unsaved, setUnsaved] = useState('');
  const tab = params.value.get('tab') ?? 'text';
  useEffect(() => {
    headline.value = { title: fresh ? 'New definition' : value?.name || id, state: '' };
  }, [value?.name]);
  if (error) {
    const missing = error.status === 404;
    return html`<div class="page"><header class="page-head"><h1>${id}</h1></header>
      ${missing ? html`<${Empty} icon="definitions" title="There is no such definition"><a href="/definitions">All definitions</a></${Empty}>` : html`<${Trouble} problem=${error} retry=${reload} />`}</div>`;
  }
  if (!fresh && !value) return html`<div class="page loading" role="status">Reading…</div>`;
  return html`
    <div class="page definition">
      <header class="page-head">
        <h1><${Foreign} text=${fresh ? 'New definition' : value?.name || id} max=${120} /></h1>
        ${value && html`<code class="faint">${id}</code><span class="faint">version ${value.version}, ${ago(value.updated_at, now.value)}</span>`}
        ${value && !value.valid && html`<span class="tag error">not valid</span>`}
        ${value?.valid && !value.enabled && html`<span class="tag">disabled</span>`}
        ${(value?.tags ?? []).map((tag) => html`<a class="chip small" href=${`/runs?tag=${encodeURIComponent(tag)}`}><${Foreign} text=${tag} max=${24} /></a>`)}
        <span class="grow"></span>
        ${
          value &&
          may('admin') &&
          html`<button class="icon-only" aria-label="Delete" title="Delete this definition" onClick=${async () => {
            if (
              !(await confirm({
                title: `Delete ${id}?`,
                text: 'Its versions and its schedule go with it. Its runs stay.',
                action: 'Delete',
                danger: true,
              }))
            )
              return;
            await act(async () => {
              await remove(`/definitions/${id}`);
              go('/definitions');
            }, 'The definition is deleted');
          }}><${Icon} name="trash" /></button>`
        }
      </header>
      <div class="definition-body">
        <div class="definition-main">
          ${
            value &&
            html`<${Tabs} label="Views of the definition" panel="definition-view" current=${tab} choose=${(/** @type {string} */ name) => setParams({ tab: name === 'text' ? null : name, from: null, to: null })}
              tabs=${[
                { name: 'text', title: unsaved && unsaved !== value.text ? 'Text, changed' : 'Text' },
                { name: 'versions', title: 'Versions', count: value.version },
                { name: 'runs', title: 'Runs' },
              ]} />`
          }
          <div id="definition-view" role=${value ? 'tabpanel' : undefined} aria-labelledby=${value ? `tab-${tab}` : undefined}>
            <div hidden=${tab !== 'text' && !fresh}><${Editor} key=${value?.version ?? 0} text=${value?.text ?? EXAMPLE} version=${value?.version ?? 0} id=${id} stored=${reload} changed=${setUnsaved} /></div>
            ${value && tab === 'versions' && html`<${Versions} id=${id} version=${value.version} stored=${reload} />`}
            ${value && tab === 'runs' && html`<${Runs} id=${id} />`}
          </div>
        </div>
        ${
          value &&
          html`<div class="definition-side">
            <${RunForm} key=${value.version} definition=${value} />
            ${value.schedule && html`<${Next} id=${id} version=${value.version} />`}
            <section class="tile" aria-labelledby="its-steps"><h2 id="its-steps">Steps</h2>
              <ul class="plain-list">${value.steps.map((step) => html`<li><strong>${step.name}</strong> <a href=${`/plugins/${step.plugin}`}>${step.plugin}</a>${step.depends.length > 0 && html` <span class="faint">after ${step.depends.join(', ')}</span>`}</li>`)}</ul>
              ${value.steps.length === 0 && html`<p class="faint">Its text has to be valid to tell.</p>`}
            </section>
          </div>`
        }
      </div>
    </div>
  `;
}

/** When it runs by itself. @param {{id: string, version: number}} props */
function Next({ id, version }) {
  const { value, error } = useLoad(
    `schedule ${id} ${version}`,
    (signal) => /** @type {Promise<ScheduleDetail>} */ (get(`/schedules/${id}?upcoming=5&fires=1`, signal)),
  );
  if (error instanceof Problem && error.status === 404) return null;
  return html`<section class="tile" aria-labelledby="next-runs">
    <h2 id="next-runs">Next scheduled runs ${value?.paused ? html`<span class="tag warn">paused</span>` : ''}</h2>
    ${
      value &&
      html`<p class="schedule-line"><code>${value.cron}</code> <span class="faint">${value.timezone}</span></p>
      <ol class="plain-list">${value.upcoming.map((at) => html`<li><time datetime=${at}>${moment(at)}</time> <span class="faint">${ago(at, now.value)}</span></li>`)}</ol>
      <p><a href=${`/schedules/${id}`}>The schedule and its last fires</a></p>`
    }
  </section>`;
}

/** Its newest runs. @param {{id: string}} props */
function Runs({ id }) {
  const { value, error, reload } = useLoad(
    `runs of ${id}`,
    (signal) => /** @type {Promise<import('../lib/types.js').RunPage>} */ (get(`/runs?definition=${id}&limit=25`, signal)),
  );
  useRuns(reload, (runs) => runs.some((run) => run.definition === id));
  return html`<${Trouble} problem=${error} retry=${reload} />
    ${value && (value.items.length > 0 ? html`<${Table} items=${value.items} />` : html`<${Empty} icon="runs" title="It has not run yet">Start it with “Run” on this page.</${Empty}>`)}
    ${value?.next && html`<p><a href=${`/runs?definition=${id}`}>All its runs</a></p>`}`;
}
