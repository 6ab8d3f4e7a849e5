// The log viewer: the tools above, the rows, and the line that was chosen below.

import { download, get, query } from '../lib/api.js';
import { count } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { here, setHash, setParams } from '../lib/router.js';
import { html, useEffect, useMemo, useRef, useState } from '../lib/view.js';
import { retry, status } from '../live/live.js';
import { plain } from './ansi.js';
import { LineDetail } from './detail.js';
import { endFirst } from './first.js';
import { clockText, LEVELS, paintRow, prefer, preference } from './row.js';
import { FilteredLog, WholeLog } from './source.js';
import { Viewport } from './viewport.js';

/** @typedef {import('./source.js').Filter} Filter */

/** The most lines that are copied at once. */
const MOST_COPIED = 10_000;
/** How often what is around the rows is drawn, in milliseconds. */
const AROUND = 100;
const CLOCKS = /** @type {const} */ (['relative', 'local', 'utc', 'none']);

/** `#L5` or `#L5-L9`. @param {string} hash @returns {[number, number]|null} */
function linesOf(hash) {
  const match = /^#L(\d{1,15})(?:-L(\d{1,15}))?$/.exec(hash);
  if (!match) return null;
  const [a, b] = [Number(match[1]), Number(match[2] ?? match[1])];
  return [Math.min(a, b), Math.max(a, b)];
}

/**
 * @param {object} props
 * @param {string} props.run
 * @param {Filter} props.filter
 * @param {string} props.start when the run began
 * @param {string[]} props.steps
 */
