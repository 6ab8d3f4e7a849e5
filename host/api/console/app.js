// The console: the frame around the pages, and which page an address means.

import { Bulk } from './components/bulk.js';
import { Dialogs } from './components/dialog.js';
import { Preview } from './components/files.js';
import { Frame } from './components/frame.js';
import { Trouble } from './components/parts.js';
import { Unlock } from './components/unlock.js';
import { locked } from './lib/api.js';
import { path } from './lib/router.js';
import { html, render, signal, useEffect } from './lib/view.js';

/** What shows a page; its properties are the named parts of the address. @typedef {(props: any) => any} Shown */

/** The pages by their addresses. Each has a module, which is read when one goes there. @type {[RegExp, () => Promise<Shown>][]} */
const PAGES = [
  [/^\/$/, async () => (await import('./pages/overview.js')).OverviewPage],
  [/^\/runs$/, async () => (await import('./pages/runs.js')).RunsPage],
  [/^\/runs\/(?<id>[^/]+)$/, async () => (await import('./pages/run.js')).RunPage],
  [/^\/definitions$/, async () => (await import('./pages/definitions.js')).DefinitionsPage],
  [/^\/definitions\/(?<id>[^/]+)$/, async () => (await import('./pages/definition.js')).DefinitionPage],
  [/^\/plugins$/, async () => (await import('./pages/plugins.js')).PluginsPage],
  [/^\/plugins\/(?<name>[^/]+)$/, async () => (await import('./pages/plugin.js')).PluginPage],
  [/^\/schedules$/, async () => (await import('./pages/schedules.js')).SchedulesPage],
  [/^\/schedules\/(?<id>[^/]+)$/, async () => (await import('./pages/schedules.js')).SchedulePage],
  [/^\/hooks$/, async () => (await import('./pages/hooks.js')).HooksPage],
  [/^\/hooks\/(?<name>[^/]+)$/, async () => (await import('./pages/hooks.js')).HookPage],
  [/^\/artifacts$/, async () => (await import('./pages/artifacts.js')).ArtifactsPage],
  [/^\/dead-letters$/, async () => (await import('./pages/dead-letters.js')).DeadLettersPage],
  [/^\/dead-letters\/(?<id>[^/]+)$/, async () => (await import('./pages/dead-letters.js')).DeadLetterPage],
  [/^\/settings$/, async () => (await import('./pages/settings.js')).SettingsPage],
];

/** What shows the pages that were read, by their patterns. @type {import('@preact/signals').Signal<Map<RegExp, Shown>>} */
const read = signal(new Map());
/** What was in the way of reading one. @type {import('@preact/signals').Signal<Error|null>} */
const trouble = signal(null);

/** @param {string} at */
async function readPage(at) {
  const [pattern, from] = PAGES.find(([pattern]) => pattern.test(at)) ?? [];
  if (!pattern || !from || read.peek().has(pattern)) return;
  try {
    read.value = new Map([...read.peek(), [pattern, await from()]]);
  } catch (error) {
    trouble.value = error instanceof Error ? error : new Error(String(error));
  }
}

function Page() {
  const at = path.value;
  useEffect(() => {
    readPage(at);
  }, [at]);
  const pattern = PAGES.map(([pattern]) => pattern).find((pattern) => pattern.test(at));
  if (!pattern) return html`<div class="page"><h1>There is no such page</h1><p><a href="/">Overview</a></p></div>`;
  const Shown = read.value.get(pattern);
  if (Shown) {
    const parts = Object.entries(pattern.exec(at)?.groups ?? {}).map(([name, part]) => [name, decodeURIComponent(part)]);
    return html`<${Shown} key=${at} ...${Object.fromEntries(parts)} />`;
  }
  if (trouble.value)
    return html`<div class="page"><${Trouble} problem=${trouble.value} retry=${() => location.reload()} /></div>`;
  return html`<div class="page loading" role="status">Reading the page…</div>`;
}

function App() {
  return html`
    ${locked.value ? html`<${Unlock} />` : html`<${Frame}><${Page} /></${Frame}>`}
    <${Dialogs} />
    <${Preview} />
    <${Bulk} />
  `;
}

await readPage(path.peek());
const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(html`<${App} />`, root);
}
// The other pages, when nothing else is to be done: so they are there at once when one goes to them.
const idle = globalThis.requestIdleCallback ?? ((/** @type {() => void} */ then) => setTimeout(then, 2_000));
idle(async () => {
  for (const [, from] of PAGES) await from().catch(() => {});
});
