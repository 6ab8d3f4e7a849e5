// Tries a plugin: a run of one step with the settings of a form, of which one task is done, and what came of it.

import { may } from '../../components/frame.js';
import { Icon } from '../../components/icons.js';
import { Cause, Foreign, Json, State, seen, Trouble } from '../../components/parts.js';
import { SchemaForm } from '../../components/schema-form.js';
import { Tail } from '../../components/tail.js';
import { ask, get, Problem, post } from '../../lib/api.js';
import { count, duration, size } from '../../lib/format.js';
import { name as key, toml } from '../../lib/toml.js';
import { html, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').Schema} Schema */
/** @typedef {import('../../lib/types.js').TaskDetail} TaskDetail */
/** @typedef {Record<string, {message: string, help?: string}>} Wrong */

/** How long one task may take here. */
const TIMEOUT = '60s';

/** The definition of such a run, and on which line each setting is. @param {string} name @param {string} plugin @param {Record<string, unknown>} settings */
function written(name, plugin, settings) {
  const lines = [
    `id = "try-${name.slice(0, 56)}"`,
    `name = ${toml(`Try ${name}`)}`,
    'tags = ["try"]',
    '',
    '[step.try]',
    `plugin = ${toml(plugin)}`,
    `timeout = "${TIMEOUT}"`,
  ];
  /** @type {Map<number, string>} */
  const places = new Map();
  for (const [name, value] of Object.entries(settings)) {
    lines.push(`${key(name)} = ${toml(value)}`);
    places.set(lines.length, name);
  }
  return { text: `${lines.join('\n')}\n`, places };
}

/** What the server found wrong with the settings, by their names; what is about none of them is under the empty name. @param {Problem} problem @param {Map<number, string>} places @param {string[]} known @returns {Wrong} */
function placed(problem, places, known) {
  /** @type {Wrong} */
  const wrong = {};
  for (const { line, message, help } of problem.diagnostics) {
    const lacking = known.find((name) => message.endsWith(`lacks \`${name}\``));
    wrong[places.get(line) ?? lacking ?? ''] ??= { message, help };
  }
  return wrong;
}

/** A plugin by its name, and as definitions say it. @param {{name: string, plugin: string, schema: Schema}} props */
export function Try({ name, plugin, schema }) {
  const [settings, setSettings] = useState(/** @type {Record<string, unknown>} */ ({}));
  const [wrong, setWrong] = useState(/** @type {Wrong} */ ({}));
  const [problem, setProblem] = useState(/** @type {Problem|null} */ (null));
  const [busy, setBusy] = useState('');
  const [result, setResult] = useState(
    /** @type {{run: string, plan: TaskDetail, task: TaskDetail|null, others: number}|null} */ (null),
  );
  const { text, places } = written(name, plugin, settings);
  const start = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setWrong({});
    setProblem(null);
    setResult(null);
    setBusy('The step plans its tasks…');
    try {
      const response = await ask('POST', '/runs?paused=true', { body: text, type: 'application/toml' });
      const { id } = await response.json();
      let ended = false;
      try {
        const plan = (await post(`/runs/${id}/process-next?wait=60s`)).task;
        /** @type {TaskDetail|null} */
        let task = null;
        const look = async () => {
          const run = await get(`/runs/${id}`);
          ended = Boolean(run.ended_at);
          return run.tasks.queued;
        };
        let left = await look();
        if (plan.state === 'succeeded' && left > 0) {
          setBusy('One of its tasks is done…');
          task = (await post(`/runs/${id}/process-next?wait=60s`)).task;
          left = await look();
        }
        setResult({ run: id, plan, task, others: left });
      } finally {
        // What is left of it is not wanted.
        if (!ended) await post(`/runs/${id}/cancel`).catch(() => {});
      }
    } catch (error) {
      if (error instanceof Problem && error.diagnostics.length > 0)
        setWrong(placed(error, places, Object.keys(schema.properties ?? {})));
      else setProblem(error instanceof Problem ? error : new Problem(0, { title: 'Error', detail: String(error) }));
    }
    setBusy('');
  };
  if (!may('admin')) {
    return html`<p class="faint">Trying a plugin runs a definition that is not stored, which needs the role admin.</p>`;
  }
  const { '': general, ...fields } = wrong;
  return html`
    <div class="try">
      <form class="tile" onSubmit=${start} novalidate aria-label="Settings of the step">
        <h2>Settings of the step</h2>
        <${SchemaForm} id="setting" schema=${schema} value=${settings} change=${setSettings} errors=${fields} />
        ${Object.keys(schema.properties ?? {}).length === 0 && html`<p class="faint">It has none.</p>`}
        ${general && html`<p class="bad" role="alert">${general.message}${general.help ? ` (${general.help})` : ''}</p>`}
        <${Trouble} problem=${problem} />
        <div class="buttons"><button class="primary" disabled=${busy !== ''}><${Icon} name="play" /> Try it</button><span class="faint" role="status">${busy}</span></div>
        <details><summary>As a definition</summary><pre tabindex="0" aria-label="The definition">${seen(text)}</pre></details>
      </form>
      <div class="try-result" aria-live="polite">
        ${!result && html`<p class="faint">One task is done with these settings, under the same limits as any other, and its result, its log and what it cost are shown here. The run is kept among the others.</p>`}
        ${
          result &&
          html`${result.task && html`<${Done} title=${`Task ${result.task.index}`} task=${result.task} />`}
          <${Done} title=${result.task ? 'Its plan' : 'The plan, which left no task to do'} task=${result.plan} brief=${result.task !== null && result.plan.state === 'succeeded'} />
          <p class="faint">${result.others > 0 ? `${count(result.others)} other tasks were cancelled. ` : ''}<a href=${`/runs/${result.run}`}>The whole run</a></p>`
        }
      </div>
    </div>
  `;
}

