// All plugins, and where new ones are dropped.

import { act } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Empty, Foreign, Trouble } from '../components/parts.js';
import { ask, get } from '../lib/api.js';
import { ago, count, moment, size } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useAgain, useLoad } from '../lib/load.js';
import { go } from '../lib/router.js';
import { html, now, useEffect, useState } from '../lib/view.js';
import { useLive } from '../live/live.js';

/** @typedef {import('../lib/types.js').PluginUpload} PluginUpload */

/** How long an upload that has ended is shown, in milliseconds. */
const SHOWN = 10 * 60_000;

export function PluginsPage() {
  const { value, error, reload } = useLoad('plugins', async (signal) => {
    const [named, pinned] = await Promise.all([get('/plugins', signal), get('/plugins?pinned=true', signal)]);
    return { named: named.items, pinned: pinned.items };
  });
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState('');
  const [at, setAt] = useState(-1);
  const [uploads, setUploads] = useState(/** @type {PluginUpload[]} */ ([]));
  useEffect(() => {
    headline.value = { title: 'Plugins', state: '' };
  }, []);
  const upload = async (/** @type {FileList|null|undefined} */ files) => {
    for (const file of files ?? []) {
      setBusy(file.name);
      // A WASI command goes by its file's name; other plugins tell their own.
      const name = file.name
        .replace(/\.wasm$/, '')
        .toLowerCase()
        .replace(/[^a-z0-9_]+/g, '-')
        .replace(/^-+|-+$/g, '');
      const query = name ? `?name=${encodeURIComponent(name)}` : '';
      const headers = { prefer: 'respond-async' };
      await act(() => ask('POST', `/plugins${query}`, { body: file, type: 'application/wasm', headers }));
    }
    setBusy('');
  };
  useLive({ kind: 'plugin-uploads' }, (data) => setUploads(data.uploads));
  const accepted = uploads.filter((upload) => upload.state === 'accepted');
  useAgain(accepted.map((upload) => upload.digest + upload.ended_at).join(), reload, 50);
  const definitions = useLoad('definitions of plugins', (signal) => get('/definitions?limit=500', signal));
  /** @type {import('../lib/types.js').Plugin[]} */
  const items = value ? [...value.named, ...value.pinned] : [];
  const named = value?.named.length ?? 0;
  // What no name means is told apart by its digest.
  const path = (/** @type {number} */ index) => `/plugins/${index < named ? items[index].name : items[index].digest}`;
  /** @type {import('../lib/types.js').DefinitionSummary[]} */
  const known = definitions.value?.items ?? [];
  const users = (/** @type {string} */ name) => known.filter((one) => one.steps.some((step) => step.plugin === name)).length;
  useKeys({
    j: () => setAt(Math.min(items.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    'g g': () => setAt(0),
    G: () => setAt(items.length - 1),
    Enter: () => items[at] && go(path(at)),
  });
  useEffect(() => document.querySelector('tr.at')?.scrollIntoView({ block: 'nearest' }), [at]);
  return html`
    <div class="page">
      <header class="page-head"><h1>Plugins</h1></header>
      ${
        may('admin') &&
        html`<label class=${`drop${over ? ' over' : ''}`}
          onDragOver=${(/** @type {DragEvent} */ event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave=${() => setOver(false)}
          onDrop=${(/** @type {DragEvent} */ event) => {
            event.preventDefault();
            setOver(false);
            upload(event.dataTransfer?.files);
          }}>
          <input type="file" accept=".wasm" multiple onChange=${(/** @type {any} */ event) => upload(event.target.files)} />
          <${Icon} name="upload" size=${20} />
          <span>${busy ? `Sending ${busy}…` : 'Drop components here (.wasm), or choose files'}</span>
        </label>`
      }
      <${Uploads} uploads=${uploads} />
      <${Trouble} problem=${error} retry=${reload} />
      ${value && items.length === 0 && html`<${Empty} icon="plugins" title="No plugin yet">Start the server with <code>--plugins DIR</code>, or upload one: <code>bulkhead plugins upload FILE</code>.</${Empty}>`}
      ${
        items.length > 0 &&
        html`<div class="table-box" tabindex="0" role="region" aria-label="Plugins"><table>
          <thead><tr><th>Plugin</th><th>Version</th><th>What it does</th><th class="right" title="definitions that use it">Used by</th><th class="right">Size</th><th class="right">Uploaded</th></tr></thead>
          <tbody>${items.map(
            (plugin, index) => html`<tr key=${path(index)} class=${index === at ? 'at' : ''}>
              <td class="name"><a href=${path(index)}>${plugin.name}</a>${index >= named && html` <span class="tag" title=${plugin.source ?? 'Definitions use it by what it is pinned to in a registry'}>pinned</span>`}</td>
              <td><${Foreign} text=${plugin.version} max=${40} /></td>
              <td><${Foreign} text=${plugin.summary} max=${200} /></td>
              <td class="right number">${count(users(plugin.name)) || html`<span class="faint">–</span>`}</td>
              <td class="right number">${size(plugin.size_bytes)}</td>
              <td class="right" title=${moment(plugin.uploaded_at)}>${ago(plugin.uploaded_at, now.value)}</td>
            </tr>`,
          )}</tbody>
        </table></div>`
      }
    </div>
  `;
}

/** What is being checked, and what came of it. @param {{uploads: PluginUpload[]}} props */
function Uploads({ uploads }) {
  const shown = uploads.filter(({ ended_at }) => !ended_at || now.value - Date.parse(ended_at) < SHOWN).reverse();
  if (shown.length === 0) return null;
  return html`<ul class="uploads" aria-label="Uploads">${shown.map((upload) => html`<${Upload} key=${upload.digest} upload=${upload} />`)}</ul>`;
}

/** @param {{upload: PluginUpload}} props */
function Upload({ upload }) {
  const { digest, name, plugin, state, functions, failure } = upload;
  const called = plugin ?? name ?? digest.slice(0, 19);
  return html`<li class=${`upload ${state}`} data-digest=${digest}>
    <span class="upload-name">${plugin ? html`<a href=${`/plugins/${plugin}`}>${plugin}</a>` : html`<${Foreign} text=${called} max=${60} />`}</span>
    <span class="faint number">${size(upload.size_bytes)}</span>
    ${state === 'waiting' && html`<span class="faint">waits for others</span>`}
    ${state === 'checking' && !functions && html`<span class="faint">is being checked</span>`}
    ${
      functions &&
      html`<progress max=${functions.total} value=${functions.done} aria-label=${`Compiling ${called}`}></progress>
        <span class="number">${count(functions.done)} of ${count(functions.total)} functions compiled</span>`
    }
    ${state === 'accepted' && html`<span>is ready</span>`}
    ${state === 'refused' && html`<span class="refusal" role="alert"><${Foreign} text=${failure?.message ?? 'refused'} max=${1_000} /></span>`}
  </li>`;
}
