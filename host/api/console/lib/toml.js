// Values as TOML, for definitions that a form makes.

/** @param {unknown} value what JSON can hold; null and undefined within tables are left out @returns {string} */
export function toml(value) {
  if (Array.isArray(value))
    return `[${value
      .filter((item) => item !== null && item !== undefined)
      .map(toml)
      .join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
    return pairs.length === 0 ? '{}' : `{ ${pairs.map(([key, item]) => `${name(key)} = ${toml(item)}`).join(', ')} }`;
  }
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return String(value);
    const text = String(value);
    return /[.e]/.test(text) || !Number.isFinite(value)
      ? text
          .replace('Infinity', 'inf')
          .replace('NaN', 'nan')
          .replace(/^(-?\d+)e/, '$1.0e')
      : `${text}.0`;
  }
  // A string of JSON is one of TOML, except for what TOML wants escaped, too.
  return typeof value === 'string' ? JSON.stringify(value).replaceAll('\x7f', '\\u007f') : String(value);
}

/** A key, quoted where it has to be. @param {string} key */
export const name = (key) => (/^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key).replaceAll('\x7f', '\\u007f'));