/** @param {{title: string, task: TaskDetail, brief?: boolean}} props */
function Done({ title, task, brief = false }) {
  const attempt = task.attempts.at(-1);
  const lines = attempt?.log_tail ?? task.log_tail ?? [];
  return html`<section class="tile" data-testid=${brief ? 'try-plan' : 'try-task'}>
    <h2>${title} <${State} state=${task.state} /></h2>
    ${task.index > 0 && html`<p class="faint">Key: <${Foreign} text=${task.key} max=${120} /></p>`}
    ${(attempt?.failure ?? task.failure) && html`<div class="failure"><${Cause} failure=${attempt?.failure ?? task.failure} /><p><${Foreign} text=${(attempt?.failure ?? task.failure)?.message ?? ''} max=${2_000} /></p></div>`}
    ${
      attempt &&
      html`<dl class="figures">
        <div><dt>Took</dt><dd class="number">${duration(attempt.duration_ms)}</dd></div>
        <div><dt>Processor</dt><dd class="number">${duration(attempt.usage.cpu_us / 1_000)}</dd></div>
        <div><dt>Memory</dt><dd class="number">${size(attempt.usage.peak_memory_bytes)}</dd></div>
        <div><dt>Fuel</dt><dd class="number">${attempt.usage.fuel ? count(attempt.usage.fuel) : 'not metered'}</dd></div>
        <div><dt>Lines</dt><dd class="number">${count(attempt.lines)}</dd></div>
      </dl>`
    }
    ${!brief && html`<h3>Output</h3><${Json} value=${task.output} label="Output" />`}
    ${!brief && task.index > 0 && html`<details><summary>Input</summary><${Json} value=${task.input} label="Input" /></details>`}
    ${lines.length > 0 && html`<h3>${attempt && attempt.lines > lines.length ? `Its last ${lines.length} lines` : 'Its log'}</h3><${Tail} run=${task.run} lines=${lines} />`}
    ${attempt?.failure?.backtrace && html`<details><summary>Backtrace</summary><pre tabindex="0" aria-label="Backtrace">${seen(attempt.failure.backtrace)}</pre></details>`}
  </section>`;
}
