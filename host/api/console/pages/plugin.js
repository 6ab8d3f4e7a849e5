// One plugin: what it is, what it takes, and who uses it.

import { act, confirm } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Foreign, Moment, Trouble } from '../components/parts.js';
import { get, remove } from '../lib/api.js';
import { size } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { go } from '../lib/router.js';
import { html, useEffect } from '../lib/view.js';

/** @typedef {{type?: string|string[], description?: string, default?: unknown, minimum?: number, maximum?: number, enum?: unknown[]}} Property */

/** @param {{name: string}} props */
export function PluginPage({ name }) {
  const { value, error, reload } = useLoad(name, async (signal) => {
    const [plugin, definitions] = await Promise.all([get(`/plugins/${name}`, signal), get('/definitions?limit=500', signal)]);
    return { plugin, definitions: /** @type {import('../lib/types.js').DefinitionSummary[]} */ (definitions.items) };
  });
  useEffect(() => {
    headline.value = { title: name, state: '' };
  }, [name]);
  if (!value) return html`<div class="page"><h1>${name}</h1><${Trouble} problem=${error} retry=${reload} /></div>`;
  const { plugin, definitions } = value;
  const users = definitions.filter((definition) => definition.steps.some((step) => step.plugin === name));
  /** @type {[string, Property][]} */
  const properties = Object.entries(plugin.config_schema?.properties ?? {});
  const required = new Set(plugin.config_schema?.required ?? []);
  return html`
    <div class="page">
      <header class="page-head">
        <h1>${plugin.name}</h1><span class="faint"><${Foreign} text=${plugin.version} max=${40} /></span>
        <span class="grow"></span>
        ${
          may('admin') &&
          html`<button onClick=${async () => {
            const text =
              users.length > 0 ? `${users.length} definitions use it and can't run without it.` : 'No definition uses it.';
            if (!(await confirm({ title: `Remove ${name}?`, text, action: 'Remove', danger: true }))) return;
            await act(async () => {
              await remove(`/plugins/${name}`);
              go('/plugins');
            }, 'The plugin is removed');
          }}>Remove</button>`
        }
      </header>
      <p><${Foreign} text=${plugin.summary} max=${400} /></p>
      <table class="plain"><tbody>
        <tr><th scope="row">Digest</th><td><code>${plugin.digest}</code></td></tr>
        <tr><th scope="row">Size</th><td>${size(plugin.size_bytes)}</td></tr>
        <tr><th scope="row">Uploaded</th><td><${Moment} at=${plugin.uploaded_at} /></td></tr>
        <tr><th scope="row">Used by</th><td>${users.length === 0 ? html`<span class="faint">no definition</span>` : users.map((definition) => html`<a href=${`/definitions/${definition.id}`}>${definition.id}</a> `)}</td></tr>
      </tbody></table>
      <h2>Settings of a step</h2>
      <div class="table-box" tabindex="0" role="region" aria-label="Settings"><table>
        <thead><tr><th>Setting</th><th>Type</th><th>Default</th><th>Range</th><th>What it means</th></tr></thead>
        <tbody>${properties.map(
          ([key, property]) => html`<tr>
            <td><code>${key}</code>${required.has(key) && html` <span class="tag">required</span>`}</td>
            <td>${[property.type ?? (property.enum ? 'one of' : 'any')].flat().join(' or ')}</td>
            <td><code>${property.default === undefined ? '' : JSON.stringify(property.default)}</code></td>
            <td class="number">${property.enum ? property.enum.join(', ') : [property.minimum, property.maximum].some((end) => end !== undefined) ? `${property.minimum ?? ''} – ${property.maximum ?? ''}` : ''}</td>
            <td>${property.description ?? ''}</td>
          </tr>`,
        )}</tbody>
      </table></div>
      <details><summary>JSON Schema</summary><pre tabindex="0">${JSON.stringify(plugin.config_schema, null, 2)}</pre></details>
    </div>
  `;
}
