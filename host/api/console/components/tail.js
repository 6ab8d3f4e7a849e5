// The last lines of a log, each a link to where it stands.

import { html, useEffect, useRef } from '../lib/view.js';
import { fill } from '../log/ansi.js';
import { LEVELS } from '../log/row.js';

/** Characters of a line that are shown here. */
const MOST = 2_000;

/** @param {{run: string, lines: import('../lib/types.js').LogLine[]}} props */
export function Tail({ run, lines }) {
  if (lines.length === 0) return html`<p class="faint">It has written no line.</p>`;
  return html`<ol class="tail" tabindex="0" aria-label="Last lines">
    ${lines.map((line) => html`<li key=${line.seq} class=${line.level}><a href=${`/runs/${run}#L${line.seq}`} aria-label=${`Line ${line.seq}`}>${line.seq}</a><span class="tail-level">${LEVELS[line.level]}</span><${Text} text=${line.message} /></li>`)}
  </ol>`;
}

/** A line's text, with its colours and without what a terminal would obey. @param {{text: string}} props */
function Text({ text }) {
  const element = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    if (element.current) fill(element.current, text.slice(0, MOST));
  }, [text]);
  return html`<span class="tail-text" ref=${element}></span>`;
}
