// A form for what a JSON Schema describes: a field for each property, of its type, with its default and its bounds. The server decides what
// is valid; its answer stands beside the field that it is about.

import { html, useState } from '../lib/view.js';
import { Foreign } from './parts.js';

/** @typedef {import('../lib/types.js').Schema} Schema */
/** @typedef {'boolean'|'choice'|'number'|'text'|'long'|'list'|'json'} Kind */

/** A schema with what it refers to, as far as that is in the same document. @param {Schema} schema @param {Schema} root @returns {Schema} */
function resolved(schema, root) {
  let found = schema;
  for (let depth = 0; depth < 8 && found.$ref; depth += 1) {
    const path = found.$ref.startsWith('#/') ? found.$ref.slice(2).split('/') : [];
    /** @type {any} */
    let at = root;
    for (const part of path) at = at?.[part.replaceAll('~1', '/').replaceAll('~0', '~')];
    const { $ref: _, ...beside } = found;
    found = { ...(at ?? {}), ...beside };
    if (!at) break;
  }
  // What may be null may be left out.
  const others = (found.anyOf ?? found.oneOf ?? []).filter((one) => one.type !== 'null');
  if (others.length === 1) {
    const { anyOf: _, oneOf: __, ...beside } = found;
    return resolved({ ...others[0], ...beside }, root);
  }
  return found;
}

/** The values that are allowed, where those are few. @param {Schema} schema @returns {unknown[]|null} */
function choices(schema) {
  if (schema.enum) return schema.enum.filter((value) => value !== null);
  const constants = (schema.oneOf ?? schema.anyOf ?? []).map((one) =>
    'const' in one ? one.const : one.enum?.length === 1 ? one.enum[0] : undefined,
  );
  return constants.length > 0 && constants.every((value) => value !== undefined) ? constants : null;
}

/** @param {Schema} schema @returns {Kind} */
function kindOf(schema) {
  if (choices(schema)) return 'choice';
  const types = [schema.type ?? []].flat().filter((type) => type !== 'null');
  if (types.length !== 1) return 'json';
  if (types[0] === 'boolean') return 'boolean';
  if (types[0] === 'integer' || types[0] === 'number') return 'number';
  if (types[0] === 'string')
    return (schema.maxLength ?? 0) > 400 || String(schema.default ?? '').includes('\n') ? 'long' : 'text';
  if (types[0] === 'array' && schema.items && [schema.items.type].flat().join() === 'string' && !schema.items.enum) return 'list';
  return 'json';
}

/** @param {unknown} value */
const shown = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/**
 * @param {object} props
 * @param {Schema} props.schema of an object
 * @param {Record<string, unknown>} props.value what was given; what is absent has its default
 * @param {(value: Record<string, unknown>) => void} props.change
 * @param {Record<string, {message: string, help?: string}>} [props.errors] by the property's name
 * @param {string} props.id a prefix of the fields' ids
 */
export function SchemaForm({ schema, value, change, errors = {}, id }) {
  const required = new Set(schema.required ?? []);
  const entries = Object.entries(schema.properties ?? {});
  // What is needed comes first.
  const sorted = [...entries.filter(([name]) => required.has(name)), ...entries.filter(([name]) => !required.has(name))];
  return html`<div class="fields">
    ${sorted.map(([name, property]) => {
      const set = (/** @type {unknown} */ next) => {
        const { [name]: _, ...rest } = value;
        change(next === undefined ? rest : { ...rest, [name]: next });
      };
      return html`<${Field} key=${name} ...${{ name, schema: resolved(property, schema), required: required.has(name), value: value[name], set, error: errors[name], id: `${id}-${name}` }} />`;
    })}
    ${Object.entries(errors)
      .filter(([name]) => !schema.properties?.[name])
      .map(
        ([name, error]) =>
          html`<p class="bad" role="alert"><code>${name}</code>: ${error.message}${error.help ? ` (${error.help})` : ''}</p>`,
      )}
  </div>`;
}

/**
 * @param {object} props
 * @param {string} props.name
 * @param {Schema} props.schema
 * @param {boolean} props.required
 * @param {unknown} props.value
 * @param {(value: unknown) => void} props.set
 * @param {{message: string, help?: string}} [props.error]
 * @param {string} props.id
 */
