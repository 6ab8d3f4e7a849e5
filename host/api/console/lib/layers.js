// Where the nodes of a graph without cycles stand: in layers from left to right, each behind all that it depends on, with as few crossings
// as a few sweeps find (Sugiyama's way). Edges that pass through layers get places there, so that they go around nodes.

/** @typedef {{name: string, depends: string[]}} Node */
/** @typedef {{name: string, layer: number, slot: number, x: number, y: number}} Placed */
/** @typedef {{from: string, to: string, path: string}} Edge */

/** Sweeps over all layers, there and back. */
const SWEEPS = 6;

/**
 * @param {Node[]} nodes in any order; what depends on something that is not among them does not wait for it
 * @param {{width: number, height: number, across: number, down: number}} sizes of a node, and of the room between two
 * @returns {{nodes: Placed[], edges: Edge[], width: number, height: number, layers: string[][]}}
 */
export function layered(nodes, { width, height, across, down }) {
  const known = new Map(nodes.map((node) => [node.name, node]));
  /** @type {Map<string, number>} */
  const depth = new Map();
  // Deep graphs need no deep stack: what waits for others is looked at again when those are known.
  const open = nodes.map((node) => node.name);
  while (open.length > 0) {
    const name = /** @type {string} */ (open.at(-1));
    const before = (known.get(name)?.depends ?? []).filter((on) => known.has(on));
    const missing = before.filter((on) => !depth.has(on));
    if (missing.length > 0 && !depth.has(name) && open.length <= nodes.length * nodes.length) {
      open.push(...missing);
      continue;
    }
    if (!depth.has(name)) depth.set(name, Math.max(-1, ...before.map((on) => depth.get(on) ?? 0)) + 1);
    open.pop();
  }

  // Each layer holds nodes, and the places through which longer edges pass.
  /** @typedef {{name: string, layer: number, before: Place[], after: Place[], order: number, y: number, real: boolean}} Place */
  /** @type {Place[][]} */
  const layers = [];
  const place = (/** @type {string} */ name, /** @type {number} */ layer, /** @type {boolean} */ real) => {
    layers[layer] ??= [];
    /** @type {Place} */
    const made = { name, layer, before: [], after: [], order: layers[layer].length, y: 0, real };
    layers[layer].push(made);
    return made;
  };
  const places = new Map(nodes.map((node) => [node.name, place(node.name, depth.get(node.name) ?? 0, true)]));
  const link = (/** @type {Place} */ from, /** @type {Place} */ to) => {
    from.after.push(to);
    to.before.push(from);
  };
  /** @type {{from: string, to: string, way: Place[]}[]} */
  const ways = [];
  for (const node of nodes) {
    for (const on of node.depends) {
      const [from, to] = [places.get(on), places.get(node.name)];
      if (!from || !to) continue;
      const way = [from];
      for (let layer = from.layer + 1; layer < to.layer; layer += 1) way.push(place('', layer, false));
      way.push(to);
      for (let at = 1; at < way.length; at += 1) link(way[at - 1], way[at]);
      ways.push({ from: on, to: node.name, way });
    }
  }

  // The order in each layer: by the middle of what it is linked with in the layer before, and then after.
  const middle = (/** @type {Place[]} */ of, /** @type {number} */ otherwise) =>
    of.length > 0 ? of.reduce((sum, one) => sum + one.order, 0) / of.length : otherwise;
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forward = sweep % 2 === 0;
    for (const layer of forward ? layers : [...layers].reverse()) {
      const wanted = new Map(layer.map((one) => [one, middle(forward ? one.before : one.after, one.order)]));
      layer.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
      layer.forEach((one, order) => {
        one.order = order;
      });
    }
  }

  // Heights: as near to its links as its neighbours in the layer allow.
  const apart = (/** @type {Place} */ above, /** @type {Place} */ below) =>
    (above.real ? height / 2 : 6) + (below.real ? height / 2 : 6) + (above.real || below.real ? down : 8);
  const spread = (/** @type {Place[]} */ layer, /** @type {number[]} */ wanted) => {
    /** @type {number[]} */
    const down_ = [];
    layer.forEach((one, at) => {
      down_[at] = at === 0 ? wanted[0] : Math.max(wanted[at], down_[at - 1] + apart(layer[at - 1], one));
    });
    /** @type {number[]} */
    const up = [];
    for (let at = layer.length - 1; at >= 0; at -= 1) {
      up[at] = at === layer.length - 1 ? wanted[at] : Math.min(wanted[at], up[at + 1] - apart(layer[at], layer[at + 1]));
    }
    // The middle of both keeps the distances that both keep.
    layer.forEach((one, at) => {
      one.y = (down_[at] + up[at]) / 2;
    });
  };
  for (const layer of layers) {
    spread(
      layer,
      layer.map(() => 0),
    );
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forward = sweep % 2 === 0;
    for (const layer of forward ? layers.slice(1) : layers.slice(0, -1).reverse()) {
      spread(
        layer,
        layer.map((one) => {
          const of = forward ? one.before : one.after;
          return of.length > 0 ? of.reduce((sum, other) => sum + other.y, 0) / of.length : one.y;
        }),
      );
    }
  }
  const top = Math.min(...layers.flat().map((one) => one.y - (one.real ? height / 2 : 6)), 0);
  const bottom = Math.max(...layers.flat().map((one) => one.y + (one.real ? height / 2 : 6)), height);
  const x = (/** @type {number} */ layer) => layer * (width + across);

  const edges = ways.map(({ from, to, way }) => {
    const points = way.map((one, at) => {
      const y = one.y - top;
      if (at === 0) return [[x(one.layer) + width, y]];
      if (at === way.length - 1) return [[x(one.layer), y]];
      return [
        [x(one.layer), y],
        [x(one.layer) + width, y],
      ];
    });
    const [start, ...rest] = points.flat();
    let path = `M${round(start[0])} ${round(start[1])}`;
    let last = start;
    for (const point of rest) {
      const bend = (point[0] - last[0]) / 2;
      path +=
        point[1] === last[1]
          ? `L${round(point[0])} ${round(point[1])}`
          : `C${round(last[0] + bend)} ${round(last[1])} ${round(point[0] - bend)} ${round(point[1])} ${round(point[0])} ${round(point[1])}`;
      last = point;
    }
    return { from, to, path };
  });
  const real = layers.map((layer) => layer.filter((one) => one.real));
  return {
    nodes: real.flatMap((layer) =>
      layer.map((one, slot) => ({ name: one.name, layer: one.layer, slot, x: x(one.layer), y: one.y - top - height / 2 })),
    ),
    edges,
    width: x(layers.length - 1) + width,
    height: bottom - top,
    layers: real.map((layer) => layer.map((one) => one.name)),
  };
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;