export function LogViewer({ run, filter, start, steps }) {
  const scroller = useRef(/** @type {HTMLElement|null} */ (null));
  const viewport = useRef(/** @type {Viewport|null} */ (null));
  const [, redraw] = useState(0);
  const [wrap, setWrap] = useState(preference('wrap', 'no') === 'yes');
  const [clock, setClock] = useState(/** @type {import('./row.js').Clock} */ (preference('clock', 'relative')));
  const [copied, setCopied] = useState('');
  const hash = here.value.hash;
  const chosen = linesOf(hash);
  const filterKey = JSON.stringify(filter);
  const filtered = Object.values(filter).some(Boolean);
  // The key stands for the filter.
  const source = useMemo(() => (filtered ? new FilteredLog(run, filter) : new WholeLog(run)), [run, filterKey]);
  const how = useRef({ clock, start: 0, mark: filter.contains, selected: chosen, whole: !filtered });
  how.current = { clock, start: Date.parse(start), mark: filter.contains, selected: chosen, whole: !filtered };
  const [seen, setSeen] = useState(0);

  useEffect(() => {
    if (!scroller.current) return undefined;
    const view = new Viewport(scroller.current, {
      rows: source,
      rowHeight: rowHeight(scroller.current),
      paint: (element, line, row) => paintRow(element, line, row, how.current),
      moved: () => settle(),
    });
    viewport.current = view;
    view.wrap = wrap;
    let timer = 0;
    // What is around the rows tells of them some times a second; the rows themselves are drawn with every frame.
    const settle = () => {
      timer ||= setTimeout(() => {
        timer = 0;
        if (view.follow || view.atEnd) setSeen(source.last);
        redraw((before) => before + 1);
      }, AROUND);
    };
    source.changed = () => {
      view.refresh();
      settle();
    };
    source.shifted = (rows) => view.shift(rows);
    const wanted = linesOf(location.hash);
    view.follow = wanted === null;
    source.open(wanted?.[0] ?? null).then((opened) => {
      if (opened && wanted) view.jump(source.rowOf(wanted[0]));
      else view.draw();
      endFirst();
      setSeen(source.last);
      settle();
    });
    Object.assign(scroller.current, { viewport: view, source });
    return () => {
      clearTimeout(timer);
      source.close();
      view.close();
    };
  }, [source]);

  // What could not be opened for want of a connection is opened when there is one.
  const connected = status.value.state === 'open';
  useEffect(() => {
    if (connected && source.error && !source.opened) source.open(linesOf(location.hash)?.[0] ?? null);
  }, [connected, source]);

  // The rows look different: the clock, the marks, or what is chosen changed.
  // These are what rows show.
  useEffect(() => viewport.current?.repaint(), [clock, hash, start, filter.contains]);
  useEffect(() => {
    const view = viewport.current;
    if (!view || view.wrap === wrap) return;
    view.wrap = wrap;
    view.repaint();
    view.draw();
    view.synchronize();
  }, [wrap]);

  // A line that is named by the address and is not in sight is gone to.
  useEffect(() => {
    const view = viewport.current;
    const at = linesOf(hash)?.[0];
    if (!view || at === undefined || source.count === 0) return;
    const row = source.rowOf(at);
    if (view.inSight(row)) view.pinned = row;
    else view.jump(row);
  }, [hash, source]);

  const follow = () => viewport.current?.toEnd();
  const letGo = () => {
    if (viewport.current) viewport.current.follow = false;
    redraw((before) => before + 1);
  };
  const following = viewport.current?.follow ?? true;
  const step = (/** @type {number} */ by) => {
    const view = viewport.current;
    if (!view) return;
    const at = linesOf(location.hash)?.[0];
    if (at === undefined) {
      view.step(by);
      return;
    }
    const row = Math.max(0, Math.min(source.count - 1, source.rowOf(at) + by));
    const line = source.line(row);
    if (line) setHash(`#L${line.seq}`);
  };
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    'g g': () => viewport.current?.jump(0, 0),
    G: follow,
    f: () => (viewport.current?.follow ? letGo() : follow()),
    w: () => toggleWrap(),
    '/': () => document.getElementById('log-search')?.focus(),
    ':': () => document.getElementById('log-line')?.focus(),
    Escape: () => {
      if (location.hash) setHash('');
    },
  });
  const toggleWrap = () => {
    prefer('wrap', wrap ? 'no' : 'yes');
    setWrap(!wrap);
  };
  const nextClock = () => {
    const next = CLOCKS[(CLOCKS.indexOf(/** @type {any} */ (clock)) + 1) % CLOCKS.length];
    prefer('clock', next);
    setClock(next);
  };
  const copy = async () => {
    const [from, to] = chosen ?? [0, 0];
    const lines = chosen
      ? (await get(`/runs/${run}/logs${query({ ...filter, after: from - 1, limit: Math.min(to - from + 1, MOST_COPIED) })}`))
          .lines
      : visibleLines(viewport.current);
    const text = lines
      .filter((/** @type {any} */ line) => !chosen || line.seq <= to)
      .map((/** @type {any} */ line) => {
        const at = clockText(line.at, clock, how.current.start);
        return [at, LEVELS[/** @type {keyof typeof LEVELS} */ (line.level)], `${line.step}/${line.task}`, plain(line.message)]
          .filter(Boolean)
          .join(' ');
      })
      .join('\n');
    await navigator.clipboard.writeText(text);
    setCopied(`${count(text ? lines.length : 0)} copied`);
    setTimeout(() => setCopied(''), 2_000);
  };
  const choose = (/** @type {MouseEvent} */ event) => {
    const target = /** @type {Element} */ (event.target);
    const row = target.closest('.line');
    const seq = Number(/** @type {HTMLElement|null} */ (row)?.dataset.seq);
    if (!seq) return;
    const onNumber = target.closest('.l-number');
    if (onNumber) event.preventDefault();
    if (!onNumber && String(getSelection()) !== '') return;
    if (event.shiftKey && chosen) {
      getSelection()?.removeAllRanges();
      setHash(`#L${Math.min(chosen[0], seq)}-L${Math.max(chosen[1], seq)}`);
    } else if (onNumber && filtered) {
      // A number leads to the line among its neighbours.
      setParams({ q: null, level: null, step: null, task: null });
      setHash(`#L${seq}`);
    } else {
      setHash(chosen && chosen[0] === seq && chosen[1] === seq ? '' : `#L${seq}`);
    }
  };

  const waiting = Math.max(0, source.last - seen);
  const searching = source.searching;
  const stream = status.value;
  const empty = source.count === 0 && !source.busy;
  return html`
    <section class="log" aria-label="Log">
      <${Tools} ...${{ filter, steps, wrap, toggleWrap, clock, nextClock, copy, copied, run, following, follow, letGo, source }} />
      ${
        stream.state === 'lost' &&
        html`<div class="log-notice warn" role="status">
          The connection was lost. Shown are the lines up to ${count(source.last)}; what follows comes when it is back.
          <button class="link" onClick=${retry}>Try now</button>
        </div>`
      }
      ${source.error && html`<div class="log-notice bad" role="alert">${source.error.message}</div>`}
      <div class="log-body">
        <div class=${`log-rows clock-${clock}${wrap ? ' wrap' : ''}`} ref=${scroller} tabindex="0" role="table"
          aria-label=${filtered ? 'Lines that match' : 'Lines'} aria-rowcount=${source.last} onClick=${choose}></div>
        ${
          empty &&
          html`<div class="log-empty">${
            source.error
              ? ''
              : filtered
                ? (searching === null ? 'No line matches.' : 'Looking…')
                : source.ended
                  ? 'This run wrote no line.'
                  : 'No line yet.'
          }</div>`
        }
        ${
          !following &&
          waiting > 0 &&
          html`<button class="log-waiting" onClick=${follow}>↓ ${count(waiting)} new ${waiting === 1 ? 'line' : 'lines'}</button>`
        }
      </div>
      <footer class="log-foot">
        <span data-testid="log-count">${
          filtered
            ? html`${count(source.count)}${/** @type {FilteredLog} */ (source).from > 1 ? '+' : ''} of ${count(source.last)} lines match`
            : html`${count(source.last)} lines`
        }</span>
        ${searching !== null && html`<span>looked through ${Math.floor(searching * 100)} %</span>`}
        ${source.busy > 0 && html`<span class="faint">reading…</span>`}
        <span class="grow"></span>
        <span class=${`log-live ${stream.state}`}>${source.ended ? 'ended' : stream.state === 'open' ? 'live' : stream.state}</span>
      </footer>
      ${chosen && html`<${LineDetail} key=${`${run} ${chosen[0]}`} ...${{ run, seq: chosen[0], to: chosen[1] }} />`}
    </section>
  `;
}

