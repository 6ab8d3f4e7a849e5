// A line that was chosen: all of it.

import { get } from '../lib/api.js';
import { count, moment, size } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { setHash } from '../lib/router.js';
import { html, useEffect, useRef, useState } from '../lib/view.js';
import { fill } from './ansi.js';

/** Characters that are shown before one asks for more. */
const FIRST = 20_000;

/** @param {{run: string, seq: number, to: number}} props */
export function LineDetail({ run, seq, to }) {
  const { value: line, error } = useLoad(`${run} ${seq}`, async (signal) => {
    const page = await get(`/runs/${run}/logs?after=${seq - 1}&limit=1`, signal);
    return /** @type {import('../lib/types.js').LogLine|null} */ (page.lines[0] ?? null);
  });
  const [all, setAll] = useState(false);
  const text = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    if (text.current && line) fill(text.current, all ? line.message : line.message.slice(0, FIRST));
  }, [line, all]);
  const link = `${location.origin}${location.pathname}#L${seq}${to > seq ? `-L${to}` : ''}`;
  return html`
    <aside class="log-detail" aria-label=${`Line ${seq}`}>
      <header>
        <strong>Line ${count(seq)}${to > seq ? html` – ${count(to)}` : ''}</strong>
        ${
          line &&
          html`<span class=${`tag ${line.level}`}>${line.level}</span>
          <span>${line.step}/${line.task}, attempt ${line.attempt}, ${line.source}</span>
          <time datetime=${line.at} title=${line.at}>${moment(line.at)}</time>
          <span class="faint">${size(new Blob([line.message]).size)}</span>`
        }
        <span class="grow"></span>
        <button class="link" onClick=${() => navigator.clipboard.writeText(link)}>Copy link</button>
        ${line && html`<button class="link" onClick=${() => navigator.clipboard.writeText(line.message)}>Copy text</button>`}
        <button class="link" aria-label="Close" onClick=${() => setHash('')}>✕</button>
      </header>
      ${error && html`<p class="bad">${error.message}</p>`}
      <pre ref=${text} class="log-full" tabindex="0" aria-label="The whole message"></pre>
      ${line && !all && line.message.length > FIRST && html`<button onClick=${() => setAll(true)}>Show all ${count(line.message.length)} characters</button>`}
      ${line?.fields && html`<pre class="log-full fields" tabindex="0" aria-label="Fields">${JSON.stringify(line.fields, null, 2)}</pre>`}
    </aside>
  `;
}
