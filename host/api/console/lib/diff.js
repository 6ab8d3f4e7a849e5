// What differs between two texts, line by line: the shortest way from one to the other (Myers' O(ND) algorithm).

/** @typedef {{kind: 'same'|'added'|'removed', text: string, before: number|null, after: number|null}} Line numbers from 1 */

/** Beyond so many differences everything between the first and the last is shown as replaced. */
const MOST = 4_000;

/**
 * @param {string} before
 * @param {string} after
 * @returns {Line[]}
 */
export function diff(before, after) {
  const [a, b] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [from, to] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  /** @type {Line[]} */
  const lines = [];
  let [x, y] = [0, 0];
  const say = (/** @type {Line['kind']} */ kind) => {
    const text = kind === 'added' ? b[y] : a[x];
    lines.push({ kind, text, before: kind === 'added' ? null : x + 1, after: kind === 'removed' ? null : y + 1 });
    if (kind !== 'added') x += 1;
    if (kind !== 'removed') y += 1;
  };
  for (let at = 0; at < start; at += 1) say('same');
  for (const kind of script(from, to)) say(kind);
  for (let at = 0; at < end; at += 1) say('same');
  return lines;
}

/** @param {string[]} a @param {string[]} b @returns {Line['kind'][]} */
function script(a, b) {
  const most = a.length + b.length;
  /** The furthest that each diagonal reaches. */
  let reach = new Map([[1, 0]]);
  /** @type {Map<number, number>[]} */
  const trace = [];
  for (let depth = 0; depth <= Math.min(most, MOST); depth += 1) {
    trace.push(new Map(reach));
    for (let diagonal = -depth; diagonal <= depth; diagonal += 2) {
      const down =
        diagonal === -depth || (diagonal !== depth && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1));
      let x = down ? (reach.get(diagonal + 1) ?? 0) : (reach.get(diagonal - 1) ?? 0) + 1;
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x += 1;
      reach.set(diagonal, x);
      if (x >= a.length && x - diagonal >= b.length) return back(a, b, trace);
    }
  }
  reach = new Map();
  return [...a.map(() => /** @type {const} */ ('removed')), ...b.map(() => /** @type {const} */ ('added'))];
}

/** The way back through what was reached. @param {string[]} a @param {string[]} b @param {Map<number, number>[]} trace @returns {Line['kind'][]} */
function back(a, b, trace) {
  /** @type {Line['kind'][]} */
  const kinds = [];
  let [x, y] = [a.length, b.length];
  for (let depth = trace.length - 1; depth >= 0; depth -= 1) {
    const reach = trace[depth];
    const diagonal = x - y;
    const down = diagonal === -depth || (diagonal !== depth && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1));
    const before = down ? diagonal + 1 : diagonal - 1;
    const fromX = depth === 0 ? 0 : (reach.get(before) ?? 0);
    const fromY = depth === 0 ? 0 : fromX - before;
    while (x > fromX && y > fromY) {
      kinds.push('same');
      x -= 1;
      y -= 1;
    }
    if (depth > 0) {
      kinds.push(down ? 'added' : 'removed');
      [x, y] = [fromX, fromY];
    }
  }
  return kinds.reverse();
}
