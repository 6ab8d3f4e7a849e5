/**
 * A host for tests: `import` this before what imports the SDK. Each interface is an object whose functions a test may replace with
 * `mock.method(host.log, 'write', …)`.
 */
import { registerHooks } from 'node:module';

export const host = {
  log: { write() {} },
  status: { progress() {}, message() {}, cancelled: () => false },
  tasks: { spawn: (specs) => ({ created: specs.length, existing: 0 }) },
  checkpoint: { save() {}, load() {} },
  artifacts: { find() {}, read() {}, write() {} },
  outputs: { read: () => [] },
};
globalThis.bulkheadHost = host;

registerHooks({
  resolve(specifier, context, next) {
    return specifier.startsWith('bulkhead:') ? { url: specifier, shortCircuit: true } : next(specifier, context);
  },
  load(url, context, next) {
    const name = /^bulkhead:plugin\/(\w+)@/.exec(url)?.[1];
    if (name === undefined) return next(url, context);
    const functions = Object.keys(host[name]).map(
      (one) => `export const ${one} = (...all) => bulkheadHost.${name}.${one}(...all);`,
    );
    return { format: 'module', source: functions.join('\n'), shortCircuit: true };
  },
});

/** Numbers below `sides`, always the same ones. */
export function dice() {
  let state = 7;
  return (sides) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % sides;
  };
}
