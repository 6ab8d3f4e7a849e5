/** Counts the words of a file that the run was started with, a piece a task. */
import * as bulkhead from './bulkhead.js';
import { drill, MODES } from './drill.js';
import { Counts, firstWord, pieces, wholeWords } from './words.js';

/** What is read at once, in bytes; a longer word is cut there. */
const BLOCK = 256 << 10;

/** @typedef {{ file?: string, pieces?: number, top?: number, drill?: string }} Config */
/** @typedef {{ from: number, to: number }} Piece */

export const { describe, plan, run } = bulkhead.plugin({
  name: 'javascript',
  version: '0.1.0',
  summary: 'Counts the words of a file, a piece a task; written in JavaScript.',
  schema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      file: { type: 'string', default: 'text', description: "The run's file whose words are counted." },
      pieces: { type: 'integer', minimum: 1, maximum: 1000, default: 4, description: 'The tasks that share it.' },
      top: { type: 'integer', minimum: 0, maximum: 100, default: 10, description: 'The words that are listed.' },
      drill: { enum: MODES, default: 'none', description: 'What each task does wrong, to see what comes of it.' },
    },
  },

  /** @param {bulkhead.Step<Config>} step */
  plan({ config }) {
    const file = open(config);
    const parts = pieces(file.size, config.pieces ?? 4);
    bulkhead.spawn(parts.map((input, number) => ({ key: `piece-${number + 1}`, input })));
    console.info('planned', { pieces: parts.length, bytes: file.size });
  },

  /**
   * @param {bulkhead.Step<Config>} step
   * @param {bulkhead.Task<Piece>} task
   */
  run({ config, attempt }, { input: { from, to } }) {
    bulkhead.progress(0, to - from);
    drill(config.drill ?? 'none');
    const file = open(config);
    /** @type {{ at: number, counts: Record<string, number> } | undefined} */
    const kept = bulkhead.loadCheckpoint();
    const counts = new Counts(kept?.counts);
    let at = from;
    if (kept) {
      at = kept.at;
      console.info('going on from a checkpoint', { at });
    } else if (from > 0) {
      at = from - 1 + firstWord(file.read(from - 1, BLOCK));
    }
    while (at < to) {
      if (bulkhead.cancelled()) throw new bulkhead.Failure(`cancelled at byte ${at}`);
      const block = file.read(at, BLOCK);
      let whole = wholeWords(block, to - at, at + block.length === file.size);
      if (whole === 0) {
        console.warn('a word is longer than a block', { at, block: BLOCK });
        whole = block.length;
      }
      counts.add(block.subarray(0, whole));
      at += whole;
      bulkhead.progress(Math.min(at, to) - from, to - from);
      bulkhead.saveCheckpoint({ at, counts });
      console.debug('block counted', { at, words: counts.total });
      if (config.drill === 'retry' && attempt === 1) {
        throw new bulkhead.Failure('the drill: the first attempt fails', { retryable: true });
      }
    }
    if (counts.replaced > 0) console.warn('not all of it is UTF-8', { replaced: counts.replaced });
    console.info('counted', { words: counts.total, distinct: counts.words.size });
    return { bytes: to - from, words: counts.total, distinct: counts.words.size, top: counts.top(config.top ?? 10) };
  },
});

/** @param {Config} config */
function open({ file: name = 'text' }) {
  try {
    return new bulkhead.File(name);
  } catch (error) {
    if (!(error instanceof bulkhead.HostError) || error.kind !== 'not-found') throw error;
    throw new bulkhead.Failure(`the run has no file \`${name}\`: start it with --file ${name}=PATH`);
  }
}
