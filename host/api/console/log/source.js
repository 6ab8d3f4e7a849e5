// Where the viewer's lines come from. Two kinds, with one face:
// - `WholeLog`: all lines of a run; the row of line N is N - 1, so any part can be read without what is before it.
// - `FilteredLog`: lines that match; a stretch of them that grows at both ends.
// Both end at the live tail: the newest lines come over the shared stream, and what was read is never asked for again while it
// is kept.

import { get, query } from '../lib/api.js';
import { subscribe } from '../live/live.js';

/** @typedef {import('../lib/types.js').LogLine} LogLine */
/** @typedef {import('../lib/types.js').LogPage} LogPage */
/** @typedef {{level?: string, step?: string, task?: string, contains?: string}} Filter */

/** Bytes after which a message is cut for the list; the whole is read when it is looked at. */
export const CUT = 4_096;
/** Lines of one request. */
const BLOCK = 500;
/** Blocks that are kept: 100,000 lines. */
const MOST_BLOCKS = 200;
/** Lines that match which are read at once. */
const STRETCH = 200;
/** Lines that match which are kept; the end farther from the reader goes first. */
const MOST_MATCHES = 50_000;

/** @typedef {'all'|'tail'|'shift'} Change */

class Source {
  /** The number of the run's last line. */
  last = 0;
  ended = false;
  /** Whether the first lines were read. */
  opened = false;
  /** What went wrong last. @type {Error|null} */
  error = null;
  /** Readings under way. */
  busy = 0;
  /** Requests for lines so far. */
  requests = 0;
  /** Called when something changed. @type {() => void} */
  changed = () => {};
  /** Called when rows came before all others. @type {(rows: number) => void} */
  shifted = () => {};
  stop = new AbortController();
  /** @type {(() => void)|null} */
  unsubscribe = null;

  /**
   * @param {string} run
   * @param {Filter} filter
   */
  constructor(run, filter) {
    this.run = run;
    this.filter = filter;
  }

  /**
   * @param {Record<string, string|number|undefined>} window
   * @returns {Promise<LogPage|null>} null where it is over
   */
  async read(window) {
    this.busy += 1;
    this.requests += 1;
    this.changed();
    try {
      const path = `/runs/${this.run}/logs${query({ ...window, ...this.filter, cut: CUT })}`;
      const page = await get(path, this.stop.signal);
      this.error = null;
      return this.stop.signal.aborted ? null : page;
    } catch (error) {
      if (this.stop.signal.aborted) return null;
      this.error = error instanceof Error ? error : new Error(String(error));
      return null;
    } finally {
      this.busy -= 1;
      if (!this.stop.signal.aborted) this.changed();
    }
  }

  /** Follows what comes after a line. @param {number} after @param {(data: any) => void} heard */
  listen(after, heard) {
    if (this.unsubscribe || this.stop.signal.aborted) return;
    const topic = { kind: /** @type {const} */ ('log'), run: this.run, after, cut: CUT, ...this.filter };
    this.unsubscribe = subscribe(topic, (data) => {
      if (data.kind !== 'log') return;
      this.last = Math.max(this.last, data.last);
      this.ended = data.ended;
      heard(data);
      this.changed();
    });
  }

  /** Ends what {@link listen} began. */
  silence() {
    this.unsubscribe?.();
    this.unsubscribe = null;
  }

  /** Takes over what a page says of the whole. @param {LogPage} page */
  heard(page) {
    this.last = Math.max(this.last, page.last);
    this.ended = page.ended;
  }

  close() {
    this.stop.abort();
    this.silence();
    this.changed = () => {};
    this.shifted = () => {};
  }
}

/** Every line of a run. */
export class WholeLog extends Source {
  /** @param {string} run */
  constructor(run) {
    super(run, {});
    /** @type {Map<number, (LogLine|undefined)[]>} by number, the ones that were used longest ago first */
    this.blocks = new Map();
    /** @type {Map<number, Promise<void>>} */
    this.reading = new Map();
    this.failedAt = 0;
  }

  /** @returns {number} */
  get count() {
    return this.last;
  }

  /** @param {number} row @returns {LogLine|undefined} */
  line(row) {
    return this.blocks.get(Math.floor(row / BLOCK))?.[row % BLOCK];
  }

  /** The row of a line. @param {number} seq */
  rowOf(seq) {
    return Math.min(Math.max(seq - 1, 0), Math.max(this.last - 1, 0));
  }

  /** Reads the newest lines, or those around one, and follows. @param {number|null} seq */
  async open(seq) {
    const page = await this.read(
      seq === null ? { before: Number.MAX_SAFE_INTEGER, limit: BLOCK } : { after: Math.max(0, seq - BLOCK / 2), limit: BLOCK },
    );
    if (!page) return false;
    this.take(page);
    this.opened = true;
    this.listen(page.last, (data) => this.keep(data.lines));
    return true;
  }

  /** @param {LogPage} page */
  take(page) {
    this.heard(page);
    this.keep(page.lines);
  }

  /** @param {LogLine[]} lines */
  keep(lines) {
    let at = -1;
    let block = /** @type {(LogLine|undefined)[]} */ ([]);
    for (const line of lines) {
      const number = Math.floor((line.seq - 1) / BLOCK);
      if (number !== at) {
        at = number;
        block = this.blocks.get(number) ?? [];
        this.blocks.delete(number);
        this.blocks.set(number, block);
      }
      block[(line.seq - 1) % BLOCK] = line;
    }
    for (const number of this.blocks.keys()) {
      if (this.blocks.size <= MOST_BLOCKS) break;
      this.blocks.delete(number);
    }
  }

