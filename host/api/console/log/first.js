// A run's newest lines before the rest of the console is there: drawn where the log viewer will draw them, and as it will. The
// viewer ends this in the frame in which it draws its own, so nothing moves.

import { paintRow, preference } from './row.js';

/** The least height of a row, in pixels: `--row` in log.css. */
const ROW = 20;

/** @param {string} className @param {HTMLElement[]} inside */
function box(className, ...inside) {
  const element = document.createElement('div');
  element.className = className;
  element.append(...inside);
  return element;
}

/** @param {Promise<Response>[]} answers the run, and its newest lines */
export async function showFirst(answers) {
  const [run, page] = await Promise.all(
    answers.map(async (answer) => {
      const response = await answer;
      return response.ok ? response.json() : null;
    }),
  );
  if (!run || !page || document.querySelector('.log')) return;
  const clock = /** @type {import('./row.js').Clock} */ (preference('clock', 'relative'));
  const how = { clock, start: Date.parse(run.started_at ?? run.created_at), selected: null, whole: true };
  /** @type {import('./row.js').LogLine[]} */
  const lines = page.lines.slice(-Math.ceil(innerHeight / ROW));
  const rows = lines.map((line) => {
    const row = box('');
    paintRow(row, line, line.seq - 1, how);
    return row;
  });
  const wrap = preference('wrap', 'no') === 'yes' ? ' wrap' : '';
  const log = box('log', box('log-body', box(`log-rows clock-${clock}${wrap}`, box('rows', ...rows))), box('log-foot'));
  const body = box('run-body', box('steps'), box('run-main', box('run-view', log)));
  const first = box('first', box('frame', box('side'), box('first-page', box('run', box('run-head'), body))));
  first.id = 'first';
  document.body.append(first);
}

/** Ends it: the console has drawn what it showed. */
export const endFirst = () => document.getElementById('first')?.remove();
