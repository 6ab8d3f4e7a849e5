// Rows of which only those in sight are in the document, however many there are.
//
// Where we are is a row and pixels into it, never the browser's scroll offset: no browser has elements that are a billion pixels
// high, and wrapped rows differ in height. The scroll offset is an instrument: small moves of it are taken as they are, large ones
// (the scroll bar was dragged) as a share of the whole, and when it rests it is put where it belongs.

/** The greatest height of the scrolled element, in pixels: every browser bears it. */
const TALLEST = 4_000_000;
/** Rows beyond the edges that are in the document. */
const BEYOND = 3;
/** After so many milliseconds of rest the scroll offset is put where it belongs. */
const REST = 140;
/** So long after a wheel or a finger moved, in milliseconds, a move is taken as it is. */
const WHEEL = 300;
/** The pause between two drawings of an end that moves on by more than is in sight: nobody reads it, and frames are for other things. */
const RUSH = 50;
/** So long after the reader did something, in milliseconds, what scrolls is scrolled by the reader. */
const TOUCH = 1_000;

/**
 * @typedef {object} Rows
 * @property {number} count
 * @property {(row: number) => unknown} line undefined where it is not there yet
 * @property {(from: number, to: number) => void} want
 */

export class Viewport {
  /**
   * @param {HTMLElement} scroller
   * @param {object} options
   * @param {Rows} options.rows
   * @param {(element: HTMLElement, line: any, row: number) => void} options.paint
   * @param {number} options.rowHeight
   * @param {(by: 'user'|'code') => void} options.moved
   */
  constructor(scroller, { rows, paint, rowHeight, moved }) {
    this.scroller = scroller;
    this.rows = rows;
    this.paint = paint;
    this.rowHeight = rowHeight;
    this.moved = moved;
    this.wrap = false;
    /** Whether the end stays in sight. */
    this.follow = false;
    this.row = 0;
    this.into = 0;
    this.offset = 0;
    /** The row that was gone to: it stays in sight when the height changes, until somebody scrolls. @type {number|null} */
    this.pinned = null;
    /** Changes when everything is to be painted anew. */
    this.edition = 0;
    /** The height of what is seen, in pixels. */
    this.height = 1;
    this.spacer = document.createElement('div');
    this.spacer.className = 'rows-spacer';
    this.layer = document.createElement('div');
    this.layer.className = 'rows';
    this.spacer.append(this.layer);
    scroller.replaceChildren(this.spacer);
    /** @type {Map<number, HTMLElement>} */
    this.shown = new Map();
    /** @type {HTMLElement[]} */
    this.spare = [];
    this.frame = 0;
    this.rest = 0;
    this.later = 0;
    this.drawn = 0;
    /** When it was drawn last, and how many rows there were. */
    this.drawnAt = Number.NEGATIVE_INFINITY;
    this.drawnCount = 0;
    this.onscroll = () => this.scrolled();
    scroller.addEventListener('scroll', this.onscroll, { passive: true });
    this.wheeled = Number.NEGATIVE_INFINITY;
    this.touched = Number.NEGATIVE_INFINITY;
    this.held = false;
    this.listening = new AbortController();
    const passive = { passive: true, signal: this.listening.signal };
    for (const name of ['wheel', 'touchmove']) {
      scroller.addEventListener(
        name,
        () => {
          this.wheeled = this.touched = performance.now();
        },
        passive,
      );
    }
    scroller.addEventListener(
      'keydown',
      () => {
        this.touched = performance.now();
      },
      passive,
    );
    for (const [target, name, held] of /** @type {const} */ ([
      [scroller, 'pointerdown', true],
      [window, 'pointerup', false],
    ])) {
      target.addEventListener(
        name,
        () => {
          this.held = held;
          this.touched = performance.now();
        },
        passive,
      );
    }
    this.resizes = new ResizeObserver(() => {
      this.measure();
      if (this.pinned !== null && !this.inSight(this.pinned)) this.jump(this.pinned);
      else this.draw();
    });
    this.resizes.observe(scroller);
    this.measure();
  }

  measure() {
    this.height = this.scroller.clientHeight || 1;
  }