/** @param {HTMLElement} element */
function rowHeight(element) {
  return Number.parseFloat(getComputedStyle(element).getPropertyValue('--row')) || 20;
}

/** @param {Viewport|null} view */
function visibleLines(view) {
  if (!view) return [];
  return [...view.shown.keys()]
    .sort((a, b) => a - b)
    .map((row) => view.rows.line(row))
    .filter(Boolean);
}

/** @param {any} props */
function Tools({ filter, steps, wrap, toggleWrap, clock, nextClock, copy, copied, run, following, follow, letGo, source }) {
  const [text, setText] = useState(filter.contains ?? '');
  useEffect(() => setText(filter.contains ?? ''), [filter.contains]);
  const save = (/** @type {'text'|'ndjson'} */ format) => {
    download(`/runs/${run}/logs/download${query({ format, ...filter })}`, `${run}.${format === 'text' ? 'log' : 'ndjson'}`);
  };
  return html`
    <div class="log-tools">
      <form class="search" role="search" onSubmit=${(/** @type {Event} */ event) => {
        event.preventDefault();
        setParams({ q: text || null });
        setHash('');
      }}>
        <input id="log-search" type="search" placeholder="Search all lines  /" aria-label="Search all lines" maxlength="200" value=${text}
          onInput=${(/** @type {any} */ event) => {
            setText(event.target.value);
            if (event.target.value === '' && filter.contains) setParams({ q: null });
          }}
          onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
            if (event.key !== 'Escape') return;
            setParams({ q: null });
            /** @type {HTMLElement} */ (event.target).blur();
          }} />
      </form>
      <select aria-label="Least level" value=${filter.level ?? ''} onChange=${(/** @type {any} */ event) => setParams({ level: event.target.value })}>
        <option value="">Any level</option>
        <option value="info">Info +</option>
        <option value="warn">Warnings +</option>
        <option value="error">Errors</option>
      </select>
      <select aria-label="Step" value=${filter.step ?? ''} onChange=${(/** @type {any} */ event) => setParams({ step: event.target.value, task: null })}>
        <option value="">Any step</option>
        ${steps.map((/** @type {string} */ step) => html`<option value=${step}>${step}</option>`)}
      </select>
      ${filter.task && html`<button class="chip" onClick=${() => setParams({ task: null })} title="Show all tasks">task ${filter.task.split('-').at(-1)} ✕</button>`}
      <form class="jump" onSubmit=${(/** @type {Event} */ event) => {
        event.preventDefault();
        const field = /** @type {HTMLInputElement} */ (document.getElementById('log-line'));
        const seq = Math.min(Number.parseInt(field.value.replaceAll(/\D/g, ''), 10), source.last);
        if (seq >= 1) setHash(`#L${seq}`);
        field.blur();
      }}>
        <input id="log-line" inputmode="numeric" placeholder="Line  :" aria-label="Go to line" />
      </form>
      <span class="grow"></span>
      <button class=${following ? 'on' : ''} aria-pressed=${following} onClick=${following ? letGo : follow} title="Keep the newest line in sight (f)">Follow</button>
      <button class=${wrap ? 'on' : ''} aria-pressed=${wrap} onClick=${toggleWrap} title="Wrap long lines (w)">Wrap</button>
      <button onClick=${nextClock} title="How times are told">${clock === 'none' ? 'no times' : clock}</button>
      <button onClick=${copy} title="Copy the chosen lines, or those in sight">${copied || 'Copy'}</button>
      <button onClick=${() => save('text')} title="Download as text">.log</button>
      <button onClick=${() => save('ndjson')} title="Download as NDJSON">.ndjson</button>
    </div>
  `;
}
