// A small chart of values over time.

import uPlot from 'uplot';
import { time } from '../lib/format.js';
import { html, useEffect, useRef } from '../lib/view.js';

const HEIGHT = 150;

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @param {{at: number[], lines: {name: string, values: number[], colour: string}[]}} props */
export function Chart({ at, lines }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const chart = useRef(/** @type {uPlot|null} */ (null));
  const data = /** @type {uPlot.AlignedData} */ ([at, ...lines.map((line) => line.values)]);
  const latest = useRef(data);
  latest.current = data;
  // Made once, and anew when the theme changes.
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const make = () => {
      chart.current?.destroy();
      const axis = {
        stroke: colour('--muted'),
        grid: { stroke: colour('--line'), width: 1 },
        ticks: { show: false },
        font: '11px system-ui',
      };
      chart.current = new uPlot(
        {
          width: element.clientWidth,
          height: HEIGHT,
          legend: { show: false },
          cursor: { y: false, points: { size: 5 } },
          padding: [8, 26, 0, 0],
          axes: [
            { ...axis, values: (_, at) => at.map((second) => time(new Date(second * 1_000).toISOString())), space: 90, size: 30 },
            { ...axis, size: 44 },
          ],
          scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
          series: [
            {},
            ...lines.map((line) => ({
              label: line.name,
              stroke: colour(line.colour),
              fill: `${colour(line.colour)}22`,
              width: 1.5,
              points: { show: false },
            })),
          ],
        },
        latest.current,
        element,
      );
    };
    make();
    const resizes = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resizes.observe(element);
    const themes = new MutationObserver(make);
    themes.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      resizes.disconnect();
      themes.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, []);
  useEffect(() => chart.current?.setData(data));
  const last = lines.map((line) => `${line.name} ${(line.values.at(-1) ?? 0).toFixed(1)} a second`).join(', ');
  return html`<div class="chart" ref=${box} role="img" aria-label=${`Now: ${last}`}></div>
    <div class="legend" aria-hidden="true">${lines.map((line) => html`<span class=${`key k${line.colour}`}><i></i>${line.name} ${(line.values.at(-1) ?? 0).toFixed(line.values.at(-1) ? 1 : 0)}</span>`)}</div>`;
}
