// Asks for what a run's page shows first while the page's modules are on their way, and has the lines shown as soon as they are
// there. `get` in lib/api.js takes these answers over, each once; what nobody takes over is lost.
(() => {
  const { pathname, search, hash } = location;
  const run = /^\/runs\/(run_[0-9a-z]{26})$/.exec(pathname)?.[1];
  if (!run) return;
  let token = '';
  try {
    token = sessionStorage.getItem('bulkhead.token') ?? '';
  } catch {
    // Storage may be forbidden; then the page asks for a token.
  }
  const headers = { accept: 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
  /** @type {Map<string, Promise<Response>>} */
  const early = new Map();
  Object.assign(globalThis, { bulkheadEarly: early });
  const paths = [`/runs/${run}`];
  // The newest lines: what the log viewer asks for first, unless the address names a line or a filter.
  if (!search && !hash) paths.push(`/runs/${run}/logs?before=${Number.MAX_SAFE_INTEGER}&limit=500&cut=4096`);
  const copies = paths.map(async (path) => {
    const answer = fetch(`/api/v1${path}`, { headers, cache: 'no-store' });
    early.set(path, answer);
    return (await answer).clone();
  });
  // Who takes the answers over hears of a failure.
  const shown =
    copies.length === 2 ? import('/console/log/first.js').then(({ showFirst }) => showFirst(copies)) : Promise.all(copies);
  shown.catch(() => {});
})();
