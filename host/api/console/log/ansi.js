// A line's text as safe pieces: what ANSI says of colours becomes classes, and everything else that a terminal or a browser would
// obey is shown instead. Nothing here makes markup.

/** @typedef {{text: string, classes: string, colour?: string, ground?: string}} Piece */

// These characters are what is looked for.
const SPECIAL =
  /\x1b\[([0-9;:]*)([A-Za-z])|[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

/** Names of characters that would change how the rest reads. @type {Record<number, string>} */
const NAMES = {
  1564: 'ALM',
  8203: 'ZWSP',
  8204: 'ZWNJ',
  8205: 'ZWJ',
  8206: 'LRM',
  8207: 'RLM',
  8232: 'LS',
  8233: 'PS',
  8234: 'LRE',
  8235: 'RLE',
  8236: 'PDF',
  8237: 'LRO',
  8238: 'RLO',
  8239: 'NNBSP',
  8294: 'LRI',
  8295: 'RLI',
  8296: 'FSI',
  8297: 'PDI',
  65279: 'BOM',
};

/** A character as something that can be seen. @param {number} code */
function visible(code) {
  if (code === 0x0a) return '⏎';
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return '␡';
  return `⟨${NAMES[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, '0')}`}⟩`;
}

/** The 6×6×6 cube and the greys of 256 colours. @param {number} index */
function indexed(index) {
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const level = (/** @type {number} */ part) => (part === 0 ? 0 : 55 + part * 40);
  const cube = index - 16;
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`;
}

/** What is switched on. */
class Style {
  bold = false;
  dim = false;
  italic = false;
  underline = false;
  strike = false;
  inverse = false;
  /** @type {string} */ fore = '';
  /** @type {string} */ back = '';

  /** @param {number[]} codes */
  apply(codes) {
    for (let at = 0; at < codes.length; at += 1) {
      const code = codes[at];
      if (code === 0) Object.assign(this, new Style());
      else if (code === 1) this.bold = true;
      else if (code === 2) this.dim = true;
      else if (code === 3) this.italic = true;
      else if (code === 4) this.underline = true;
      else if (code === 7) this.inverse = true;
      else if (code === 9) this.strike = true;
      else if (code === 22) this.bold = this.dim = false;
      else if (code === 23) this.italic = false;
      else if (code === 24) this.underline = false;
      else if (code === 27) this.inverse = false;
      else if (code === 29) this.strike = false;
      else if (code >= 30 && code <= 37) this.fore = `c${code - 30}`;
      else if (code >= 90 && code <= 97) this.fore = `c${code - 90 + 8}`;
      else if (code >= 40 && code <= 47) this.back = `c${code - 40}`;
      else if (code >= 100 && code <= 107) this.back = `c${code - 100 + 8}`;
      else if (code === 39) this.fore = '';
      else if (code === 49) this.back = '';
      else if (code === 38 || code === 48) {
        let colour = '';
        if (codes[at + 1] === 5) {
          const index = Math.min(codes[at + 2] ?? 0, 255);
          colour = index < 16 ? `c${index}` : indexed(index);
          at += 2;
        } else if (codes[at + 1] === 2) {
          const [red, green, blue] = codes.slice(at + 2, at + 5).map((part) => Math.min(part, 255));
          colour = `rgb(${red ?? 0} ${green ?? 0} ${blue ?? 0})`;
          at += 4;
        }
        if (code === 38) this.fore = colour;
        else this.back = colour;
      }
    }
  }

  /** @param {string} text @returns {Piece} */
  piece(text) {
    const fore = this.inverse ? this.back : this.fore;
    const back = this.inverse ? this.fore : this.back;
    const classes = [
      this.bold && 'a-bold',
      this.dim && 'a-dim',
      this.italic && 'a-italic',
      this.underline && 'a-under',
      this.strike && 'a-strike',
      this.inverse && !fore && !back && 'a-inverse',
      fore.startsWith('c') && `a-f${fore.slice(1)}`,
      back.startsWith('c') && `a-b${back.slice(1)}`,
    ].filter(Boolean);
    return {
      text,
      classes: classes.join(' '),
      colour: fore.startsWith('rgb') ? fore : undefined,
      ground: back.startsWith('rgb') ? back : undefined,
    };
  }
}

/**
 * @param {string} text
 * @returns {Piece[]}
 */
export function pieces(text) {
  SPECIAL.lastIndex = 0;
  if (!SPECIAL.test(text)) return text ? [{ text, classes: '' }] : [];
  /** @type {Piece[]} */
  const out = [];
  const style = new Style();
  let from = 0;
  SPECIAL.lastIndex = 0;
  for (const match of text.matchAll(SPECIAL)) {
    if (match.index > from) out.push(style.piece(text.slice(from, match.index)));
    from = match.index + match[0].length;
    if (match[2] === 'm') style.apply(match[1].split(/[;:]/).map(Number));
    else if (match[2]) out.push({ text: `␛${match[0].slice(1)}`, classes: 'a-control' });
    else out.push({ text: visible(match[0].codePointAt(0) ?? 0), classes: 'a-control' });
  }
  if (from < text.length) out.push(style.piece(text.slice(from)));
  return out;
}

/**
 * Fills an element with a text, marking what was searched for.
 * @param {HTMLElement} element
 * @param {string} text
 * @param {string} [mark]
 */
export function fill(element, text, mark) {
  const nodes = pieces(text).flatMap((piece) => {
    const parts = mark ? marked(piece.text, mark) : [piece.text];
    return parts.map((part, index) => {
      if (!piece.classes && !piece.colour && !piece.ground && index % 2 === 0) return document.createTextNode(part);
      const span = document.createElement(index % 2 ? 'mark' : 'span');
      span.className = piece.classes;
      // With the page's own text in it, any colour can be read on any theme.
      if (piece.colour) span.style.color = `color-mix(in srgb, ${piece.colour} 50%, var(--text))`;
      if (piece.ground) span.style.backgroundColor = piece.ground;
      span.textContent = part;
      return span;
    });
  });
  element.replaceChildren(...nodes);
}

/** A text in parts, of which every second one is what is marked. @param {string} text @param {string} mark */
function marked(text, mark) {
  const [lower, wanted] = [text.toLowerCase(), mark.toLowerCase()];
  if (lower.length !== text.length) return [text];
  const parts = [];
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0 && parts.length < 100; at = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), text.slice(at, at + wanted.length));
    from = at + wanted.length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** A text without what only a terminal would understand, for copying. @param {string} text */
export function plain(text) {
  // As above.
  return text.replaceAll(/\x1b\[[0-9;:]*m/g, '');
}
