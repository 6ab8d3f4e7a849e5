// The steps as a graph: each behind those that it waits for, with its state as colour, sign and word.

import { Icon } from '../../components/icons.js';
import { seen } from '../../components/parts.js';
import { count, duration, short } from '../../lib/format.js';
import { layered } from '../../lib/layers.js';
import { params, setParams } from '../../lib/router.js';
import { html, now, useLayoutEffect, useMemo, useRef, useState } from '../../lib/view.js';

/** @typedef {import('../../lib/types.js').Step} Step */

const SIZES = { width: 224, height: 66, across: 56, down: 22 };
const MARGIN = 24;
/** Characters of a name that fit. */
const NAME = 24;
const ORDER = /** @type {const} */ (['succeeded', 'failed', 'cancelled', 'skipped', 'running', 'retrying', 'queued']);
const ZOOMS = [0.25, 0.35, 0.5, 0.7, 0.85, 1, 1.25, 1.6];

/** @param {{run: import('../../lib/types.js').RunDetail}} props */
export function Graph({ run }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const [zoom, setZoom] = useState(1);
  const chosen = params.value.get('step') ?? '';
  const shape = JSON.stringify(run.steps.map(({ name, depends }) => ({ name, depends })));
  const graph = useMemo(() => layered(JSON.parse(shape), SIZES), [shape]);
  const [width, height] = [graph.width + 2 * MARGIN, graph.height + 2 * MARGIN];
  const fit = () => {
    const room = box.current;
    if (!room) return;
    setZoom(Math.max(ZOOMS[0], Math.min(room.clientWidth / width, room.clientHeight / height, 1.15)));
  };
  // A graph that is a little too large is shown whole at first; a large one begins at its left.
  useLayoutEffect(() => {
    const room = box.current;
    if (room && Math.min(room.clientWidth / width, room.clientHeight / height) >= 0.5) fit();
  }, [shape]);
  const steps = new Map(run.steps.map((step) => [step.name, step]));
  const at = graph.nodes.find((node) => node.name === chosen) ?? graph.nodes[0];
  const choose = (/** @type {string} */ name) => {
    setParams({ step: name === chosen ? null : name });
    document.querySelector(`.step[data-step="${CSS.escape(name)}"]`)?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const name = /** @type {SVGElement} */ (event.target).dataset.node;
    const node = graph.nodes.find((one) => one.name === name);
    if (!node) return;
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === 'Enter' || event.key === ' ') choose(node.name);
    else if (by) focusOn(neighbour(graph, node, by[0], by[1]));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const focusOn = (/** @type {import('../../lib/layers.js').Placed|undefined} */ node) => {
    const element = node && box.current?.querySelector(`[data-node="${CSS.escape(node.name)}"]`);
    if (element instanceof SVGElement) element.focus();
  };
  const larger = ZOOMS.find((one) => one > zoom * 1.01);
  const smaller = ZOOMS.findLast((one) => one < zoom * 0.99);
  return html`
    <section class="graph" aria-label="Steps as a graph">
      <div class="graph-box" ref=${box}>
        <svg width=${width * zoom} height=${height * zoom} viewBox=${`${-MARGIN} ${-MARGIN} ${width} ${height}`} role="group"
          aria-label=${`${count(run.steps.length)} steps, each behind those that it waits for`} onKeyDown=${onKey}>
          <g class="graph-edges" aria-hidden="true">
            ${graph.edges.map(
              ({ from, to, path }) => html`<path key=${`${from} ${to}`} d=${path}
                class=${`${steps.get(from)?.state ?? ''}${chosen && (from === chosen || to === chosen) ? ' near' : ''}`} />`,
            )}
          </g>
          ${graph.nodes.map((node) => {
            const known = steps.get(node.name);
            return (
              known &&
              html`<${Box} key=${node.name} ...${{ node, step: known, chosen: node.name === chosen, first: node === at, choose }} />`
            );
          })}
        </svg>
      </div>
      <div class="graph-tools" role="toolbar" aria-label="Size of the graph">
        <button aria-label="Smaller" onClick=${() => smaller && setZoom(smaller)} disabled=${!smaller}>−</button>
        <span class="number faint">${Math.round(zoom * 100)} %</span>
        <button aria-label="Larger" onClick=${() => larger && setZoom(larger)} disabled=${!larger}>+</button>
        <button onClick=${fit}>Fit</button>
      </div>
    </section>
  `;
}

