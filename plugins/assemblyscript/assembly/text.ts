/** Bytes, UTF-8 and JSON. Nothing here knows of a host. */

/** Bytes that the host handed over. */
export class Bytes {
  constructor(
    public at: usize,
    public length: i32,
  ) {}

  @inline
  @operator('[]')
  get(index: i32): u8 {
    return load<u8>(this.at + index);
  }

  @inline
  @operator('[]=')
  set(index: i32, value: u8): void {
    store<u8>(this.at + index, value);
  }
}

// ---- UTF-8

/** The text of bytes in UTF-8; what is none becomes U+FFFD. */
export function decode(at: usize, length: i32): string {
  const end = at + length;
  for (let plain = at; ; plain++) {
    if (plain == end) return String.UTF8.decodeUnsafe(at, length);
    if (load<u8>(plain) >= 0x80) break;
  }
  // No character has more units than bytes.
  const units = new StaticArray<u16>(length);
  let count = 0;
  while (at < end) {
    const first: u32 = load<u8>(at++);
    if (first < 0x80) {
      units[count++] = <u16>first;
      continue;
    }
    // How many bytes follow, and what the first of them may be: neither overlong forms nor surrogates.
    const rest: u32 = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 0;
    let least: u8 = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    let most: u8 = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    let code: u32 = first & (0x3f >> rest);
    let left = rest;
    while (left > 0 && at < end && load<u8>(at) >= least && load<u8>(at) <= most) {
      code = (code << 6) | (load<u8>(at++) & 0x3f);
      least = 0x80;
      most = 0xbf;
      left -= 1;
    }
    if (rest == 0 || left > 0) {
      units[count++] = 0xfffd;
    } else if (code < 0x10000) {
      units[count++] = <u16>code;
    } else {
      units[count++] = <u16>(0xd7c0 + (code >> 10));
      units[count++] = <u16>(0xdc00 | (code & 0x3ff));
    }
  }
  return String.UTF16.decodeUnsafe(changetype<usize>(units), count << 1);
}

/** A text in UTF-8; half a character becomes U+FFFD. */
export function encode(text: string): ArrayBuffer {
  return String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
}

// ---- JSON. The host has checked what it hands over; other texts are read to their end, and no further.

const QUOTE: u16 = 0x22;
const BACKSLASH: u16 = 0x5c;

/** A text as a JSON string. */
export function quote(text: string): string {
  let length = text.length + 2;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    length += code < 0x20 ? 5 : <i32>(code == QUOTE || code == BACKSLASH);
  }
  const units = new StaticArray<u16>(length);
  let count = 0;
  units[count++] = QUOTE;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20) {
      units[count++] = BACKSLASH;
      units[count++] = 0x75;
      for (let shift = 12; shift >= 0; shift -= 4) units[count++] = <u16>'0123456789abcdef'.charCodeAt((code >> shift) & 15);
      continue;
    }
    if (code == QUOTE || code == BACKSLASH) units[count++] = BACKSLASH;
    units[count++] = <u16>code;
  }
  units[count++] = QUOTE;
  return String.UTF16.decodeUnsafe(changetype<usize>(units), count << 1);
}

/** A member of a JSON object as it is written; the empty text where there is none. */
export function member(object: string, name: string): string {
  let at = space(object, 0);
  if (codeAt(object, at++) != 0x7b) return '';
  for (;;) {
    const key = space(object, at);
    if (codeAt(object, key) != QUOTE) break;
    at = skipString(object, key);
    const found = textOf(object.substring(key, at), '') == name;
    at = space(object, at);
    if (codeAt(object, at) != 0x3a) break;
    const value = space(object, at + 1);
    at = skip(object, value);
    if (found) return object.substring(value, at);
    at = space(object, at);
    if (codeAt(object, at) == 0x2c) at++;
  }
  return '';
}

