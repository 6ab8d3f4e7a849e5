/** Greets everybody in a list, a task each. */
import * as bulkhead from './bulkhead.js';

/** @typedef {{ names: string[], greeting?: string }} Config */
/** @typedef {{ name: string }} Guest */

export const { describe, plan, run } = bulkhead.plugin({
  name: '{{name}}',
  version: '0.1.0',
  summary: 'Greets everybody in a list',
  schema: {
    type: 'object',
    additionalProperties: false,
    required: ['names'],
    properties: {
      names: { type: 'array', items: { type: 'string' }, minItems: 1, description: 'Who is greeted.' },
      greeting: { type: 'string', default: 'Hello', description: 'What stands in front of each name.' },
    },
  },

  /** @param {bulkhead.Step<Config>} step */
  plan({ config }) {
    bulkhead.spawn(config.names.map((name) => ({ key: name, input: { name } })));
  },

  /**
   * @param {bulkhead.Step<Config>} step
   * @param {bulkhead.Task<Guest>} task
   */
  run({ config }, { input: { name } }) {
    if (!name) throw new bulkhead.Failure('nobody is there to be greeted');
    console.info('greeting', { who: name });
    return { text: `${config.greeting ?? 'Hello'}, ${name}!` };
  },
});
