// Questions and what was done: one place for both, so that they look and behave alike.

import { Problem } from '../lib/api.js';
import { html, signal, useEffect, useRef } from '../lib/view.js';

/** @typedef {{title: string, text: any, action: string, danger?: boolean, done: (yes: boolean) => void}} Question */

/** @type {import('@preact/signals').Signal<Question|null>} */
const question = signal(null);
/** @type {import('@preact/signals').Signal<{text: string, bad: boolean}|null>} */
const notice = signal(null);
let noticeTimer = 0;

/** @param {Omit<Question, 'done'>} asked @returns {Promise<boolean>} */
export function confirm(asked) {
  return new Promise((done) => {
    question.value = { ...asked, done };
  });
}

/** @param {string} text @param {boolean} [bad] */
export function tell(text, bad = false) {
  clearTimeout(noticeTimer);
  notice.value = { text, bad };
  noticeTimer = setTimeout(
    () => {
      notice.value = null;
    },
    bad ? 10_000 : 4_000,
  );
}

/** Does something and tells what came of it. @template T @param {() => Promise<T>} action @param {string} [done] @returns {Promise<T|null>} */
export async function act(action, done) {
  try {
    const value = await action();
    if (done) tell(done);
    return value;
  } catch (error) {
    tell(error instanceof Problem || error instanceof Error ? error.message : String(error), true);
    return null;
  }
}

export function Dialogs() {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null));
  const asked = question.value;
  useEffect(() => {
    if (asked) dialog.current?.showModal();
  }, [asked]);
  const close = (/** @type {boolean} */ yes) => {
    dialog.current?.close();
    question.value = null;
    asked?.done(yes);
  };
  const told = notice.value;
  return html`
    ${
      asked &&
      html`<dialog ref=${dialog} aria-labelledby="question" onCancel=${() => close(false)}>
        <h2 id="question">${asked.title}</h2>
        <div class="question">${asked.text}</div>
        <div class="buttons">
          <button autofocus onClick=${() => close(false)}>Leave it</button>
          <button class=${asked.danger ? 'danger' : 'primary'} onClick=${() => close(true)}>${asked.action}</button>
        </div>
      </dialog>`
    }
    <div class="notices" role="status" aria-live="polite">
      ${told && html`<div class=${`notice${told.bad ? ' bad' : ''}`}>${told.text}</div>`}
    </div>
  `;
}
