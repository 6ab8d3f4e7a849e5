// One thing done to many runs: how many there are is counted first, somebody says yes, and then it is done in pieces that show how far it is.

import { post } from '../lib/api.js';
import { count } from '../lib/format.js';
import { html, signal, useEffect, useRef, useState } from '../lib/view.js';
import { Trouble } from './parts.js';

/** @typedef {import('../lib/types.js').BulkAction} BulkAction */
/** @typedef {import('../lib/types.js').BulkResult} BulkResult */
/** @typedef {import('../lib/types.js').RunSelection} RunSelection */

/** @type {{action: BulkAction, verb: string, done: string, left: string, text: string, danger?: boolean}[]} */
const ACTIONS = [
  {
    action: 'cancel',
    verb: 'Cancel',
    done: 'cancelled',
    left: 'have ended',
    text: 'Waiting tasks are cancelled, those at work are told to end.',
    danger: true,
  },
  {
    action: 'retry',
    verb: 'Retry',
    done: 'retried',
    left: 'have nothing to retry, or go on',
    text: 'What failed in runs that have ended is queued again, and what was skipped because of it.',
  },
  {
    action: 'delete',
    verb: 'Delete',
    done: 'deleted',
    left: 'have not ended',
    text: 'Their tasks, logs and artifacts go with them. This can’t be undone.',
    danger: true,
  },
];

/** What is asked for. @type {import('@preact/signals').Signal<{filter: RunSelection, what: string, done: () => void}|null>} */
const asked = signal(null);

/**
 * Asks what to do with the runs that a filter means.
 * @param {RunSelection} filter
 * @param {string} what the filter in words
 * @param {() => void} done when something was
 */
export function bulk(filter, what, done) {
  asked.value = { filter, what, done };
}

/**
 * Asks again until everything is done or counted.
 * @param {string} path @param {Record<string, unknown>} body @param {(sum: BulkResult) => boolean} told whether to go on
 */
export async function throughAll(path, body, told) {
  const sum = { matched: 0, acted: 0, left: 0 };
  /** @type {string|undefined} */
  let cursor;
  do {
    /** @type {BulkResult} */
    const result = await post(path, { ...body, cursor });
    sum.matched += result.matched;
    sum.acted += result.acted;
    sum.left += result.left;
    cursor = result.next;
    if (!told({ ...sum, next: cursor })) break;
  } while (cursor);
  return sum;
}

const runs = (/** @type {number} */ number) => `${count(number)} ${number === 1 ? 'run' : 'runs'}`;

/** The dialog, where one is asked for. */
export function Bulk() {
  return asked.value ? html`<${Choice} key=${JSON.stringify(asked.value.filter)} ...${asked.value} />` : null;
}

/** @param {{filter: RunSelection, what: string, done: () => void}} props */
function Choice({ filter, what, done }) {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null));
  const [counts, setCounts] = useState(/** @type {Partial<Record<BulkAction, BulkResult>>} */ ({}));
  const [chosen, setChosen] = useState(/** @type {BulkAction|null} */ (null));
  const [progress, setProgress] = useState(/** @type {BulkResult|null} */ (null));
  const [ended, setEnded] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  const alive = useRef(true);
  useEffect(() => {
    dialog.current?.showModal();
    for (const { action } of ACTIONS) {
      throughAll('/runs/bulk', { action, filter, dry_run: true }, (sum) => {
        setCounts((before) => ({ ...before, [action]: sum }));
        return alive.current;
      }).catch(setError);
    }
    return () => {
      alive.current = false;
    };
  }, []);
  const close = () => {
    alive.current = false;
    dialog.current?.close();
    asked.value = null;
    if (progress) done();
  };
  const act = async () => {
    setProgress({ matched: 0, acted: 0, left: 0 });
    setError(null);
    try {
      await throughAll('/runs/bulk', { action: chosen, filter }, (sum) => {
        setProgress(sum);
        return alive.current;
      });
      setEnded(true);
    } catch (error) {
      setError(error);
      setProgress(null);
    }
  };
  const of = ACTIONS.find(({ action }) => action === chosen);
  const counted = chosen ? counts[chosen] : undefined;
  const ready = counted !== undefined && counted.next === undefined;
  return html`<dialog ref=${dialog} class="bulk-dialog" aria-labelledby="bulk-title" onCancel=${close}>
    <h2 id="bulk-title">All runs that match</h2>
    <p class="faint">${what}</p>
    ${
      !progress &&
      html`<div class="bulk-choices" role="radiogroup" aria-label="What to do">
        ${ACTIONS.map(({ action, verb, left, text }) => {
          const found = counts[action];
          return html`<label class=${chosen === action ? 'on' : ''}>
            <input type="radio" name="bulk" value=${action} checked=${chosen === action} disabled=${found?.acted === 0 && found?.next === undefined} onChange=${() => setChosen(action)} />
            <span><strong>${verb} ${found ? html`<span data-testid=${`bulk-${action}`}>${runs(found.acted)}</span>${found.next ? '…' : ''}` : html`<span class="faint">counting…</span>`}</strong>
            <span class="faint">${text}${found && found.left > 0 ? ` ${count(found.left)} others ${left}.` : ''}</span></span>
          </label>`;
        })}
      </div>`
    }
    ${
      progress &&
      of &&
      html`<div class="bulk-progress" role="status"><strong>${runs(progress.acted)} ${of.done}</strong>${progress.left > 0 ? html`<span class="faint">, ${count(progress.left)} left as they are</span>` : ''}
        <progress value=${ended ? 1 : progress.acted} max=${ended ? 1 : Math.max(1, counted?.acted ?? 1)} aria-label="How far it is"></progress></div>`
    }
    <${Trouble} problem=${error} />
    <div class="buttons">
      <button autofocus onClick=${close}>${ended ? 'Close' : progress ? 'Stop' : 'Leave them'}</button>
      ${!progress && html`<button class=${of?.danger ? 'danger' : 'primary'} disabled=${!of || !ready || counted?.acted === 0} onClick=${act}>${of ? `${of.verb} ${ready ? runs(counted.acted) : '…'}` : 'Choose what to do'}</button>`}
    </div>
  </dialog>`;
}
