// Signs, drawn: the same on every system, in the colour of the text around them. Each state has a shape of its own.

import { html } from '../lib/view.js';

/** The inside of each sign, in a box of 16 by 16. @type {Record<string, any>} */
const SIGNS = {
  queued: html`<circle cx="8" cy="8" r="6" />`,
  blocked: html`<circle cx="8" cy="8" r="6" stroke-dasharray="2.2 2.5" />`,
  running: html`<circle cx="8" cy="8" r="6" opacity="0.3" /><path d="M8 2a6 6 0 0 1 6 6" />`,
  retrying: html`<path d="M13.6 6.2A6 6 0 1 0 14 8.6M13.9 2.6v3.8h-3.8" />`,
  paused: html`<circle cx="8" cy="8" r="6.2" /><path d="M6.3 5.8v4.4M9.7 5.8v4.4" />`,
  succeeded: html`<circle cx="8" cy="8" r="7" class="solid" /><path d="M4.9 8.3l2.2 2.1 4.1-4.5" class="cut" />`,
  failed: html`<circle cx="8" cy="8" r="7" class="solid" /><path d="M5.5 5.5l5 5M10.5 5.5l-5 5" class="cut" />`,
  cancelled: html`<circle cx="8" cy="8" r="6.2" /><path d="M3.8 12.2l8.4-8.4" />`,
  skipped: html`<circle cx="8" cy="8" r="6.2" /><path d="M5.4 5.4L8 8l-2.6 2.6M8.6 5.4L11.2 8l-2.6 2.6" />`,
  overview: html`<path d="M2.5 2.5h4.6v6H2.5zM2.5 11h4.6v2.5H2.5zM9.4 2.5h4.1V5H9.4zM9.4 7.5h4.1v6H9.4z" />`,
  runs: html`<path d="M3 3.2l5 2.9-5 2.9zM10.2 4.4H14M10.2 8H14M3 12h11" />`,
  definitions: html`<path d="M3.5 1.8h6l3 3v9.4h-9zM9.3 1.9v3.2h3.1M6 8.2h4M6 10.9h4" />`,
  schedules: html`<circle cx="8" cy="8" r="6.2" /><path d="M8 4.3V8l2.6 1.7" />`,
  hooks: html`<path d="M10.4 5.2A2.7 2.7 0 1 0 6.4 6.3L4.2 10.5M5.8 12.2a2.7 2.7 0 1 1-3.3-3.4M6 12h5.3M13.3 9.6A2.6 2.6 0 1 1 10.7 13.3M8.2 4.9l2.5 4.2" />`,
  plugins: html`<path d="M6 2v3M10 2v3M3.8 5h8.4v3.4A4.2 4.2 0 0 1 8 12.6a4.2 4.2 0 0 1-4.2-4.2zM8 12.6v2" />`,
  letters: html`<path d="M2 9.4l2-6.2h8l2 6.2v3.9H2zM2 9.4h3.4l.9 1.7h3.4l.9-1.7H14" />`,
  artifacts: html`<path d="M8 1.7l5.7 3v6.6L8 14.3l-5.7-3V4.7zM2.5 4.8L8 7.8l5.5-3M8 7.8v6.3" />`,
  settings: html`<path d="M2 4.5h6.4M12 4.5h2M2 11.5h2M7.6 11.5H14" /><circle cx="10.2" cy="4.5" r="1.8" /><circle cx="5.8" cy="11.5" r="1.8" />`,
  menu: html`<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11" />`,
  sun: html`<circle cx="8" cy="8" r="3" /><path d="M8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M12.6 3.4l-1.1 1.1M4.5 11.5l-1.1 1.1" />`,
  moon: html`<path d="M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7z" />`,
  close: html`<path d="M3.8 3.8l8.4 8.4M12.2 3.8l-8.4 8.4" />`,
  play: html`<path d="M4.5 2.8l8 5.2-8 5.2z" class="solid" />`,
  next: html`<path d="M3.4 3l6 5-6 5z" class="solid" /><path d="M12 3v10" />`,
  stop: html`<path d="M4 4h8v8H4z" class="solid" />`,
  download: html`<path d="M8 2v8M4.7 7.1L8 10.3l3.3-3.2M2.5 13.6h11" />`,
  upload: html`<path d="M8 10.5v-8M4.7 5.5L8 2.3l3.3 3.2M2.5 13.6h11" />`,
  copy: html`<path d="M5.5 5.5h8v8h-8zM10.5 5.3V2.5h-8v8h2.8" />`,
  trash: html`<path d="M2.5 4.2h11M6 4V2.3h4V4M4 4.4l.6 9.3h6.8l.6-9.3M6.7 7v4M9.3 7v4" />`,
  edit: html`<path d="M2.6 13.4l.7-3 7.6-7.7 2.4 2.4-7.7 7.6zM9.4 4.2l2.4 2.4" />`,
  filter: html`<path d="M2 3.2h12l-4.7 5.4v4.6l-2.6-1.4V8.6z" />`,
  freeze: html`<path d="M8 1.6v12.8M2.5 4.8l11 6.4M13.5 4.8l-11 6.4M6.2 2.6L8 4.3l1.8-1.7M6.2 13.4L8 11.7l1.8 1.7" />`,
  up: html`<path d="M3.5 10L8 5.5l4.5 4.5" />`,
  down: html`<path d="M3.5 6L8 10.5 12.5 6" />`,
};

/** @param {{name: string, size?: number}} props */
export function Icon({ name, size = 16 }) {
  return html`<svg class=${`icon i-${name}`} viewBox="0 0 16 16" width=${size} height=${size} aria-hidden="true">${SIGNS[name] ?? SIGNS.queued}</svg>`;
}
