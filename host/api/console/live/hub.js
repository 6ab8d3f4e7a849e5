// The one stream of a browser. All tabs subscribe here; what they want together is asked for in one request to /api/v1/watch.
//
// A subscription to a log is a cursor. The stream begins at the least cursor of a log's subscribers, and each gets what is after
// its own: so nothing is lost and nothing comes twice, however often the stream is opened anew.

/**
 * @typedef {{kind: 'statistics'} | {kind: 'runs'} | {kind: 'hooks'} | {kind: 'plugin-uploads'} | {kind: 'run', run: string} | LogTopic} Topic
 * @typedef {{kind: 'log', run: string, after: number, level?: string, step?: string, task?: string, contains?: string, cut?: number}} LogTopic
 * @typedef {{post: (message: any) => void}} Port
 * @typedef {{port: Port, id: number, topic: Topic, key: string, after: number}} Subscriber
 * @typedef {{state: 'connecting'|'open'|'lost'|'denied', since: number, opened: number, tabs: number, reason?: string, retryAt?: number}} Status
 */

/** Changes of what is wanted are gathered for so long before the stream is opened anew, in milliseconds. */
const GATHER = 8;
/** The first and the longest pause before another attempt, in milliseconds. */
const FIRST_PAUSE = 300;
const LONGEST_PAUSE = 5_000;
/** A stream that says nothing for so long is taken for lost; the server's heartbeat comes every 15 s. */
const SILENCE = 40_000;
/** The most that one message of the stream may grow to, in characters. */
const LONGEST_MESSAGE = 64 << 20;

export class Hub {
  /** @param {string} token */
  constructor(token) {
    this.token = token;
    /** @type {Map<string, Subscriber>} by port and id */
    this.subscribers = new Map();
    /** @type {Map<Port, number>} */
    this.ports = new Map();
    this.nextPort = 1;
    /** @type {Map<string, any>} what was said last of topics that replace what they said before */
    this.latest = new Map();
    /** @type {number|null} */
    this.runsAfter = null;
    /** @type {AbortController|null} */
    this.stream = null;
    this.wanted = '';
    this.pause = FIRST_PAUSE;
    this.timer = 0;
    this.retry = 0;
    /** @type {Map<string, string>} the stream's names of logs */
    this.names = new Map();
    this.opened = 0;
    /** @type {Status} */
    this.status = { state: 'connecting', since: Date.now(), opened: 0, tabs: 0 };
  }

  /** @param {Port} port */
  attach(port) {
    this.ports.set(port, this.nextPort++);
    this.say({});
  }

  /** @param {Port} port */
  detach(port) {
    const number = this.ports.get(port);
    this.ports.delete(port);
    for (const [name, subscriber] of this.subscribers) if (subscriber.port === port) this.subscribers.delete(name);
    if (number !== undefined) this.say({});
    this.arrange();
  }

  /**
   * @param {Port} port
   * @param {{type: string, id?: number, topic?: Topic}} message
   */
  receive(port, message) {
    const name = `${this.ports.get(port)}:${message.id}`;
    if (message.type === 'subscribe' && message.topic && message.id !== undefined) {
      const topic = message.topic;
      const key = keyOf(topic);
      const after = topic.kind === 'log' ? topic.after : 0;
      this.subscribers.set(name, { port, id: message.id, topic, key, after });
      const latest = this.latest.get(key);
      if (latest) port.post({ type: 'event', id: message.id, data: latest });
      // A log is asked for anew: the newcomer may want lines that have passed already.
      if (topic.kind === 'log') this.wanted = '';
      this.arrange();
    } else if (message.type === 'unsubscribe') {
      this.subscribers.delete(name);
      this.arrange();
    } else if (message.type === 'retry') {
      this.pause = FIRST_PAUSE;
      this.open();
    } else if (message.type === 'bye') {
      this.detach(port);
    }
  }

