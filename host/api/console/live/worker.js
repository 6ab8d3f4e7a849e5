// The shared worker: the hub, outside of any tab. It lives as long as one tab does.

import { Hub } from './hub.js';

/** @type {Hub|null} */
let hub = null;

/** @type {any} */
const scope = self;
scope.onconnect = (/** @type {MessageEvent} */ event) => {
  const port = event.ports[0];
  const attached = { post: (/** @type {any} */ message) => port.postMessage(message) };
  port.onmessage = ({ data }) => {
    if (data.type === 'hello') {
      hub ??= new Hub(data.token);
      hub.attach(attached);
      // The tab holds this lock as long as it lives, however it ends.
      navigator.locks?.request(data.lock, () => hub?.detach(attached));
    } else {
      hub?.receive(attached, data);
    }
  };
};