  /** Reads what is missing of these rows. @param {number} from @param {number} to exclusive */
  want(from, to) {
    const end = Math.min(to, this.last);
    for (let number = Math.floor(from / BLOCK); number * BLOCK < end; number += 1) {
      const block = this.blocks.get(number);
      if (block) {
        this.blocks.delete(number);
        this.blocks.set(number, block);
      }
      const first = Math.max(from, number * BLOCK);
      const last = Math.min(end, (number + 1) * BLOCK);
      let missing = !block;
      for (let row = first; !missing && row < last; row += 1) missing = block?.[row % BLOCK] === undefined;
      if (missing && !this.reading.has(number) && Date.now() > this.failedAt + 1_000) {
        this.reading.set(
          number,
          this.readBlock(number).finally(() => this.reading.delete(number)),
        );
      }
    }
  }

  /** @param {number} number */
  async readBlock(number) {
    const block = this.blocks.get(number) ?? [];
    let [first, end] = [number * BLOCK, (number + 1) * BLOCK];
    // Part of it may have come over the stream.
    while (first < end && block[first % BLOCK]) first += 1;
    while (end > first && block[(end - 1) % BLOCK]) end -= 1;
    for (let after = first; after < Math.min(end, this.last); ) {
      const page = await this.read({ after, limit: end - after });
      if (!page) {
        this.failedAt = Date.now();
        if (!this.stop.signal.aborted) setTimeout(() => this.changed(), 1_100);
        return;
      }
      if (page.scanned <= after) return;
      after = page.scanned;
      this.take(page);
    }
  }

  /** @returns {number|null} */
  get searching() {
    return null;
  }
}

/** The lines of a run that match. */
export class FilteredLog extends Source {
  /**
   * @param {string} run
   * @param {Filter} filter
   */
  constructor(run, filter) {
    super(run, filter);
    /** @type {LogLine[]} */
    this.lines = [];
    /** Every line from here on, up to `to`, was looked at. */
    this.from = Number.MAX_SAFE_INTEGER;
    this.to = 0;
    this.reading = false;
    this.failedAt = 0;
  }

  get count() {
    return this.lines.length;
  }

  /** @param {number} row @returns {LogLine|undefined} */
  line(row) {
    return this.lines[row];
  }

  /** @param {number} seq */
  rowOf(seq) {
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.lines[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, Math.min(low, this.lines.length - 1));
  }

  /** @param {number|null} seq */
  async open(seq) {
    if (seq !== null) {
      this.from = seq;
      this.to = seq - 1;
      await this.forward();
      await this.backward();
    } else {
      const page = await this.read({ before: Number.MAX_SAFE_INTEGER, limit: STRETCH });
      if (!page) return false;
      this.heard(page);
      this.lines = page.lines;
      this.from = page.scanned;
      this.to = page.last;
      this.follow();
      // A rare text: the server stops after a while, and is asked to go on.
      while (this.lines.length < STRETCH && this.from > 1 && !this.stop.signal.aborted && (await this.backward()));
    }
    this.opened = true;
    this.changed();
    return true;
  }

  follow() {
    this.listen(this.to, (data) => {
      this.to = Math.max(this.to, data.scanned);
      this.lines.push(...data.lines);
      this.shed('start');
    });
  }

  /** Reads earlier lines; whether it got on. */
  async backward() {
    if (this.from <= 1) return false;
    const page = await this.read({ before: this.from, limit: STRETCH });
    if (!page || page.scanned >= this.from) return false;
    this.heard(page);
    this.from = page.scanned;
    if (page.lines.length > 0) {
      this.lines.unshift(...page.lines);
      this.shifted(page.lines.length);
      this.shed('end');
    }
    return true;
  }

  /** Reads later lines; whether it got on. */
  async forward() {
    const page = await this.read({ after: this.to, limit: STRETCH });
    if (!page) return false;
    this.heard(page);
    const onward = page.scanned > this.to;
    this.to = Math.max(this.to, page.scanned);
    this.lines.push(...page.lines);
    if (this.to >= page.last) this.follow();
    return onward;
  }

  /** Lets go of lines at one end where there are too many. @param {'start'|'end'} end */
  shed(end) {
    const spare = this.lines.length - MOST_MATCHES;
    if (spare <= 0) return;
    if (end === 'start') {
      this.lines.splice(0, spare);
      this.from = this.lines[0].seq;
      this.shifted(-spare);
    } else {
      this.lines.length = MOST_MATCHES;
      this.to = this.lines[MOST_MATCHES - 1].seq;
      this.silence();
    }
  }

  /** @param {number} from @param {number} to exclusive */
  want(from, to) {
    if (!this.opened || this.reading || Date.now() < this.failedAt + 1_000) return;
    const onward = to > this.lines.length - STRETCH / 4 && !this.unsubscribe && this.to < this.last;
    const back = from < STRETCH / 4 && this.from > 1;
    if (!onward && !back) return;
    this.reading = true;
    (onward ? this.forward() : this.backward()).then((got) => {
      this.reading = false;
      if (!got) this.failedAt = Date.now();
      this.changed();
    });
  }

  /** How much of the log was looked through, from 0 to 1, while that is going on. @returns {number|null} */
  get searching() {
    if (this.opened || this.last === 0) return null;
    return 1 - this.from / (this.last + 1);
  }
}