/** The node that lies in a direction: the next of the layer, or the nearest of the layer beside it. */
function neighbour(
  /** @type {ReturnType<typeof layered>} */ graph,
  /** @type {import('../../lib/layers.js').Placed} */ node,
  /** @type {number} */ across,
  /** @type {number} */ down,
) {
  if (down !== 0) return graph.nodes.find((other) => other.layer === node.layer && other.slot === node.slot + down);
  return graph.nodes
    .filter((other) => other.layer === node.layer + across)
    .sort((a, b) => Math.abs(a.y - node.y) - Math.abs(b.y - node.y))[0];
}

/** @param {{node: import('../../lib/layers.js').Placed, step: Step, chosen: boolean, first: boolean, choose: (name: string) => void}} props */
function Box({ node, step, chosen, first, choose }) {
  const { tasks, state } = step;
  const { width, height } = SIZES;
  const done = tasks.succeeded + tasks.failed + tasks.cancelled + tasks.skipped;
  const from = step.started_at ? Date.parse(step.started_at) : null;
  const took = step.duration_ms ?? (from === null ? null : Math.max(0, now.value - from));
  const name = step.name.length > NAME ? `${step.name.slice(0, NAME - 1)}…` : step.name;
  const of =
    tasks.total === 0 ? '' : done === tasks.total ? `${short(done)} tasks` : `${short(done)}/${short(tasks.total)} tasks`;
  const label = [
    step.name,
    step.stopping && state === 'running' ? 'stopping' : state,
    step.depends.length > 0 ? `after ${step.depends.join(', ')}` : '',
    tasks.total > 0 ? `${count(done)} of ${count(tasks.total)} tasks` : '',
    tasks.failed > 0 ? `${count(tasks.failed)} failed` : '',
  ];
  // The bar: a part for each state of tasks.
  let x = 12;
  const bar = ORDER.filter((one) => tasks[one] > 0).map((one) => {
    const part = { one, x, width: ((width - 24) * tasks[one]) / Math.max(1, tasks.total) };
    x += part.width;
    return part;
  });
  return html`<g class=${`node ${state}${chosen ? ' chosen' : ''}`} transform=${`translate(${node.x} ${node.y})`} data-node=${step.name} data-state=${state}
    role="button" tabindex=${first ? 0 : -1} aria-pressed=${chosen} aria-description=${label.filter(Boolean).join(', ')} onClick=${() => choose(step.name)}>
    <rect class="node-box" width=${width} height=${height} rx="10" />
    <rect class="node-edge" y="10" width="3.5" height=${height - 20} rx="1.75" />
    <g class="node-sign" transform="translate(12 11)"><${Icon} name=${state} /></g>
    <text class="node-name" x="36" y="24">${seen(name)}</text>
    <text class="node-state" x="12" y="45">${step.stopping && state === 'running' ? 'stopping' : state}${of ? ` · ${of}` : ''}</text>
    <text class="node-time" x=${width - 12} y="45">${took === null ? '' : duration(took)}</text>
    <g class="node-bar"><rect x="12" y=${height - 12} width=${width - 24} height="4" rx="2" />
      ${bar.map((part) => html`<rect class=${part.one} x=${part.x} y=${height - 12} width=${Math.max(part.width, 1)} height="4" rx="1.5" />`)}
    </g>
  </g>`;
}
