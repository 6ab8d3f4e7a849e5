// What tasks of all runs left, the newest run's first.

import { FileTable, preview, save } from '../components/files.js';
import { headline } from '../components/frame.js';
import { Empty, Foreign, Trouble } from '../components/parts.js';
import { get, query } from '../lib/api.js';
import { tail } from '../lib/format.js';
import { useLoad, useRuns } from '../lib/load.js';
import { params, setParams } from '../lib/router.js';
import { html, useEffect } from '../lib/view.js';

/** @typedef {import('../lib/types.js').RunArtifact} RunArtifact */

/** Artifacts of one page. */
const PAGE = 100;

export function ArtifactsPage() {
  const cursor = params.value.get('cursor') ?? '';
  const { value, error, reload } = useLoad(
    `artifacts ${cursor}`,
    (signal) =>
      /** @type {Promise<{items: RunArtifact[], next?: string}>} */ (get(`/artifacts${query({ cursor, limit: PAGE })}`, signal)),
  );
  useEffect(() => {
    headline.value = { title: 'Artifacts', state: '' };
  }, []);
  useRuns(reload);
  const items = value?.items ?? [];
  return html`
    <div class="page">
      <header class="page-head"><h1>Artifacts</h1><span class="faint">what tasks left beside their outputs, the newest run’s first</span></header>
      <${Trouble} problem=${error} retry=${reload} />
      ${value && items.length === 0 && html`<${Empty} icon="artifacts" title="No artifact yet">A plugin writes one where its result is more than a value. Each run shows its own under “Files”, with what it was started with.</${Empty}>`}
      ${
        items.length > 0 &&
        html`<${FileTable} label="Artifacts" columns=${['Run', 'Step / task']} files=${items.map((one) => {
          const path = `/runs/${one.run}/artifacts/${one.step}/${one.name}?task=${one.task}`;
          return {
            ...one,
            key: `${one.run} ${one.step} ${one.task} ${one.name}`,
            cells: [
              html`<a class="subtle" href=${`/runs/${one.run}?tab=files`}><${Foreign} text=${one.run_name || one.definition} max=${60} /> <code class="faint">${tail(one.run)}</code></a>`,
              `${one.step} / ${one.task === 0 ? 'plan' : one.task}`,
            ],
            save: () => save(path, one.name, one.size),
            show: () => preview(path, one),
          };
        })} />`
      }
      <nav class="pager" aria-label="Pages">
        ${cursor && html`<button onClick=${() => setParams({ cursor: null })}>Newest</button>`}
        ${value?.next && html`<button onClick=${() => setParams({ cursor: value.next })}>Older</button>`}
      </nav>
    </div>
  `;
}
