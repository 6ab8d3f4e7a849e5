// What a run was started with and what it left: files, artifacts, and the outputs of its steps.

import { FileTable, preview, save } from '../../components/files.js';
import { Empty, Trouble } from '../../components/parts.js';
import { get, query } from '../../lib/api.js';
import { count } from '../../lib/format.js';
import { useAgain, useLoad } from '../../lib/load.js';
import { html, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').RunDetail} RunDetail */
/** @typedef {import('../../lib/types.js').Artifact} Artifact */

/** Artifacts of one page. */
const PAGE = 200;

/** @param {{run: RunDetail}} props */
export function Files({ run }) {
  const [cursors, setCursors] = useState(/** @type {string[]} */ ([]));
  const cursor = cursors.at(-1);
  // What tasks publish is there when they have succeeded.
  const files = useLoad(`files ${run.id}`, (signal) => get(`/runs/${run.id}/files`, signal));
  const artifacts = useLoad(`artifacts ${run.id} ${cursor}`, (signal) =>
    get(`/runs/${run.id}/artifacts${query({ limit: PAGE, cursor })}`, signal),
  );
  useAgain(String(run.tasks.succeeded), artifacts.reload);
  /** @type {import('../../lib/types.js').RunFile[]} */
  const given = files.value?.items ?? [];
  /** @type {Artifact[]} */
  const left = artifacts.value?.items ?? [];
  const steps = run.steps.filter((step) => step.tasks.succeeded + step.tasks.failed > 0);
  return html`
    <div class="about files">
      <${Trouble} problem=${files.error ?? artifacts.error} retry=${() => {
        files.reload();
        artifacts.reload();
      }} />
      <h2 id="files-left">Artifacts</h2>
      ${artifacts.value && left.length === 0 && html`<${Empty} title="No artifact">${run.ended_at ? 'No task of this run published one.' : 'What tasks publish appears here when they have succeeded.'}</${Empty}>`}
      ${
        left.length > 0 &&
        html`<${FileTable} label="Artifacts" columns=${['Step', 'Task']} files=${left.map((one) => {
          const path = `/runs/${run.id}/artifacts/${one.step}/${one.name}?task=${one.task}`;
          return {
            ...one,
            key: `${one.step} ${one.task} ${one.name}`,
            cells: [one.step, one.task === 0 ? 'plan' : html`<span class="number">${count(one.task)}</span>`],
            save: () => save(path, one.name, one.size),
            show: () => preview(path, one),
          };
        })} />`
      }
      <nav class="pager" aria-label="Pages of artifacts">
        ${cursor && html`<button onClick=${() => setCursors(cursors.slice(0, -1))}>Back</button>`}
        ${artifacts.value?.next && html`<button onClick=${() => setCursors([...cursors, artifacts.value.next])}>More</button>`}
      </nav>
      <h2 id="files-given">Files that it was started with</h2>
      ${files.value && given.length === 0 && html`<p class="faint">None.</p>`}
      ${
        given.length > 0 &&
        html`<${FileTable} label="Files" columns=${[]} files=${given.map((one) => {
          const path = `/runs/${run.id}/files/${one.name}`;
          return { ...one, key: one.name, cells: [], save: () => save(path, one.name, one.size), show: () => preview(path, one) };
        })} />`
      }
      <h2 id="files-outputs">Outputs</h2>
      ${steps.length === 0 && html`<p class="faint">No task has come to its end yet.</p>`}
      ${
        steps.length > 0 &&
        html`<div class="table-box" tabindex="0" role="region" aria-labelledby="files-outputs"><table>
          <thead><tr><th>Step</th><th class="right">Tasks</th><th></th></tr></thead>
          <tbody>${steps.map(
            (
              step,
            ) => html`<tr key=${step.name}><td>${step.name}</td><td class="right number">${count(step.tasks.succeeded + step.tasks.failed)}</td>
              <td class="right">${['ndjson', 'csv'].map((format) => html` <button aria-label=${`Outputs of ${step.name} as ${format}`} onClick=${() => save(`/runs/${run.id}/steps/${step.name}/outputs?format=${format}`, `${step.name}.${format}`)}>.${format}</button>`)}</td></tr>`,
          )}</tbody>
        </table></div>`
      }
    </div>
  `;
}
