// When definitions run by themselves: what fires next, and what became of the last fires; and what a cron expression means.

import { act } from '../components/dialog.js';
import { headline, may } from '../components/frame.js';
import { Icon } from '../components/icons.js';
import { Empty, Moment, Trouble } from '../components/parts.js';
import { get, Problem, post, query } from '../lib/api.js';
import { ago, count, duration, moment, tail } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { useLoad, useRuns } from '../lib/load.js';
import { go } from '../lib/router.js';
import { html, now, skew, useEffect, useState } from '../lib/view.js';

/** @typedef {import('../lib/types.js').Schedule} Schedule */
/** @typedef {import('../lib/types.js').ScheduleDetail} Detail */
/** @typedef {import('../lib/types.js').Fire} Fire */

/** What fires is there so long after it was due, in milliseconds. */
const DECIDED = 1_500;
/** The longest that a timer of a browser may wait, in milliseconds. */
const LONGEST = 2 ** 31 - 1;
/** The preview follows the typing after so long, in milliseconds. */
const PREVIEW_AFTER = 250;

/** Reads anew when runs changed, and when the next fire is due: the server says when that is, so nothing polls. @param {(string|undefined)[]} next @param {() => void} reload */
function useFires(next, reload) {
  useRuns(reload);
  const due = next.filter(Boolean).sort()[0];
  useEffect(() => {
    if (!due) return undefined;
    const wait = Math.max(DECIDED, Date.parse(due) - (Date.now() + skew.peek()) + DECIDED);
    const alarm = setTimeout(reload, Math.min(wait, LONGEST));
    return () => clearTimeout(alarm);
  }, [due]);
}

export function SchedulesPage() {
  const { value, error, reload } = useLoad(
    'schedules',
    (signal) => /** @type {Promise<{items: Schedule[]}>} */ (get('/schedules?limit=500', signal)),
  );
  const [at, setAt] = useState(-1);
  const items = value?.items ?? [];
  useFires(
    items.map((item) => item.next),
    reload,
  );
  useEffect(() => {
    headline.value = { title: 'Schedules', state: '' };
  }, []);
  useKeys({
    j: () => setAt(Math.min(items.length - 1, at + 1)),
    k: () => setAt(Math.max(0, at - 1)),
    'g g': () => setAt(0),
    G: () => setAt(items.length - 1),
    Enter: () => items[at] && go(`/schedules/${items[at].id}`),
    '/': () => document.getElementById('preview-cron')?.focus(),
  });
  return html`
    <div class="page">
      <header class="page-head"><h1>Schedules</h1></header>
      <${Trouble} problem=${error} retry=${reload} />
      ${value && items.length === 0 && html`<${Empty} icon="schedules" title="No definition has a schedule">Give one a line such as <code>schedule = "0 3 * * MON-FRI"</code>, and it runs by itself.</${Empty}>`}
      ${
        items.length > 0 &&
        html`<div class="table-box" tabindex="0" role="region" aria-label="Schedules"><table>
          <thead><tr><th>Definition</th><th>When</th><th class="right">Next</th><th>Last</th><th class="right" title="fires that started a run">Started</th><th class="right" title="skipped, missed or refused">Not</th><th>Now</th><th></th></tr></thead>
          <tbody>${items.map(
            (item, index) => html`<tr key=${item.id} data-schedule=${item.id} class=${index === at ? 'at' : ''}>
              <td class="name"><a href=${`/schedules/${item.id}`}>${item.id}</a></td>
              <td><code>${item.cron}</code> <span class="faint">${item.timezone}</span></td>
              <td class="right">${item.next ? html`<span title=${moment(item.next)}>${ago(item.next, now.value)}</span>` : html`<span class="faint">–</span>`}</td>
              <td>${item.last ? html`<${Outcome} fire=${item.last} short=${true} />` : html`<span class="faint">never</span>`}</td>
              <td class="right number">${count(item.counts.started)}</td>
              <td class="right number">${count(item.counts.skipped + item.counts.missed + item.counts.refused)}</td>
              <td><${Now} schedule=${item} /></td>
              <td class="right"><${Buttons} schedule=${item} changed=${reload} small=${true} /></td>
            </tr>`,
          )}</tbody>
        </table></div>`
      }
      <${Preview} />
    </div>
  `;
}

/** @param {{schedule: Schedule}} props */
function Now({ schedule }) {
  if (!schedule.enabled) return html`<span class="tag">disabled</span>`;
  if (schedule.paused) return html`<span class="tag warn">paused</span>`;
  const parts = [
    schedule.active.length > 0 ? `${count(schedule.active.length)} running` : '',
    schedule.waiting > 0 ? `${count(schedule.waiting)} waiting` : '',
  ];
  return html`${parts.filter(Boolean).join(', ') || html`<span class="faint">idle</span>`}`;
}

