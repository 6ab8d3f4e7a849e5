// One definition: its text with what the server finds wrong in it, and a form to run it.

import { act, confirm } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Trouble } from '../components/parts.js';
import { ask, get, Problem, post, remove } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { go } from '../lib/router.js';
import { html, useEffect, useRef, useState } from '../lib/view.js';

/** @typedef {import('../lib/types.js').Definition} Definition */
/** @typedef {import('../lib/types.js').Diagnostic} Diagnostic */

/** The text is checked when nothing was typed for so long, in milliseconds. */
const CHECK_AFTER = 250;

const EXAMPLE = `id = "my_job"
name = "My job"

[step.first]
plugin = "generator"
worker_count = 2
log_count = 10
`;

/** @param {{id: string}} props */
export function DefinitionPage({ id }) {
  const fresh = id === 'new';
  const { value, error, reload } = useLoad(id, async (signal) =>
    fresh ? null : /** @type {Definition} */ (await get(`/definitions/${id}`, signal)),
  );
  useEffect(() => {
    headline.value = { title: fresh ? 'New definition' : value?.name || id, state: '' };
  }, [value?.name]);
  if (error) return html`<div class="page"><h1>${id}</h1><${Trouble} problem=${error} retry=${reload} /></div>`;
  if (!fresh && !value) return html`<div class="page loading" role="status">Reading…</div>`;
  return html`
    <div class="page definition">
      <header class="page-head">
        <h1>${fresh ? 'New definition' : value?.name || id}</h1>
        ${value && html`<code class="faint">${id}</code><span class="faint">version ${value.version}</span>`}
        ${value && !value.valid && html`<span class="tag error">not valid</span>`}
        <span class="grow"></span>
        ${value && html`<a class="button" href=${`/runs?definition=${id}`}>Its runs</a>`}
        ${
          value &&
          may('admin') &&
          html`<button onClick=${async () => {
            if (!(await confirm({ title: `Delete ${id}?`, text: 'Its runs stay.', action: 'Delete', danger: true }))) return;
            await act(async () => {
              await remove(`/definitions/${id}`);
              go('/definitions');
            }, 'The definition is deleted');
          }}>Delete</button>`
        }
      </header>
      <div class="definition-body">
        <${Editor} key=${value?.version ?? 0} text=${value?.text ?? EXAMPLE} version=${value?.version ?? 0} id=${id} stored=${reload} />
        ${value && html`<${RunForm} definition=${value} />`}
      </div>
    </div>
  `;
}

/** @param {{id: string, text: string, version: number, stored: () => void}} props */
function Editor({ id, text: stored, version, stored: reload }) {
  const [text, setText] = useState(stored);
  const [wrong, setWrong] = useState(/** @type {Diagnostic[]|null} */ (null));
  const [named, setNamed] = useState(id);
  const [error, setError] = useState(/** @type {Problem|null} */ (null));
  const field = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  const gutter = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
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
  return html`
    <section class="editor" aria-label="Definition">
      <div class="editor-box">
        <pre class="editor-lines" ref=${gutter} aria-hidden="true">${Array.from({ length: lines }, (_, index) => html`<span class=${bad.has(index + 1) ? 'bad' : ''}>${index + 1}${'\n'}</span>`)}</pre>
        <textarea ref=${field} aria-label="Text of the definition, in TOML" spellcheck="false" autocapitalize="off" wrap="off" readonly=${!may('admin')} value=${text}
          aria-invalid=${(wrong?.length ?? 0) > 0} aria-describedby="diagnostics"
          onInput=${(/** @type {any} */ event) => setText(event.target.value)}
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
          <button class="primary" disabled=${(wrong?.length ?? 1) > 0 || (text === stored && id !== 'new')} onClick=${save}>Store</button>
          ${text !== stored && html`<button onClick=${() => setText(stored)}>Undo changes</button>`}
        </div>`
      }
    </section>
  `;
}

/** Starts a run, with parameters where one wants some. @param {{definition: Definition}} props */
function RunForm({ definition }) {
  const [rows, setRows] = useState(/** @type {{name: string, value: string}[]} */ ([]));
  const ready = definition.valid && definition.enabled && may('operator');
  const start = (/** @type {Event} */ event) => {
    event.preventDefault();
    /** @type {Record<string, unknown>} */
    const parameters = {};
    for (const { name, value } of rows) if (name.trim()) parameters[name.trim()] = typed(value);
    act(async () => {
      const run = await post(`/definitions/${definition.id}/runs`, { parameters });
      go(`/runs/${run.id}`);
    });
  };
  const change = (/** @type {number} */ index, /** @type {Partial<{name: string, value: string}>} */ to) =>
    setRows(rows.map((row, at) => (at === index ? { ...row, ...to } : row)));
  return html`
    <section class="tile run-form" aria-labelledby="run-now">
      <h2 id="run-now">Run now</h2>
      <form onSubmit=${start}>
        ${rows.map(
          (row, index) => html`<div class="parameter">
            <input aria-label="Parameter" placeholder="name" value=${row.name} onInput=${(/** @type {any} */ event) => change(index, { name: event.target.value })} />
            <input aria-label="Value" placeholder="value" value=${row.value} onInput=${(/** @type {any} */ event) => change(index, { value: event.target.value })} />
            <button type="button" class="quiet" aria-label="Remove the parameter" onClick=${() => setRows(rows.filter((_, at) => at !== index))}>✕</button>
          </div>`,
        )}
        <div class="buttons">
          <button type="button" onClick=${() => setRows([...rows, { name: '', value: '' }])}>Add a parameter</button>
          <button class="primary" disabled=${!ready}>Run</button>
        </div>
        <p class="faint">A value that reads as JSON is taken as such (<code>3</code>, <code>true</code>, <code>["a"]</code>), any other as text. The run keeps the text and the plugins as they are now.</p>
      </form>
      <h2>Steps</h2>
      <ul class="plain-list">${definition.steps.map((step) => html`<li><strong>${step.name}</strong> <a href=${`/plugins/${step.plugin}`}>${step.plugin}</a>${step.depends.length > 0 && html` <span class="faint">after ${step.depends.join(', ')}</span>`}</li>`)}</ul>
    </section>
  `;
}

/** @param {string} text */
function typed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