  close() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    clearTimeout(this.later);
    this.resizes.disconnect();
    this.scroller.removeEventListener('scroll', this.onscroll);
    this.listening.abort();
  }

  /** The height that all rows would have, were none wrapped. */
  get whole() {
    return this.rows.count * this.rowHeight;
  }

  get tall() {
    return Math.min(this.whole, TALLEST);
  }

  /** Whether the scroll offset is exactly where we are. */
  /** @returns {boolean} */
  get exact() {
    return !this.wrap && this.whole <= TALLEST;
  }

  /** @returns {boolean} */
  get atEnd() {
    if (this.rows.count === 0) return true;
    if (!this.wrap) return this.row * this.rowHeight + this.into + this.height >= this.whole - 2;
    const last = this.shown.get(this.rows.count - 1);
    return last !== undefined && last.offsetTop + last.offsetHeight - this.into <= this.height + 2;
  }

  /** Something changed: draws with the next frame, or a little later where the end rushes by. */
  refresh() {
    if (this.frame || this.later) return;
    const rushes = this.follow && (this.rows.count - this.drawnCount) * this.rowHeight > this.height;
    const wait = rushes ? this.drawnAt + RUSH - performance.now() : 0;
    if (wait > 0) {
      this.later = setTimeout(() => {
        this.later = 0;
        this.refresh();
      }, wait);
      return;
    }
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  /** Everything looks different now. */
  repaint() {
    this.edition += 1;
    this.refresh();
  }

  /** Rows came before all others; what is in sight stays in sight. @param {number} rows */
  shift(rows) {
    this.row = Math.max(0, this.row + rows);
    const moved = new Map();
    for (const [row, element] of this.shown) moved.set(row + rows, element);
    this.shown = moved;
    this.synchronize();
  }

  /** Whether it is the reader who scrolls now. */
  isUsers() {
    return this.held || performance.now() < this.touched + TOUCH;
  }

  /** Whether a row is seen as a whole. @param {number} row */
  inSight(row) {
    if (!this.wrap) {
      const top = (row - this.row) * this.rowHeight - this.into;
      return top >= 0 && top + this.rowHeight <= this.height;
    }
    const element = this.shown.get(row);
    return (
      element !== undefined &&
      element.offsetTop >= this.into &&
      element.offsetTop + element.offsetHeight - this.into <= this.height
    );
  }

  scrolled() {
    const at = this.scroller.scrollTop;
    const by = at - this.offset;
    if (Math.abs(by) < 1) return;
    this.offset = at;
    if (this.isUsers()) this.pinned = null;
    if (this.exact) {
      this.row = Math.floor(at / this.rowHeight);
      this.into = at - this.row * this.rowHeight;
    } else if (Math.abs(by) < this.height * (performance.now() < this.wheeled + WHEEL ? 20 : 1.5)) {
      this.moveBy(by);
      if (at <= 0 && (this.row > 0 || this.into > 0)) this.synchronize();
    } else {
      const share = at / Math.max(1, this.tall - this.height);
      const top = share * Math.max(0, this.whole - this.height);
      this.row = Math.floor(top / this.rowHeight);
      this.into = this.wrap ? 0 : top - this.row * this.rowHeight;
      if (share >= 0.9999) this.row = this.rows.count;
    }
    if (by < 0 && this.follow) {
      if (!this.isUsers()) {
        // The browser moved it, because the height changed.
        this.refresh();
        return;
      }
      this.follow = false;
    }
    this.draw();
    if (by > 0 && this.atEnd) this.follow = true;
    this.moved('user');
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.synchronize(), REST);
  }

  /** @param {number} pixels */
  moveBy(pixels) {
    this.into += pixels;
    while (this.into < 0 && this.row > 0) {
      this.row -= 1;
      this.into += this.heightOf(this.row);
    }
    while (this.row < this.rows.count - 1 && this.into >= this.heightOf(this.row)) {
      this.into -= this.heightOf(this.row);
      this.row += 1;
    }
    if (this.into < 0) this.into = 0;
  }

  /** @param {number} row */
  heightOf(row) {
    return this.wrap ? (this.shown.get(row)?.offsetHeight ?? this.rowHeight) : this.rowHeight;
  }

  /** Puts the scroll offset where it belongs. */
  synchronize() {
    const top = this.row * this.rowHeight + (this.wrap ? 0 : this.into);
    let offset = top;
    if (!this.exact) offset = (top / Math.max(1, this.whole - this.height)) * (this.tall - this.height);
    if (this.atEnd) offset = this.tall;
    this.setOffset(offset);
  }

  /** @param {number} offset */
  setOffset(offset) {
    const bounded = Math.max(0, Math.min(offset, this.tall - this.height));
    if (Math.abs(this.offset - bounded) < 0.6) return;
    // Not read back: that would lay everything out once more with each frame. What the browser rounds is less than a pixel.
    this.scroller.scrollTop = bounded;
    this.offset = bounded;
  }

  /** Goes to a row and shows it at a share of the height. @param {number} row @param {number} [share] */
  jump(row, share = 0.3) {
    this.follow = false;
    this.pinned = share > 0 ? row : null;
    this.measure();
    this.row = Math.max(0, Math.min(row, this.rows.count - 1));
    this.into = 0;
    if (share > 0) this.moveBy(-Math.floor((this.height * share) / this.rowHeight) * this.rowHeight);
    this.draw();
    this.synchronize();
    this.moved('code');
  }

  /** Goes to the end and stays there. */
  toEnd() {
    this.follow = true;
    this.pinned = null;
    this.measure();
    this.draw();
    this.synchronize();
    this.moved('code');
  }

  /** Moves by whole rows, as keys do. @param {number} rows */
  step(rows) {
    if (rows < 0) this.follow = false;
    this.pinned = null;
    this.moveBy(rows * this.rowHeight);
    this.draw();
    this.synchronize();
    if (rows > 0 && this.atEnd) this.follow = true;
    this.moved('user');
  }

  draw() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.later);
    this.frame = 0;
    this.later = 0;
    this.drawn += 1;
    const { count } = this.rows;
    this.drawnAt = performance.now();
    this.drawnCount = count;
    const spacer = `${Math.max(this.tall, 0)}px`;
    if (this.spacer.style.height !== spacer) this.spacer.style.height = spacer;
    const fits = Math.ceil(this.height / this.rowHeight) + BEYOND;
    const lastTop = Math.max(0, this.whole - this.height);
    if (!this.wrap) {
      if (this.follow || this.row * this.rowHeight + this.into > lastTop) {
        this.row = Math.floor(lastTop / this.rowHeight);
        this.into = lastTop - this.row * this.rowHeight;
      }
      this.show(this.row, Math.min(count, this.row + fits));
    } else {
      if (this.row >= count) this.row = Math.max(0, count - 1);
      let end = this.follow;
      if (!end) {
        this.show(this.row, Math.min(count, this.row + fits));
        end = this.row + fits >= count && this.layer.scrollHeight - this.into < this.height && this.row > 0;
      }
      if (end) this.alignEnd(fits);
    }
    this.layer.style.transform = `translateY(${-this.into}px)`;
    if (this.follow) this.setOffset(this.tall);
    this.rows.want(Math.max(0, this.row - BEYOND), Math.min(count, this.row + fits + BEYOND));
  }

  /** Wrapped rows, the last one at the lower edge. @param {number} fits */
  alignEnd(fits) {
    const { count } = this.rows;
    const first = Math.max(0, count - fits);
    this.show(first, count);
    let over = this.layer.offsetHeight - this.height;
    this.row = first;
    this.into = 0;
    while (over > 0 && this.row < count - 1) {
      const height = this.heightOf(this.row);
      if (height > over) break;
      over -= height;
      this.row += 1;
    }
    this.into = Math.max(0, over);
    this.show(this.row, count);
  }

  /** Puts rows into the document. @param {number} from @param {number} to exclusive */
  show(from, to) {
    const shown = new Map();
    for (const [row, element] of this.shown) {
      if (row < from || row >= to) this.spare.push(element);
      else shown.set(row, element);
    }
    /** @type {ChildNode|null} */
    let next = this.layer.firstChild;
    for (let row = from; row < to; row += 1) {
      const line = this.rows.line(row);
      const element = /** @type {HTMLElement & {line?: unknown, edition?: number}} */ (
        shown.get(row) ?? this.spare.pop() ?? document.createElement('div')
      );
      shown.set(row, element);
      if (element.line !== line || element.edition !== this.edition || line === undefined) {
        this.paint(element, line, row);
        element.line = line;
        element.edition = this.edition;
      }
      if (element === next) next = next.nextSibling;
      else this.layer.insertBefore(element, next);
    }
    for (const element of this.spare) element.remove();
    this.spare.length = Math.min(this.spare.length, 20);
    this.shown = shown;
  }
}