function Field({ name, schema, required, value, set, error, id }) {
  const kind = kindOf(schema);
  // What is typed stays as it is typed, also while it is no value yet.
  const [typed, setTyped] = useState(/** @type {string|null} */ (null));
  const [broken, setBroken] = useState('');
  const told =
    [error || broken ? `${id}-error` : '', schema.description ? `${id}-help` : ''].filter(Boolean).join(' ') || undefined;
  const common = { id, name, 'aria-describedby': told, 'aria-invalid': Boolean(error || broken), 'aria-required': required };
  const placeholder = schema.default !== undefined && schema.default !== null ? shown(schema.default) : required ? '' : 'not set';
  const text =
    typed ??
    (value === undefined
      ? ''
      : kind === 'list'
        ? /** @type {string[]} */ (value).join('\n')
        : kind === 'json'
          ? JSON.stringify(value, null, 2)
          : String(value));
  const type = (/** @type {any} */ event) => {
    const next = event.target.value;
    setTyped(next);
    setBroken('');
    if (next === '') set(undefined);
    else if (kind === 'number') {
      const number = Number(next);
      if (Number.isNaN(number)) setBroken('this is no number');
      else set(number);
    } else if (kind === 'list') set(next.split('\n').filter((/** @type {string} */ line) => line.trim() !== ''));
    else if (kind === 'json') {
      try {
        set(JSON.parse(next));
      } catch {
        setBroken('this is no JSON yet');
      }
    } else set(next);
  };
  const options = choices(schema) ?? [];
  /** @returns {any} */
  const control = () => {
    switch (kind) {
      case 'boolean':
        return html`<select ...${common} value=${value === undefined ? '' : String(value)} onChange=${(/** @type {any} */ event) => set(event.target.value === '' ? undefined : event.target.value === 'true')}>
          <option value="">${schema.default === undefined ? 'not set' : `default: ${schema.default ? 'yes' : 'no'}`}</option><option value="true">yes</option><option value="false">no</option></select>`;
      case 'choice':
        return html`<select ...${common} value=${value === undefined ? '' : JSON.stringify(value)} onChange=${(/** @type {any} */ event) => set(event.target.value === '' ? undefined : JSON.parse(event.target.value))}>
          <option value="">${schema.default !== undefined && schema.default !== null ? `default: ${shown(schema.default)}` : required ? 'choose one' : 'not set'}</option>
          ${options.map((option) => html`<option value=${JSON.stringify(option)}>${shown(option)}</option>`)}</select>`;
      case 'number':
        return html`<input ...${common} inputmode="decimal" value=${text} placeholder=${placeholder} onInput=${type} />`;
      case 'text':
        return html`<input ...${common} value=${text} placeholder=${placeholder} onInput=${type} />`;
      default:
        return html`<textarea ...${common} class=${kind === 'json' ? 'mono' : ''} rows=${kind === 'json' && text === '' ? 2 : Math.min(8, Math.max(3, text.split('\n').length))} spellcheck="false" value=${text} placeholder=${placeholder} onInput=${type}></textarea>`;
    }
  };
  return html`<div class=${`field${error || broken ? ' wrong' : ''}`} data-field=${name}>
    <label for=${id}><${Foreign} text=${schema.title ?? name} max=${80} />${required ? html` <span class="needed">required</span>` : ''}<span class="faint">${hint(schema, kind)}</span></label>
    ${control()}
    ${(error || broken) && html`<p class="bad" id=${`${id}-error`} role="alert">${broken || `${error?.message}${error?.help ? ` (${error.help})` : ''}`}</p>`}
    ${schema.description && html`<p class="faint" id=${`${id}-help`}><${Foreign} text=${schema.description} max=${600} /></p>`}
  </div>`;
}

/** What the field takes, in a few words. @param {Schema} schema @param {Kind} kind */
function hint(schema, kind) {
  const least = schema.minimum ?? schema.exclusiveMinimum;
  const most = schema.maximum ?? schema.exclusiveMaximum;
  if (kind === 'number') {
    const what = [schema.type].flat().includes('integer') ? 'integer' : 'number';
    if (least !== undefined && most !== undefined) return `${what}, ${least} to ${most}`;
    if (least !== undefined) return `${what}, at least ${least}`;
    return most !== undefined ? `${what}, at most ${most}` : what;
  }
  if (kind === 'list') return 'one a line';
  if (kind === 'json') return 'JSON';
  return '';
}
