// Several views in one place: a list of tabs that arrows move through.

import { short } from '../lib/format.js';
import { html } from '../lib/view.js';

/** @param {{label: string, panel: string, current: string, choose: (name: string) => void, tabs: {name: string, title: string, count?: number}[]}} props */
export function Tabs({ label, panel, current, choose, tabs }) {
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const at = tabs.findIndex((tab) => tab.name === current);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    choose(next.name);
    document.getElementById(`tab-${next.name}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${onKey}>
    ${tabs.map(
      ({
        name,
        title,
        count,
      }) => html`<button role="tab" id=${`tab-${name}`} aria-selected=${current === name} aria-controls=${panel} tabindex=${current === name ? 0 : -1} onClick=${() => choose(name)}>
        ${title}${count !== undefined ? html` <span class="faint">${short(count)}</span>` : ''}
      </button>`,
    )}
  </div>`;
}
