// What changes, as it changes: the tab's side of the hub.

import { token } from '../lib/api.js';
import { effect, signal, useEffect, useRef } from '../lib/view.js';
import { Hub } from './hub.js';

/** How the stream is. @type {import('@preact/signals').Signal<import('./hub.js').Status>} */
export const status = signal({ state: 'connecting', since: Date.now(), opened: 0, tabs: 0 });

/** @type {(message: any) => void} */
let send = () => {};
/** @type {Map<number, {topic: import('./hub.js').Topic, heard: (data: any) => void}>} */
const subscriptions = new Map();
let nextId = 1;

/** @param {MessageEvent|{data: any}} event */
function receive({ data }) {
  if (data.type === 'status') status.value = data.status;
  else subscriptions.get(data.id)?.heard(data.data);
}

/** Only this one address may become a script. */
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy('console', {
  createScriptURL: () => '/console/live/worker.js',
});

async function connect(/** @type {string} */ secret) {
  send({ type: 'bye' });
  send = () => {};
  if (typeof SharedWorker === 'function') {
    const digest = secret ? await crypto.subtle?.digest('SHA-256', new TextEncoder().encode(secret)) : undefined;
    const name = digest ? Array.from(new Uint8Array(digest).slice(0, 8), (byte) => byte.toString(16)).join('') : 'open';
    // A worker for each token, as what one may see is not shown to another, and for each form of the messages (3).
    const worker = new SharedWorker(policy?.createScriptURL('') ?? '/console/live/worker.js', {
      type: 'module',
      name: `bulkhead-3-${name}`,
    });
    worker.port.onmessage = receive;
    const lock = `bulkhead-tab-${Math.random().toString(36).slice(2)}`;
    await new Promise((held) => {
      if (!navigator.locks) held(null);
      else
        navigator.locks.request(lock, () => {
          held(null);
          return new Promise(() => {});
        });
    });
    if (secret !== token.peek()) return;
    send = (message) => worker.port.postMessage(message);
    send({ type: 'hello', token: secret, lock });
  } else {
    // Where workers can't be shared, each tab has a stream of its own.
    const hub = new Hub(secret);
    const port = { post: (/** @type {any} */ data) => queueMicrotask(() => receive({ data })) };
    send = (message) => hub.receive(port, message);
    hub.attach(port);
  }
  for (const [id, { topic }] of subscriptions) send({ type: 'subscribe', id, topic });
}

effect(() => {
  connect(token.value);
});
addEventListener('pagehide', () => send({ type: 'bye' }));
addEventListener('pageshow', (event) => {
  if (event.persisted) connect(token.peek());
});
addEventListener('online', () => send({ type: 'retry' }));

/** Tries the stream again at once. */
export const retry = () => send({ type: 'retry' });

/**
 * @param {import('./hub.js').Topic} topic
 * @param {(data: any) => void} heard
 * @returns {() => void} ends it
 */
export function subscribe(topic, heard) {
  const id = nextId++;
  // A log's cursor moves on, so that a new worker goes on where the last one was.
  const subscription = {
    topic,
    heard: (/** @type {any} */ data) => {
      if (topic.kind === 'log' && data.kind === 'log') {
        const { after } = /** @type {import('./hub.js').LogTopic} */ (subscription.topic);
        const lines = data.lines.filter((/** @type {{seq: number}} */ line) => line.seq > after);
        subscription.topic = { ...topic, after: Math.max(after, data.scanned) };
        heard({ ...data, lines });
      } else heard(data);
    },
  };
  subscriptions.set(id, subscription);
  send({ type: 'subscribe', id, topic });
  return () => {
    subscriptions.delete(id);
    send({ type: 'unsubscribe', id });
  };
}

/**
 * @param {import('./hub.js').Topic|null} topic
 * @param {(data: any) => void} heard
 */
export function useLive(topic, heard) {
  const latest = useRef(heard);
  latest.current = heard;
  const key = JSON.stringify(topic);
  useEffect(() => {
    const wanted = /** @type {import('./hub.js').Topic|null} */ (JSON.parse(key));
    return wanted ? subscribe(wanted, (data) => latest.current(data)) : undefined;
  }, [key]);
}