  /** Opens the stream anew if what is wanted is not what it gives. */
  arrange() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const keys = new Set([...this.subscribers.values()].map((subscriber) => subscriber.key));
      for (const key of this.latest.keys()) if (!keys.has(key)) this.latest.delete(key);
      if (!keys.has('runs')) this.runsAfter = null;
      const wanted = [...keys].sort().join('\n');
      if (wanted !== this.wanted || (!this.stream && wanted)) {
        this.wanted = wanted;
        this.open();
      }
    }, GATHER);
  }

  /** What the stream is asked for. */
  request() {
    /** @type {{statistics: boolean, runs: any, hooks: boolean, plugin_uploads: boolean, run: string[], logs: any[]}} */
    const body = { statistics: false, runs: null, hooks: false, plugin_uploads: false, run: [], logs: [] };
    /** @type {Map<string, {topic: LogTopic, after: number}>} */
    const logs = new Map();
    const runs = new Set();
    for (const { topic, key, after } of this.subscribers.values()) {
      if (topic.kind === 'statistics') body.statistics = true;
      if (topic.kind === 'runs') body.runs = this.runsAfter === null ? {} : { after: this.runsAfter };
      if (topic.kind === 'hooks') body.hooks = true;
      if (topic.kind === 'plugin-uploads') body.plugin_uploads = true;
      if (topic.kind === 'run') runs.add(topic.run);
      if (topic.kind === 'log') {
        const known = logs.get(key);
        logs.set(key, { topic, after: Math.min(after, known?.after ?? after) });
      }
    }
    body.run = [...runs].slice(-16);
    this.names = new Map([...logs.keys()].map((key, index) => [`log-${index}`, key]));
    const entries = [...logs.values()].map(({ topic, after }, index) => {
      const { kind: _, ...rest } = topic;
      return { ...rest, after, key: `log-${index}` };
    });
    body.logs = entries.slice(-16);
    return body;
  }

  /** @param {Partial<Status>} change */
  say(change) {
    const since = change.state && change.state !== this.status.state ? Date.now() : this.status.since;
    this.status = {
      ...this.status,
      reason: undefined,
      retryAt: undefined,
      ...change,
      since,
      opened: this.opened,
      tabs: this.ports.size,
    };
    for (const port of this.ports.keys()) port.post({ type: 'status', status: this.status });
  }

  async open() {
    clearTimeout(this.retry);
    this.stream?.abort();
    this.stream = null;
    if (this.subscribers.size === 0) return;
    const stream = new AbortController();
    this.stream = stream;
    if (this.status.state !== 'open') this.say({ state: 'connecting' });
    let reason = 'the server ended the stream';
    try {
      const response = await fetch('/api/v1/watch', {
        method: 'POST',
        body: JSON.stringify(this.request()),
        cache: 'no-store',
        signal: stream.signal,
        headers: {
          accept: 'text/event-stream',
          'content-type': 'application/json',
          ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
        },
      });
      if (!response.ok || !response.body) {
        const problem = await response.json().catch(() => ({}));
        if (response.status === 401) {
          this.stream = null;
          this.say({ state: 'denied', reason: problem.detail });
          return;
        }
        throw new Error(problem.detail ?? `the server answered ${response.status}`);
      }
      this.opened += 1;
      this.pause = FIRST_PAUSE;
      this.say({ state: 'open' });
      await this.read(response.body, stream);
    } catch (error) {
      if (stream.signal.aborted && stream.signal.reason !== 'silence') return;
      reason = error instanceof Error ? error.message : String(error);
    }
    if (this.stream !== stream) return;
    this.stream = null;
    this.pause = Math.min(this.pause * 1.7, LONGEST_PAUSE);
    const wait = this.pause * (0.75 + Math.random() / 2);
    this.say({ state: 'lost', reason, retryAt: Date.now() + wait });
    this.retry = setTimeout(() => this.open(), wait);
  }

  /**
   * @param {ReadableStream<Uint8Array>} body
   * @param {AbortController} stream
   */
  async read(body, stream) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
      const silence = setTimeout(() => stream.abort('silence'), SILENCE);
      const { done, value } = await reader.read();
      clearTimeout(silence);
      if (done) return;
      if (this.stream !== stream) return;
      text += decoder.decode(value, { stream: true });
      let from = 0;
      for (let end = text.indexOf('\n\n', from); end >= 0; end = text.indexOf('\n\n', from)) {
        const message = text.slice(from, end);
        from = end + 2;
        const data = message.indexOf('data: ');
        if (data >= 0) this.deliver(JSON.parse(message.slice(data + 6)));
      }
      text = text.slice(from);
      if (text.length > LONGEST_MESSAGE) throw new Error('a message of the stream is too long');
    }
  }

  /** @param {any} data */
  deliver(data) {
    let key = data.kind;
    if (data.kind === 'run') key = `run ${data.id}`;
    if (data.kind === 'runs') this.runsAfter = data.after;
    if (data.kind === 'gone') {
      for (const { port, id, topic } of this.subscribers.values()) {
        if ('run' in topic && topic.run === data.run) port.post({ type: 'event', id, data });
      }
      return;
    }
    if (data.kind === 'log') {
      key = this.names.get(data.key);
      for (const subscriber of this.subscribers.values()) {
        if (subscriber.key !== key) continue;
        const { after } = subscriber;
        const first = data.lines[0]?.seq ?? 0;
        const lines = first > after ? data.lines : data.lines.filter((/** @type {{seq: number}} */ line) => line.seq > after);
        subscriber.after = Math.max(after, data.scanned);
        subscriber.port.post({ type: 'event', id: subscriber.id, data: { ...data, lines } });
      }
      return;
    }
    if (data.kind !== 'runs') this.latest.set(key, data);
    for (const { port, id, key: wanted } of this.subscribers.values()) {
      if (wanted === key) port.post({ type: 'event', id, data });
    }
  }
}

/** @param {Topic} topic */
function keyOf(topic) {
  if (topic.kind === 'run') return `run ${topic.run}`;
  if (topic.kind !== 'log') return topic.kind;
  const { after: _, ...rest } = topic;
  return `log ${JSON.stringify(rest, Object.keys(rest).sort())}`;
}
