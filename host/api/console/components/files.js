// Files and artifacts: a list of them, how one is downloaded, and a look into one.

import { ask, download, token } from '../lib/api.js';
import { moment, size } from '../lib/format.js';
import { html, signal, useEffect, useRef } from '../lib/view.js';
import { act } from './dialog.js';
import { Icon } from './icons.js';
import { Foreign, seen } from './parts.js';

/** What is looked into: so many bytes of it. */
const LOOK = 64 << 10;
/** Media types that are text. */
const TEXT = /^text\/|json|xml|toml|javascript|csv|yaml/;
/** A file that a tab holds while it saves it: the token of a link could be read by others, so there is none in links. */
const HELD = 512 << 20;

/** @typedef {{name: string, size: number, digest: string, content_type?: string, created_at?: string}} File */
/** @typedef {File & {key: string, cells: any[], save: () => void, show: () => void}} Row */

/** @type {import('@preact/signals').Signal<{file: File, text: string, whole: boolean}|null>} */
const shown = signal(null);

/** Saves what is at a path. @param {string} path below /api/v1 @param {string} name @param {number} [bytes] */
export function save(path, name, bytes = 0) {
  return act(async () => {
    if (!token.peek()) {
      // Without a token the browser saves it by itself, however large it is.
      const link = document.createElement('a');
      link.href = `/api/v1${path}`;
      link.download = name;
      link.click();
      return;
    }
    if (bytes > HELD) throw new Error(`it has ${size(bytes)}: download it with \`bulkhead artifacts get\``);
    await download(path, name);
  });
}

/** Shows the beginning of a file. @param {string} path @param {File} file */
export function preview(path, file) {
  return act(async () => {
    const response =
      file.size === 0 ? null : await ask('GET', path, { headers: { range: `bytes=0-${LOOK - 1}`, accept: '*/*' } });
    const bytes = response ? await response.arrayBuffer() : new ArrayBuffer(0);
    shown.value = { file, text: new TextDecoder().decode(bytes), whole: file.size <= LOOK };
  });
}

/** Whether there is something to see in it. @param {File} file */
const readable = (file) =>
  TEXT.test(file.content_type ?? '') ||
  /\.(csv|json|ndjson|txt|toml|md|log|xml|html)$/i.test(file.name) ||
  !file.name.includes('.');

/** @param {{label: string, columns: string[], files: Row[]}} props */
export function FileTable({ label, columns, files }) {
  const dated = files.some((file) => file.created_at);
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${label}><table class="file-table">
    <thead><tr><th>Name</th>${columns.map((column) => html`<th>${column}</th>`)}<th>Type</th><th class="right">Size</th>${dated && html`<th class="right">Published</th>`}<th>Digest</th><th></th></tr></thead>
    <tbody>${files.map(
      (file) => html`<tr key=${file.key} data-file=${file.name}>
        <td class="name"><${Icon} name="definitions" /> ${readable(file) ? html`<button class="link" onClick=${file.show}>${file.name}</button>` : file.name}</td>
        ${file.cells.map((cell) => html`<td>${cell}</td>`)}
        <td class="faint"><${Foreign} text=${(file.content_type ?? '').split(';')[0]} max=${60} /></td>
        <td class="right number" title=${`${file.size} bytes`}>${size(file.size)}</td>
        ${dated && html`<td class="right">${file.created_at ? moment(file.created_at) : ''}</td>`}
        <td><button class="link mono" title=${`Copy ${file.digest}`} onClick=${() => act(() => navigator.clipboard.writeText(file.digest), 'The digest is copied')}>${file.digest.slice(7, 19)}</button></td>
        <td class="right"><button aria-label=${`Download ${file.name}`} onClick=${file.save}><${Icon} name="download" /> Download</button></td>
      </tr>`,
    )}</tbody>
  </table></div>`;
}

/** What is looked into, over the page. */
export function Preview() {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null));
  const look = shown.value;
  useEffect(() => {
    if (look) dialog.current?.showModal();
  }, [look]);
  if (!look) return null;
  const close = () => {
    dialog.current?.close();
    shown.value = null;
  };
  return html`<dialog ref=${dialog} class="preview" aria-labelledby="preview" onCancel=${close}>
    <header><h2 id="preview">${look.file.name}</h2><span class="faint">${size(look.file.size)}${look.whole ? '' : `, the first ${size(LOOK)}`}</span><span class="grow"></span>
      <button autofocus onClick=${close}>Close</button></header>
    <pre tabindex="0" aria-label="Content">${look.text === '' ? 'It is empty.' : seen(look.text)}</pre>
  </dialog>`;
}
