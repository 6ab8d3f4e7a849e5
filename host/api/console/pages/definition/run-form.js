// Starts a run: with the parameters and the files that the definition takes, or, where it says nothing of them, with any.

import { act } from '../../components/dialog.js';
import { may } from '../../components/frame.js';
import { Icon } from '../../components/icons.js';
import { Foreign, Trouble } from '../../components/parts.js';
import { SchemaForm } from '../../components/schema-form.js';
import { ask, Problem, post } from '../../lib/api.js';
import { size } from '../../lib/format.js';
import { go } from '../../lib/router.js';
import { html, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').Definition} Definition */
/** @typedef {Record<string, {message: string, help?: string}>} Wrong */

/** @param {{definition: Definition}} props */
export function RunForm({ definition }) {
  const [given, setGiven] = useState(/** @type {Record<string, unknown>} */ ({}));
  const [rows, setRows] = useState(/** @type {{name: string, value: string}[]} */ ([]));
  const [files, setFiles] = useState(/** @type {{name: string, file: File|null}[]} */ ([]));
  const [paused, setPaused] = useState(false);
  const [busy, setBusy] = useState('');
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const { parameters, files: takes } = definition;
  const ready = definition.valid && definition.enabled && may('operator') && busy === '';
  const wrong = (/** @type {string} */ kind) =>
    /** @type {Wrong} */ (
      Object.fromEntries(
        (problem?.inputs ?? [])
          .filter(({ input }) => input.startsWith(`${kind}.`))
          .map(({ input, message, help }) => [input.slice(kind.length + 1), { message, help }]),
      )
    );
  const start = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setProblem(null);
    /** @type {Record<string, unknown>} */
    const values = parameters ? given : {};
    if (!parameters) for (const { name, value } of rows) if (name.trim()) values[name.trim()] = typed(value);
    /** @type {Record<string, string>} */
    const named = {};
    try {
      for (const { name, file } of files) {
        if (!file || !name.trim()) continue;
        setBusy(`Uploading ${file.name}, ${size(file.size)}…`);
        const response = await ask('POST', '/files', { body: file, type: 'application/octet-stream' });
        named[name.trim()] = (await response.json()).digest;
      }
      setBusy('Starting…');
      const run = await post(`/definitions/${definition.id}/runs`, { parameters: values, files: named, paused });
      go(`/runs/${run.id}`);
    } catch (error) {
      if (error instanceof Problem) {
        setProblem(error);
        const [first] = error.inputs;
        if (first)
          document
            .querySelector(
              `.run-form [data-field="${CSS.escape(first.input.split('.').slice(1).join('.'))}"] :is(input, select, textarea)`,
            )
            ?.scrollIntoView({ block: 'nearest' });
      } else await act(() => Promise.reject(error));
    }
    setBusy('');
  };
  const change = (/** @type {number} */ index, /** @type {Partial<{name: string, value: string}>} */ to) =>
    setRows(rows.map((row, at) => (at === index ? { ...row, ...to } : row)));
  const choose = (/** @type {string} */ name, /** @type {File|null} */ file) =>
    setFiles([...files.filter((one) => one.name !== name), { name, file }]);
  const fileErrors = wrong('files');
  return html`
    <section class="tile run-form" aria-labelledby="run-now">
      <h2 id="run-now">Run now</h2>
      <form onSubmit=${start} novalidate>
        ${
          parameters
            ? html`<${SchemaForm} id="parameter" schema=${parameters} value=${given} change=${setGiven} errors=${wrong('parameters')} />
              ${Object.keys(parameters.properties ?? {}).length === 0 && html`<p class="faint">It takes no parameters.</p>`}`
            : html`${rows.map(
                (row, index) => html`<div class="parameter">
                  <input aria-label="Parameter" placeholder="name" value=${row.name} onInput=${(/** @type {any} */ event) => change(index, { name: event.target.value })} />
                  <input aria-label="Value" placeholder="value" value=${row.value} onInput=${(/** @type {any} */ event) => change(index, { value: event.target.value })} />
                  <button type="button" class="quiet icon-only" aria-label="Remove the parameter" onClick=${() => setRows(rows.filter((_, at) => at !== index))}><${Icon} name="close" size=${13} /></button>
                </div>`,
              )}
              <button type="button" class="add" onClick=${() => setRows([...rows, { name: '', value: '' }])}>Add a parameter</button>
              ${rows.length > 0 && html`<p class="faint">A value that reads as JSON is taken as such (<code>3</code>, <code>true</code>, <code>["a"]</code>), any other as text.</p>`}`
        }
        ${(takes ?? []).map(
          ({ name, description, required }) => html`<div class=${`field${fileErrors[name] ? ' wrong' : ''}`} data-field=${name}>
            <label for=${`file-${name}`}>${name}${required ? html` <span class="needed">required</span>` : ''}<span class="faint">file</span></label>
            <input id=${`file-${name}`} type="file" aria-invalid=${Boolean(fileErrors[name])} aria-required=${required} onChange=${(/** @type {any} */ event) => choose(name, event.target.files[0] ?? null)} />
            ${fileErrors[name] && html`<p class="bad" role="alert">${fileErrors[name].message}</p>`}
            ${description && html`<p class="faint"><${Foreign} text=${description} max=${400} /></p>`}
          </div>`,
        )}
        ${
          !takes &&
          html`${files.map(
            (one, index) => html`<div class="parameter">
              <input aria-label="The file's name in the run" placeholder="name" value=${one.name} onInput=${(/** @type {any} */ event) => setFiles(files.map((file, at) => (at === index ? { ...file, name: event.target.value } : file)))} />
              <input aria-label="File" type="file" onChange=${(/** @type {any} */ event) => setFiles(files.map((file, at) => (at === index ? { ...file, file: event.target.files[0] ?? null } : file)))} />
              <button type="button" class="quiet icon-only" aria-label="Remove the file" onClick=${() => setFiles(files.filter((_, at) => at !== index))}><${Icon} name="close" size=${13} /></button>
            </div>`,
          )}
          <button type="button" class="add" onClick=${() => setFiles([...files, { name: '', file: null }])}>Add a file</button>`
        }
        <label class="check-line"><input type="checkbox" checked=${paused} onChange=${(/** @type {any} */ event) => setPaused(event.target.checked)} /> Start it paused</label>
        <${Trouble} problem=${problem && problem.inputs.length === 0 ? problem : null} />
        ${problem && problem.inputs.length > 0 && html`<p class="bad" role="alert">${problem.inputs.length === 1 ? 'One value is not right.' : `${problem.inputs.length} values are not right.`}</p>`}
        <div class="buttons">
          <button class="primary" disabled=${!ready}><${Icon} name="play" /> Run</button>
          <span class="faint" role="status">${busy || (definition.valid ? (definition.enabled ? '' : 'It is disabled: set enabled = true.') : 'It is not valid now.')}</span>
        </div>
      </form>
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
