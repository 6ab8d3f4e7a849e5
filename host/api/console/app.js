// The console: the frame around the pages, and which page an address means.

import { Bulk } from './components/bulk.js';
import { Dialogs } from './components/dialog.js';
import { Preview } from './components/files.js';
import { Frame } from './components/frame.js';
import { Unlock } from './components/unlock.js';
import { locked } from './lib/api.js';
import { path } from './lib/router.js';
import { html, render } from './lib/view.js';
import { ArtifactsPage } from './pages/artifacts.js';
import { DeadLetterPage, DeadLettersPage } from './pages/dead-letters.js';
import { DefinitionPage } from './pages/definition.js';
import { DefinitionsPage } from './pages/definitions.js';
import { OverviewPage } from './pages/overview.js';
import { PluginPage } from './pages/plugin.js';
import { PluginsPage } from './pages/plugins.js';
import { RunPage } from './pages/run.js';
import { RunsPage } from './pages/runs.js';
import { SchedulePage, SchedulesPage } from './pages/schedules.js';
import { SettingsPage } from './pages/settings.js';

/** @type {[RegExp, (...parts: string[]) => any][]} */
const PAGES = [
  [/^\/$/, () => html`<${OverviewPage} />`],
  [/^\/runs$/, () => html`<${RunsPage} />`],
  [/^\/runs\/([^/]+)$/, (id) => html`<${RunPage} key=${id} id=${id} />`],
  [/^\/definitions$/, () => html`<${DefinitionsPage} />`],
  [/^\/definitions\/([^/]+)$/, (id) => html`<${DefinitionPage} key=${id} id=${id} />`],
  [/^\/plugins$/, () => html`<${PluginsPage} />`],
  [/^\/plugins\/([^/]+)$/, (name) => html`<${PluginPage} key=${name} name=${name} />`],
  [/^\/schedules$/, () => html`<${SchedulesPage} />`],
  [/^\/schedules\/([^/]+)$/, (id) => html`<${SchedulePage} key=${id} id=${id} />`],
  [/^\/artifacts$/, () => html`<${ArtifactsPage} />`],
  [/^\/dead-letters$/, () => html`<${DeadLettersPage} />`],
  [/^\/dead-letters\/([^/]+)$/, (id) => html`<${DeadLetterPage} key=${id} id=${id} />`],
  [/^\/settings$/, () => html`<${SettingsPage} />`],
];

function Page() {
  for (const [pattern, page] of PAGES) {
    const match = pattern.exec(path.value);
    if (match) return page(...match.slice(1).map(decodeURIComponent));
  }
  return html`<div class="page"><h1>There is no such page</h1><p><a href="/">Overview</a></p></div>`;
}

function App() {
  return html`
    ${locked.value ? html`<${Unlock} />` : html`<${Frame}><${Page} /></${Frame}>`}
    <${Dialogs} />
    <${Preview} />
    <${Bulk} />
  `;
}

const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(html`<${App} />`, root);
}
