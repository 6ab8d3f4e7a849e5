// The keys.

import { html, useEffect, useRef } from '../lib/view.js';

const KEYS = [
  [
    'Anywhere',
    [
      ['?', 'this help'],
      ['g o', 'overview'],
      ['g r', 'runs'],
      ['g l', 'dead letters'],
      ['g d', 'definitions'],
      ['g c', 'schedules'],
      ['g h', 'hooks'],
      ['g p', 'plugins'],
      ['g a', 'artifacts'],
      ['g s', 'settings'],
    ],
  ],
  [
    'Lists',
    [
      ['j k', 'next, previous'],
      ['g g', 'first'],
      ['G', 'last'],
      ['Enter', 'open'],
      ['x', 'choose a run'],
      ['/', 'search'],
      ['f', 'freeze or go on'],
    ],
  ],
  [
    'A log',
    [
      ['/', 'search'],
      [':', 'go to a line'],
      ['j k', 'next, previous line'],
      ['g g', 'first line'],
      ['G', 'last line, and follow'],
      ['f', 'follow or let go'],
      ['w', 'wrap'],
      ['Esc', 'let go of the chosen line'],
    ],
  ],
];

/** @param {{close: () => void}} props */
export function Help({ close }) {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  return html`<dialog ref=${dialog} class="help" aria-labelledby="help" onClose=${close} onClick=${(/** @type {Event} */ event) => event.target === dialog.current && close()}>
    <h2 id="help">Keys</h2>
    <div class="help-groups">
      ${KEYS.map(
        ([name, keys]) => html`<section><h3>${name}</h3><dl>
          ${/** @type {string[][]} */ (keys).map(([key, what]) => html`<div><dt>${key.split(' ').map((part) => html`<kbd>${part}</kbd>`)}</dt><dd>${what}</dd></div>`)}
        </dl></section>`,
      )}
    </div>
    <div class="buttons"><button autofocus onClick=${close}>Close</button></div>
  </dialog>`;
}