/** The items of a JSON array as they are written. */
export function items(array: string): string[] {
  const found: string[] = [];
  let at = space(array, 0);
  if (codeAt(array, at) != 0x5b) return found;
  do {
    const item = space(array, at + 1);
    at = skip(array, item);
    if (at == item) break;
    found.push(array.substring(item, at));
    at = space(array, at);
  } while (codeAt(array, at) == 0x2c);
  return found;
}

/** A whole number from 0 to 2^64 - 1, or a default where the text is none. */
export function numberOf(json: string, otherwise: u64): u64 {
  let number: u64 = 0;
  for (let at = 0; at < json.length; at++) {
    const digit = <u64>(json.charCodeAt(at) - 0x30);
    if (digit > 9 || number > (U64.MAX_VALUE - digit) / 10) return otherwise;
    number = 10 * number + digit;
  }
  return json.length > 0 ? number : otherwise;
}

/** What a JSON string stands for, or a default where the text is none. */
export function textOf(json: string, otherwise: string): string {
  const end = json.length - 1;
  if (end < 1 || json.charCodeAt(0) != QUOTE || json.charCodeAt(end) != QUOTE) return otherwise;
  if (json.indexOf('\\') < 0) return json.substring(1, end);
  // No escape is shorter than what it stands for.
  const units = new StaticArray<u16>(end);
  let count = 0;
  for (let at = 1; at < end; ) {
    const code = json.charCodeAt(at);
    if (code != BACKSLASH || at + 1 == end) {
      units[count++] = <u16>code;
      at++;
      continue;
    }
    const kind = json.charCodeAt(at + 1);
    const unit = kind == 0x75 ? hexadecimal(json, at + 2, end) : -1;
    units[count++] = <u16>(unit < 0 ? meaning(kind) : unit);
    at += unit < 0 ? 2 : 6;
  }
  return String.UTF16.decodeUnsafe(changetype<usize>(units), count << 1);
}

/** What a letter behind a backslash stands for. */
function meaning(letter: i32): i32 {
  switch (letter) {
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return letter;
  }
}

/** The number of four hexadecimal digits; -1 where they are none. */
function hexadecimal(text: string, at: i32, end: i32): i32 {
  if (at + 4 > end) return -1;
  let number = 0;
  for (let digit = at; digit < at + 4; digit++) {
    const code = text.charCodeAt(digit);
    const letter = code | 0x20;
    if (code >= 0x30 && code <= 0x39) number = 16 * number + code - 0x30;
    else if (letter >= 0x61 && letter <= 0x66) number = 16 * number + letter - 0x57;
    else return -1;
  }
  return number;
}

/** The unit at a place; -1 beyond the end. */
function codeAt(text: string, at: i32): i32 {
  return at < text.length ? text.charCodeAt(at) : -1;
}

function isSpace(code: i32): bool {
  return code == 0x20 || code == 0x0a || code == 0x0d || code == 0x09;
}

function space(text: string, at: i32): i32 {
  while (isSpace(codeAt(text, at))) at++;
  return at;
}

/** What follows the string that begins at a place. */
function skipString(text: string, at: i32): i32 {
  for (at++; at < text.length && text.charCodeAt(at) != QUOTE; at++) {
    if (text.charCodeAt(at) == BACKSLASH) at++;
  }
  return min(at + 1, text.length);
}

/** Whether a unit ends a number or a word: `,`, `:`, `]`, `}` or space. */
function ends(code: i32): bool {
  return code == 0x2c || code == 0x3a || code == 0x5d || code == 0x7d || isSpace(code);
}

/** What follows the value at a place; the place itself where there is none. */
function skip(text: string, at: i32): i32 {
  let depth = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code == QUOTE) {
      at = skipString(text, at);
    } else if (code == 0x7b || code == 0x5b) {
      depth++;
      at++;
    } else if (ends(code)) {
      if (depth == 0) return at;
      if (code == 0x7d || code == 0x5d) depth--;
      at++;
    } else {
      while (at < text.length && !ends(text.charCodeAt(at))) at++;
    }
    if (depth == 0) return at;
  }
  return text.length;
}
