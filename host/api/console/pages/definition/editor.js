// A definition's text, with what the server finds wrong in it at its place.

import { may } from '../../components/frame.js';
import { Trouble } from '../../components/parts.js';
import { ask, Problem } from '../../lib/api.js';
import { go } from '../../lib/router.js';
import { html, useEffect, useRef, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').Diagnostic} Diagnostic */

/** The text is checked when nothing was typed for so long, in milliseconds. */
const CHECK_AFTER = 250;

/** @param {{id: string, text: string, version: number, stored: () => void, changed: (text: string) => void}} props */
export function Editor({ id, text: stored, version, stored: reload, changed }) {
  const [text, setText] = useState(stored);
  const [wrong, setWrong] = useState(/** @type {Diagnostic[]|null} */ (null));
  const [named, setNamed] = useState(id);
  const [error, setError] = useState(/** @type {Problem|null} */ (null));
  const field = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  const gutter = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    changed(text);
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const response = await ask('POST', '/definitions/validate', {
          body: text,
          type: 'application/toml',
          signal: stop.signal,
        });
        const found = await response.json();
        setWrong(found.diagnostics);
        if (found.id) setNamed(found.id);
        setError(null);
      } catch (error) {
        if (error instanceof Problem) setError(error);
      }
    }, CHECK_AFTER);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text]);
  const lines = text.split('\n').length;
  const bad = new Set((wrong ?? []).map((diagnostic) => diagnostic.line));
  const save = async () => {
    try {
      const name = id === 'new' ? named : id;
      /** @type {Record<string, string>} */
      const condition = version > 0 ? { 'if-match': `"${version}"` } : { 'if-none-match': '*' };
      await ask('PUT', `/definitions/${name}`, { body: text, type: 'application/toml', headers: condition });
      if (id === 'new') go(`/definitions/${name}`);
      else reload();
    } catch (error) {
      if (error instanceof Problem) setError(error);
    }
  };
  const show = (/** @type {Diagnostic} */ diagnostic) => {
    if (!field.current) return;
    // The server counts bytes of UTF-8.
    const bytes = new TextEncoder().encode(text);
    const decode = (/** @type {number} */ end) => new TextDecoder().decode(bytes.slice(0, end)).length;
    field.current.focus();
    field.current.setSelectionRange(decode(diagnostic.start), Math.max(decode(diagnostic.end), decode(diagnostic.start)));
    field.current.scrollTop = Math.max(0, (diagnostic.line - 8) * 20);
  };
  const changes = text !== stored;
  const ready = (wrong?.length ?? 1) === 0 && (changes || id === 'new');
  return html`
    <section class="editor" aria-label="Definition">
      <div class="editor-box">
        <pre class="editor-lines" ref=${gutter} aria-hidden="true">${Array.from({ length: lines }, (_, index) => html`<span class=${bad.has(index + 1) ? 'bad' : ''}>${index + 1}${'\n'}</span>`)}</pre>
        <textarea ref=${field} aria-label="Text of the definition, in TOML" spellcheck="false" autocapitalize="off" wrap="off" readonly=${!may('admin')} value=${text}
          aria-invalid=${(wrong?.length ?? 0) > 0} aria-describedby="diagnostics"
          onInput=${(/** @type {any} */ event) => setText(event.target.value)}
          onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
            if (event.key === 's' && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              if (ready) save();
            }
          }}
          onScroll=${() => {
            if (gutter.current && field.current) gutter.current.scrollTop = field.current.scrollTop;
          }}></textarea>
      </div>
      <div id="diagnostics" class="diagnostics" role="status">
        ${wrong?.length === 0 && html`<p class="good">Nothing is wrong with it.</p>`}
        ${(wrong ?? []).map(
          (diagnostic) => html`<button class="diagnostic" onClick=${() => show(diagnostic)}>
            <span class="number">${diagnostic.line}:${diagnostic.column}</span><span>${diagnostic.message}${diagnostic.help && html`<br /><span class="faint">${diagnostic.help}</span>`}</span>
          </button>`,
        )}
        <${Trouble} problem=${error} />
      </div>
      ${
        may('admin') &&
        html`<div class="buttons">
          <button class="primary" disabled=${!ready} onClick=${save}>Store</button>
          ${changes && html`<button onClick=${() => setText(stored)}>Undo changes</button>`}
        </div>`
      }
    </section>
  `;
}
