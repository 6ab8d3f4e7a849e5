// What is around every page: where one can go, how the connection is, and how it looks.

import { get } from '../lib/api.js';
import { short } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useLoad } from '../lib/load.js';
import { go, path } from '../lib/router.js';
import { effect, html, signal, skew, useEffect, useState } from '../lib/view.js';
import { retry, status, useLive } from '../live/live.js';
import { Help } from './help.js';
import { Icon } from './icons.js';

/** The counters, as the stream tells them. @type {import('@preact/signals').Signal<import('../lib/types.js').Statistics|null>} */
export const statistics = signal(null);
/** Who asks. @type {import('@preact/signals').Signal<import('../lib/types.js').Session|null>} */
export const session = signal(null);
/** What the title and the icon say. @type {import('@preact/signals').Signal<{title: string, state: string}>} */
export const headline = signal({ title: '', state: '' });

/** Whether the caller may do what asks for a role. @param {'operator'|'admin'} role */
export function may(role) {
  const has = session.value?.role;
  return has === 'admin' || (has === 'operator' && role === 'operator');
}

/** Where one can go: the address, its name, its key after `g`, its sign. */
export const LINKS = [
  ['/', 'Overview', 'o', 'overview'],
  ['/runs', 'Runs', 'r', 'runs'],
  ['/dead-letters', 'Dead letters', 'l', 'letters'],
  ['/definitions', 'Definitions', 'd', 'definitions'],
  ['/schedules', 'Schedules', 'c', 'schedules'],
  ['/hooks', 'Hooks', 'h', 'hooks'],
  ['/plugins', 'Plugins', 'p', 'plugins'],
  ['/artifacts', 'Artifacts', 'a', 'artifacts'],
  ['/settings', 'Settings', 's', 'settings'],
];

const COLOURS = /** @type {Record<string, string>} */ ({
  queued: '#7a8794',
  running: '#2f8fd6',
  paused: '#b7791f',
  succeeded: '#2c9a5b',
  failed: '#d1453b',
  cancelled: '#8b7aa8',
});

effect(() => {
  const { title, state } = headline.value;
  const sign = { running: '▶ ', failed: '✕ ', succeeded: '✓ ', paused: '‖ ', queued: '○ ', cancelled: '⊘ ' }[state] ?? '';
  document.title = title ? `${sign}${title} · Bulkhead` : 'Bulkhead';
  const colour = COLOURS[state] ?? '#2f7fb8';
  const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect x="2" y="5" width="28" height="22" rx="5" fill="${colour}"/><path d="M11.5 5v22M20.5 5v22" stroke="#fff" stroke-width="2.6"/></svg>`;
  document.getElementById('favicon')?.setAttribute('href', `data:image/svg+xml,${encodeURIComponent(icon)}`);
});

function theme() {
  const { dataset } = document.documentElement;
  return dataset.theme ?? (matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark');
}

/** @param {{children: any}} props */
export function Frame({ children }) {
  const [help, setHelp] = useState(false);
  const [menu, setMenu] = useState(false);
  const [, repaint] = useState(0);
  const { value } = useLoad('session', (signal) => get('/session', signal));
  if (value && session.peek() !== value) session.value = value;
  useLive({ kind: 'statistics' }, (data) => {
    statistics.value = data;
    skew.value = Date.parse(data.at) - Date.now();
  });
  const turn = () => {
    const next = theme() === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem('bulkhead.theme', next);
    } catch {
      // Then it holds for this page.
    }
    repaint((before) => before + 1);
  };
  useKeys({
    '?': () => setHelp(!help),
    Escape: () => {
      setHelp(false);
      setMenu(false);
    },
    ...Object.fromEntries(LINKS.map(([to, , key]) => [`g ${key}`, () => go(to)])),
  });
  const counts = statistics.value?.runs;
  const at = path.value;
  // A page that was gone to is what one wants to see.
  useEffect(() => setMenu(false), [at]);
  return html`
    <a class="skip" href="#page" onClick=${(/** @type {Event} */ event) => {
      event.preventDefault();
      document.getElementById('page')?.focus();
    }}>Skip to the page</a>
    <div class="frame">
      <nav class=${`side${menu ? ' open' : ''}`} aria-label="Main">
        <div class="side-head">
          <a class="brand" href="/"><svg viewBox="0 0 32 32" aria-hidden="true"><rect x="2" y="5" width="28" height="22" rx="5" /><path d="M11.5 5v22M20.5 5v22" /></svg>Bulkhead</a>
          <${Connection} brief=${true} />
          <button class="quiet icon-only menu" aria-label="Menu" aria-expanded=${menu} aria-controls="links" onClick=${() => setMenu(!menu)}><${Icon} name=${menu ? 'close' : 'menu'} /></button>
        </div>
        <div class="side-body" id="links">
          <ul>
            ${LINKS.map(([to, name, , sign]) => {
              const current = to === '/' ? at === '/' : at === to || at.startsWith(`${to}/`);
              const badge = to === '/runs' && counts ? counts.running + counts.queued + counts.paused : 0;
              return html`<li><a href=${to} aria-current=${current ? 'page' : undefined}><${Icon} name=${sign} /><span>${name}</span>${
                badge > 0 && html`<span class="badge" aria-label=${`${badge} not ended`}>${short(badge)}</span>`
              }</a></li>`;
            })}
          </ul>
          <div class="side-foot">
            <${Connection} />
            <div class="side-tools">
              <button class="quiet icon-only" onClick=${turn} aria-label=${`Change to the ${theme() === 'dark' ? 'light' : 'dark'} theme`}><${Icon} name=${theme() === 'dark' ? 'sun' : 'moon'} /></button>
              <button class="quiet icon-only" onClick=${() => setHelp(true)} aria-label="Keys and help">?</button>
              <span class="faint version">${session.value?.version ?? ''}</span>
            </div>
          </div>
        </div>
      </nav>
      <main id="page" tabindex="-1">${children}</main>
    </div>
    ${help && html`<${Help} close=${() => setHelp(false)} />`}
  `;
}

/** @param {{brief?: boolean}} props `brief` is what a phone shows while its menu is closed */
function Connection({ brief = false }) {
  const { state, reason, tabs } = status.value;
  const text = { open: 'Live', connecting: 'Connecting…', lost: 'Connection lost', denied: 'Token refused' }[state];
  if (brief)
    return html`<div class=${`signal ${state}`} title=${text}><i aria-hidden="true"></i><span class="cut">${state === 'open' ? '' : text}</span></div>`;
  return html`<div class=${`connection ${state}`} role="status" title=${reason ?? `one stream for ${tabs} ${tabs === 1 ? 'tab' : 'tabs'}`} data-opened=${status.value.opened} data-tabs=${tabs}>
    <i aria-hidden="true"></i><span>${text}</span>
    ${state === 'lost' && html`<button class="link" onClick=${retry}>retry</button>`}
  </div>`;
}
