// All plugins, and where new ones are dropped.

import { act } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Empty, Foreign, Trouble } from '../components/parts.js';
import { ask, get } from '../lib/api.js';
import { ago, count, moment, size } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useLoad } from '../lib/load.js';
import { go } from '../lib/router.js';
import { html, now, useEffect, useState } from '../lib/view.js';

export function PluginsPage() {
  const { value, error, reload } = useLoad('plugins', (signal) => get('/plugins', signal));
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState('');
  const [at, setAt] = useState(-1);
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
      await act(() => ask('POST', `/plugins${query}`, { body: file, type: 'application/wasm' }), `${file.name} is uploaded`);
    }
    setBusy('');
    reload();
  };
  const definitions = useLoad('definitions of plugins', (signal) => get('/definitions?limit=500', signal));
  /** @type {import('../lib/types.js').Plugin[]} */
  const items = value?.items ?? [];
  /** @type {import('../lib/types.js').DefinitionSummary[]} */
  const known = definitions.value?.items ?? [];
  const users = (/** @type {string} */ name) => known.filter((one) => one.steps.some((step) => step.plugin === name)).length;
  useKeys({
    j: () => setAt(Math.min(items.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    'g g': () => setAt(0),
    G: () => setAt(items.length - 1),
    Enter: () => items[at] && go(`/plugins/${items[at].name}`),
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
          <span>${busy ? `Compiling and checking ${busy}…` : 'Drop components here (.wasm), or choose files'}</span>
        </label>`
      }
      <${Trouble} problem=${error} retry=${reload} />
      ${value && items.length === 0 && html`<${Empty} icon="plugins" title="No plugin yet">Start the server with <code>--plugins DIR</code>, or upload one: <code>bulkhead plugins upload FILE</code>.</${Empty}>`}
      ${
        items.length > 0 &&
        html`<div class="table-box" tabindex="0" role="region" aria-label="Plugins"><table>
          <thead><tr><th>Plugin</th><th>Version</th><th>What it does</th><th class="right" title="definitions that use it">Used by</th><th class="right">Size</th><th class="right">Uploaded</th></tr></thead>
          <tbody>${items.map(
            (plugin, index) => html`<tr key=${plugin.name} class=${index === at ? 'at' : ''}>
              <td class="name"><a href=${`/plugins/${plugin.name}`}>${plugin.name}</a></td>
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