/** @param {{schedule: Schedule, changed: () => void, small?: boolean}} props */
function Buttons({ schedule, changed, small = false }) {
  if (!may('operator')) return null;
  const { id } = schedule;
  const turn = async () => {
    await act(
      () => post(`/schedules/${id}/${schedule.paused ? 'resume' : 'pause'}`),
      schedule.paused ? 'It fires again' : 'It is paused: it starts nothing until it is resumed',
    );
    changed();
  };
  const run = async () => {
    const started = await act(() => post(`/schedules/${id}/run-now`));
    if (started) go(`/runs/${started.id}`);
  };
  return html`<span class="buttons tight">
    <button aria-label=${small ? `${schedule.paused ? 'Resume' : 'Pause'} ${id}` : undefined} class=${small ? 'icon-only' : ''} title=${schedule.paused ? 'Resume' : 'Pause'} onClick=${turn}><${Icon} name=${schedule.paused ? 'play' : 'paused'} />${small ? '' : schedule.paused ? ' Resume' : ' Pause'}</button>
    <button aria-label=${small ? `Run now: ${id}` : undefined} class=${small ? '' : 'primary'} disabled=${!schedule.enabled} onClick=${run}>Run now</button>
  </span>`;
}

const SIGNS = /** @type {Record<string, string>} */ ({
  started: 'succeeded',
  waiting: 'queued',
  skipped: 'skipped',
  missed: 'cancelled',
  refused: 'failed',
});
const REASONS = /** @type {Record<string, string>} */ ({
  overlap: 'an earlier run had not ended',
  'queue-full': 'too many waited',
  superseded: 'a later one took its place',
  paused: 'it was paused',
  disabled: 'it was disabled',
  changed: 'the definition was changed',
});

/** What became of a fire. @param {{fire: Fire, short?: boolean}} props */
function Outcome({ fire, short = false }) {
  return html`<span class=${`state ${SIGNS[fire.outcome] ?? ''}`}><${Icon} name=${SIGNS[fire.outcome] ?? 'queued'} /><span>${fire.outcome}</span></span>
    ${short ? html` <span class="faint" title=${moment(fire.time)}>${ago(fire.time, now.value)}</span>` : ''}
    ${fire.run ? html` <a href=${`/runs/${fire.run}`}><code>${tail(fire.run)}</code></a>` : ''}`;
}

/** @param {{id: string}} props */
export function SchedulePage({ id }) {
  const { value, error, reload } = useLoad(
    `schedule ${id}`,
    (signal) => /** @type {Promise<Detail>} */ (get(`/schedules/${id}?upcoming=10&fires=100`, signal)),
  );
  useFires([value?.next], reload);
  useEffect(() => {
    headline.value = { title: `Schedule of ${id}`, state: '' };
  }, [id]);
  if (error?.status === 404) {
    return html`<div class="page"><header class="page-head"><h1>${id}</h1></header><${Empty} icon="schedules" title="It has no schedule"><a href=${`/definitions/${id}`}>Its definition</a> would say so with <code>schedule = "0 3 * * *"</code>. <a href="/schedules">All schedules</a></${Empty}></div>`;
  }
  return html`
    <div class="page">
      <header class="page-head"><h1>${id}</h1>
        ${value && html`<code class="faint">${value.cron}</code><span class="faint">${value.timezone}</span><${Now} schedule=${value} />`}
        <span class="grow"></span>
        <a class="button" href=${`/definitions/${id}`}>Definition</a>
        ${value && html`<${Buttons} schedule=${value} changed=${reload} />`}
      </header>
      <${Trouble} problem=${error} retry=${reload} />
      ${
        value &&
        html`<div class="halves">
          <section class="tile" aria-labelledby="upcoming"><h2 id="upcoming">Next fires${value.paused ? ', were it not paused' : ''}</h2><${Moments} at=${value.upcoming} zone=${value.timezone} /></section>
          <section class="tile" aria-labelledby="policy"><h2 id="policy">What it says</h2>
            <dl class="pairs">
              <div><dt>While a run goes on, a fire</dt><dd>${{ skip: 'is skipped', queue: `waits, up to ${value.max_waiting}`, cancel: 'cancels that run' }[value.overlap] ?? value.overlap}</dd></div>
              <div><dt>What fell due while nobody was there</dt><dd>${{ none: 'is missed', last: 'starts once, late', all: `starts late, up to ${value.catch_up_limit}` }[value.catch_up] ?? value.catch_up}${value.catch_up_window_ms !== undefined ? html`, within ${duration(value.catch_up_window_ms)}` : ''}</dd></div>
              <div><dt>Spread over</dt><dd>${value.jitter_ms > 0 ? duration(value.jitter_ms) : 'nothing: it is on time'}</dd></div>
              <div><dt>Parameters</dt><dd><code>${JSON.stringify(value.parameters)}</code></dd></div>
              <div><dt>Runs that go on</dt><dd>${value.active.length === 0 ? 'none' : value.active.map((run) => html`<a href=${`/runs/${run}`}><code>${tail(run)}</code></a> `)}</dd></div>
              <div><dt>Fires so far</dt><dd class="number">${count(value.counts.started)} started, ${count(value.counts.skipped)} skipped, ${count(value.counts.missed)} missed, ${count(value.counts.refused)} refused</dd></div>
            </dl></section>
        </div>
        <h2 id="last-fires">What became of the last fires</h2>
        ${value.fires.length === 0 && html`<${Empty} icon="schedules" title="It has not fired yet" />`}
        ${
          value.fires.length > 0 &&
          html`<div class="table-box" tabindex="0" role="region" aria-labelledby="last-fires"><table>
            <thead><tr><th class="right">No.</th><th>Due</th><th>Outcome</th><th>Why</th><th class="right">Decided</th></tr></thead>
            <tbody>${value.fires.map(
              (
                fire,
              ) => html`<tr key=${fire.number} data-outcome=${fire.outcome}><td class="right number">${count(fire.number)}</td>
                <td><${Moment} at=${fire.time} />${fire.count > 1 ? html` <span class="tag">and ${count(fire.count - 1)} more${fire.last ? html` to ${moment(fire.last)}` : ''}</span>` : ''}${fire.manual ? html` <span class="tag">by hand</span>` : ''}</td>
                <td><${Outcome} fire=${fire} /></td><td class="faint">${fire.reason ? (REASONS[fire.reason] ?? fire.reason) : ''}</td>
                <td class="right" title=${moment(fire.decided_at)}>${ago(fire.decided_at, now.value)}</td></tr>`,
            )}</tbody>
          </table></div>`
        }`
      }
    </div>
  `;
}

