// One plugin: what it is, what it takes, who uses it, and a try.

import { act, confirm } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Empty, Foreign, Moment, Trouble } from '../components/parts.js';
import { Tabs } from '../components/tabs.js';
import { get, remove } from '../lib/api.js';
import { duration, size } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { go, params, setParams } from '../lib/router.js';
import { html, useEffect } from '../lib/view.js';
import { Try } from './plugin/try.js';

/** @typedef {import('../lib/types.js').Schema} Schema */
/** @typedef {import('../lib/types.js').PluginAnalysis} PluginAnalysis */

/** What was uploaded, in words. */
const FORMS = { component: 'a component', 'typed-module': 'a core module with its type', module: 'a core module' };

/** @param {{name: string}} props */
export function PluginPage({ name }) {
  const { value, error, reload } = useLoad(name, async (signal) => {
    const [plugin, definitions] = await Promise.all([get(`/plugins/${name}`, signal), get('/definitions?limit=500', signal)]);
    return {
      plugin: /** @type {import('../lib/types.js').PluginDetail} */ (plugin),
      definitions: /** @type {import('../lib/types.js').DefinitionSummary[]} */ (definitions.items),
    };
  });
  const tab = params.value.get('tab') ?? 'settings';
  const title = value?.plugin.name ?? name;
  useEffect(() => {
    headline.value = { title, state: '' };
  }, [title]);
  if (!value) {
    return html`<div class="page"><header class="page-head"><h1>${title}</h1></header>
      ${error?.status === 404 ? html`<${Empty} icon="plugins" title="There is no such plugin"><a href="/plugins">All plugins</a></${Empty}>` : html`<${Trouble} problem=${error} retry=${reload} />`}</div>`;
  }
  const { plugin, definitions } = value;
  const { analysis, provenance } = plugin;
  const users = definitions.filter((definition) => definition.steps.some((step) => step.plugin === plugin.name));
  return html`
    <div class="page">
      <header class="page-head">
        <h1>${plugin.name}</h1><span class="faint"><${Foreign} text=${plugin.version} max=${40} /></span>
        <span class="grow"></span>
        ${
          // What is called so is removed as a whole, so it is not offered where one of several is shown.
          may('admin') &&
          plugin.name === name &&
          html`<button class="icon-only" aria-label="Remove" title="Remove this plugin" onClick=${async () => {
            const text =
              users.length > 0 ? `${users.length} definitions use it and can't run without it.` : 'No definition uses it.';
            if (!(await confirm({ title: `Remove ${name}?`, text, action: 'Remove', danger: true }))) return;
            await act(async () => {
              await remove(`/plugins/${name}`);
              go('/plugins');
            }, 'The plugin is removed');
          }}><${Icon} name="trash" /></button>`
        }
      </header>
      <p class="lead"><${Foreign} text=${plugin.summary} max=${400} /></p>
      <dl class="facts wrap">
        ${
          analysis &&
          html`<div><dt>Kind</dt><dd>${analysis.kind === 'command' ? 'WASI command' : 'plugin'}, from ${FORMS[analysis.form]}</dd></div>
            ${analysis.contract && html`<div><dt>Contract</dt><dd class="number">${analysis.contract}</dd></div>`}
            <div><dt>Compiled in</dt><dd class="number">${analysis.compile_us === undefined ? html`<span class="faint" title="Its code was there already">–</span>` : duration(analysis.compile_us / 1_000)}</dd></div>`
        }
        <div><dt>Size</dt><dd class="number">${size(plugin.size_bytes)}</dd></div>
        <div><dt>Uploaded</dt><dd><${Moment} at=${plugin.uploaded_at} /></dd></div>
        <div><dt>Digest</dt><dd><button class="link mono" title="Copy the digest" onClick=${() => act(() => navigator.clipboard.writeText(plugin.digest), 'The digest is copied')}>${plugin.digest.slice(0, 27)}…</button></dd></div>
        ${provenance?.source && html`<div><dt>Pulled from</dt><dd class="mono"><${Foreign} text=${provenance.source} max=${200} /></dd></div>`}
        ${provenance?.signed_by && html`<div><dt>Signed by</dt><dd><${Foreign} text=${provenance.signed_by} max=${100} /></dd></div>`}
        <div><dt>Used by</dt><dd class="users">${users.length === 0 ? html`<span class="faint">no definition</span>` : users.map((definition) => html`<a href=${`/definitions/${definition.id}`}>${definition.id}</a> `)}</dd></div>
      </dl>
      <${Tabs} label="Views of the plugin" panel="plugin-view" current=${tab} choose=${(/** @type {string} */ to) => setParams({ tab: to === 'settings' ? null : to })}
        tabs=${[
          { name: 'settings', title: 'Settings' },
          { name: 'try', title: 'Try it' },
          { name: 'schema', title: 'Schema' },
          { name: 'interfaces', title: 'Interfaces' },
        ]} />
      <div id="plugin-view" class="plugin-view" role="tabpanel" aria-labelledby=${`tab-${tab}`}>
        ${tab === 'settings' && html`<${Settings} schema=${plugin.config_schema} />`}
        ${tab === 'try' && html`<${Try} name=${plugin.name} plugin=${plugin.source ?? plugin.name} schema=${plugin.config_schema ?? {}} />`}
        ${tab === 'interfaces' && html`<${Interfaces} analysis=${analysis} />`}
        ${tab === 'schema' && html`<pre tabindex="0" class="tall" aria-label="JSON Schema of the settings">${JSON.stringify(plugin.config_schema, null, 2)}</pre>`}
      </div>
    </div>
  `;
}

/** What a step that uses it may say. @param {{schema: Schema}} props */
function Settings({ schema }) {
  const properties = Object.entries(schema?.properties ?? {});
  const required = new Set(schema?.required ?? []);
  if (properties.length === 0) return html`<${Empty} icon="settings" title="It has no settings" />`;
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Settings"><table class="plain-cells">
    <thead><tr><th>Setting</th><th>Type</th><th>Default</th><th>Range</th><th>What it means</th></tr></thead>
    <tbody>${properties.map(
      ([key, property]) => html`<tr>
        <td><code>${key}</code>${required.has(key) && html` <span class="tag">required</span>`}</td>
        <td>${[property.type ?? (property.enum ? 'one of' : 'any')].flat().join(' or ')}</td>
        <td><code>${property.default === undefined ? '' : JSON.stringify(property.default)}</code></td>
        <td class="number">${property.enum ? property.enum.join(', ') : [property.minimum, property.maximum].some((end) => end !== undefined) ? `${property.minimum ?? ''} – ${property.maximum ?? ''}` : ''}</td>
        <td><${Foreign} text=${property.description ?? ''} max=${600} /></td>
      </tr>`,
    )}</tbody>
  </table></div>`;
}

/** What it needs of the host and offers to it. @param {{analysis?: PluginAnalysis}} props */
function Interfaces({ analysis }) {
  if (!analysis) {
    const text = 'It was uploaded before this was recorded. Upload the same file again, and it will be.';
    return html`<${Empty} icon="plugins" title="Not known">${text}</${Empty}>`;
  }
  const list = (/** @type {string} */ title, /** @type {string[]} */ names) => html`<section>
    <h2>${title}</h2>
    ${names.length === 0 && html`<p class="faint">Nothing.</p>`}
    <ul class="interfaces" aria-label=${title}>${names.map((name) => html`<li><code><${Foreign} text=${name} max=${300} /></code></li>`)}</ul>
  </section>`;
  return html`<div class="sides">${list('Needs', analysis.imports)}${list('Offers', analysis.exports)}</div>`;
}
