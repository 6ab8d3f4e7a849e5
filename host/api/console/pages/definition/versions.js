// The versions of a definition, and what differs between any two.

import { act, confirm } from '../../components/dialog.js';
import { may } from '../../components/frame.js';
import { Empty, seen, Trouble } from '../../components/parts.js';
import { ask, get } from '../../lib/api.js';
import { diff } from '../../lib/diff.js';
import { ago, count, moment, size } from '../../lib/format.js';
import { useLoad } from '../../lib/load.js';
import { params, setParams } from '../../lib/router.js';
import { html, now, useMemo, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').DefinitionVersion} Version */

/** Lines around a difference that are shown. */
const AROUND = 3;

/** @param {{id: string, version: number, stored: () => void}} props */
export function Versions({ id, version, stored }) {
  const { value, error, reload } = useLoad(`versions ${id} ${version}`, (signal) =>
    get(`/definitions/${id}/versions?limit=200`, signal),
  );
  /** @type {Version[]} */
  const all = value?.items ?? [];
  const asked = (/** @type {string} */ name) => {
    const number = Number(params.value.get(name));
    return all.some((one) => one.version === number) ? number : null;
  };
  const to = asked('to') ?? version;
  const from = asked('from') ?? all.find((one) => one.version < to)?.version ?? to;
  const texts = useLoad(value ? `texts ${id} ${from} ${to}` : '', async (signal) => {
    if (!value) return null;
    const [before, after] = await Promise.all([from, to].map((one) => get(`/definitions/${id}/versions/${one}`, signal)));
    return /** @type {{before: string, after: string}} */ ({ before: before.text, after: after.text });
  });
  const bring = async (/** @type {number} */ old) => {
    const text = `Its text becomes version ${version + 1}. Runs that were started keep what they were started with.`;
    if (!(await confirm({ title: `Bring version ${old} back?`, text, action: 'Bring it back' }))) return;
    await act(async () => {
      const { text } = await get(`/definitions/${id}/versions/${old}`);
      await ask('PUT', `/definitions/${id}`, { body: text, type: 'application/toml', headers: { 'if-match': `"${version}"` } });
      setParams({ from: null, to: null });
      stored();
    }, `Version ${old} is back`);
  };
  const option = (/** @type {Version} */ one) =>
    html`<option value=${one.version}>${one.version}${one.version === version ? ' (now)' : ''}, ${moment(one.updated_at)}</option>`;
  if (value && all.length === 1) {
    return html`<${Empty} icon="definitions" title="This is its only version">When its text is changed, the versions before are kept here, with what differs.</${Empty}>`;
  }
  return html`
    <section class="versions" aria-label="Versions">
      <${Trouble} problem=${error ?? texts.error} retry=${() => {
        reload();
        texts.reload();
      }} />
      <div class="filters">
        <label class="labelled">From version <select value=${from} onChange=${(/** @type {any} */ event) => setParams({ from: event.target.value })}>${all.map(option)}</select></label>
        <label class="labelled">to version <select value=${to} onChange=${(/** @type {any} */ event) => setParams({ to: event.target.value })}>${all.map(option)}</select></label>
        <span class="grow"></span>
        ${may('admin') && from !== version && html`<button onClick=${() => bring(from)}>Bring version ${from} back</button>`}
      </div>
      ${texts.value && html`<${Difference} ...${texts.value} />`}
      <ol class="version-list">
        ${all.slice(0, 40).map(
          (one, at) => html`<li key=${one.version} class=${one.version === to ? 'at' : ''}>
            <button class="link" onClick=${() => setParams({ to: String(one.version), from: all[at + 1] ? String(all[at + 1].version) : null })}>version ${one.version}</button>
            <span class="faint">${size(one.size_bytes)}</span><span class="grow"></span>
            <span class="faint" title=${moment(one.updated_at)}>${ago(one.updated_at, now.value)}</span>
          </li>`,
        )}
      </ol>
      ${value?.next && html`<p class="faint">Older ones can be read with the API.</p>`}
    </section>
  `;
}

/** @param {{before: string, after: string}} props */
function Difference({ before, after }) {
  const lines = useMemo(() => diff(before, after), [before, after]);
  const [whole, setWhole] = useState(false);
  const added = lines.filter((line) => line.kind === 'added').length;
  const removed = lines.filter((line) => line.kind === 'removed').length;
  const near = new Set();
  lines.forEach((line, at) => {
    if (line.kind !== 'same') for (let by = -AROUND; by <= AROUND; by += 1) near.add(at + by);
  });
  /** @type {({line: import('../../lib/diff.js').Line}|{left: number})[]} */
  const shown = [];
  lines.forEach((line, at) => {
    const last = shown.at(-1);
    if (whole || near.has(at)) shown.push({ line });
    else if (last && 'left' in last) last.left += 1;
    else shown.push({ left: 1 });
  });
  return html`<div class="diff">
    <header><span class="good">+${count(added)}</span> <span class="bad">−${count(removed)}</span> <span class="faint">${added + removed === 0 ? 'They are the same.' : 'lines'}</span><span class="grow"></span>
      <button class="link" aria-pressed=${whole} onClick=${() => setWhole(!whole)}>${whole ? 'Only what differs' : 'The whole text'}</button></header>
    <div class="diff-lines" tabindex="0" role="region" aria-label="What differs">
      <table><tbody>
        ${shown.map((one) =>
          'left' in one
            ? html`<tr class="left"><td colspan="4">${count(one.left)} ${one.left === 1 ? 'line' : 'lines'} alike</td></tr>`
            : html`<tr class=${one.line.kind}><td class="number">${one.line.before ?? ''}</td><td class="number">${one.line.after ?? ''}</td><td class="sign">${SIGNS[one.line.kind]}</td><td class="text">${seen(one.line.text) || ' '}</td></tr>`,
        )}
      </tbody></table>
    </div>
  </div>`;
}

const SIGNS = { same: '', added: '+', removed: '−' };