/** Moments in a zone, and in the reader's. @param {{at: string[], zone: string}} props */
function Moments({ at, zone }) {
  if (at.length === 0) return html`<p class="faint">It never fires again.</p>`;
  const there = new Intl.DateTimeFormat(undefined, {
    timeZone: zone,
    weekday: 'short',
    year: 'numeric',
    month: 'short',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
    timeZoneName: 'short',
  });
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return html`<ol class="moments">${at.map(
    (one) =>
      html`<li><time datetime=${one}>${there.format(new Date(one))}</time>${own === zone ? '' : html`<span class="faint">${moment(one)} here</span>`}<span class="grow"></span><span class="faint">${ago(one, now.value)}</span></li>`,
  )}</ol>`;
}

/** What a cron expression means. */
function Preview() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [cron, setCron] = useState('0 3 * * MON-FRI');
  const [zone, setZone] = useState(own || 'UTC');
  const [found, setFound] = useState(/** @type {{upcoming: string[], timezone: string}|null} */ (null));
  const [error, setError] = useState('');
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setFound(await get(`/schedule-preview${query({ cron, timezone: zone, count: 8 })}`, stop.signal));
        setError('');
      } catch (error) {
        if (error instanceof Problem) setError(error.message.replace(/^`(cron|timezone)`: /, ''));
      }
    }, PREVIEW_AFTER);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [cron, zone]);
  const zones = typeof Intl.supportedValuesOf === 'function' ? ['UTC', ...Intl.supportedValuesOf('timeZone')] : ['UTC', own];
  return html`<section class="tile preview-cron" aria-labelledby="preview-title">
    <h2 id="preview-title">When would it fire?</h2>
    <div class="filters">
      <label class="labelled">Cron <input id="preview-cron" class="mono" value=${cron} aria-invalid=${error !== ''} aria-describedby="preview-error" spellcheck="false" onInput=${(/** @type {any} */ event) => setCron(event.target.value)} /></label>
      <label class="labelled">Zone <input list="zones" value=${zone} onInput=${(/** @type {any} */ event) => setZone(event.target.value)} /></label>
      <datalist id="zones">${zones.map((name) => html`<option value=${name}></option>`)}</datalist>
    </div>
    <p class="bad" id="preview-error" role="alert">${error}</p>
    ${found && !error && html`<${Moments} at=${found.upcoming} zone=${found.timezone} />`}
    <p class="faint">Minute, hour, day, month and weekday, with the seconds first if there are six. Times that a clock leaves out fire at the end of the gap.</p>
  </section>`;
}
