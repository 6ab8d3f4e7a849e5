// Asking the API. Every error is a `Problem` that says what to do.

import { signal } from './view.js';

const KEY = 'bulkhead.token';

/** An error of the API (RFC 9457), or of the way to it. */
export class Problem extends Error {
  /**
   * @param {number} status 0 where there was no answer
   * @param {{type?: string, title?: string, detail?: string, diagnostics?: import('./types.js').Diagnostic[],
   *   inputs?: {input: string, message: string, help?: string}[]}} body
   */
  constructor(status, body) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.status = status;
    this.title = body.title ?? '';
    this.kind = (body.type ?? '').replace('/problems/', '');
    this.diagnostics = body.diagnostics ?? [];
    /** What is wrong with what a run was to be started with, by the input's name. */
    this.inputs = body.inputs ?? [];
  }
}

/** The token, for as long as the tab lives. */
export const token = signal(readToken());
/** Whether the server refused for want of a valid token. */
export const locked = signal(false);

function readToken() {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

/** @param {string} value */
export function setToken(value) {
  token.value = value;
  try {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  } catch {
    // It is kept for this page only.
  }
}

/** @returns {Record<string, string>} */
export function authorization() {
  return token.peek() ? { authorization: `Bearer ${token.peek()}` } : {};
}

/** What early.js asked for already, once. @param {string} path @returns {Promise<Response>|undefined} */
function takeEarly(path) {
  /** @type {Map<string, Promise<Response>>|undefined} */
  const early = /** @type {any} */ (globalThis).bulkheadEarly;
  const answer = early?.get(path);
  early?.delete(path);
  return answer;
}

/**
 * @param {string} method
 * @param {string} path below /api/v1
 * @param {{body?: BodyInit, type?: string, headers?: Record<string, string>, signal?: AbortSignal}} [options]
 */
export async function ask(method, path, { body, type, headers = {}, signal } = {}) {
  let response;
  try {
    response = await ((method === 'GET' && takeEarly(path)) ||
      fetch(`/api/v1${path}`, {
        method,
        body,
        signal,
        cache: 'no-store',
        headers: { accept: 'application/json', ...authorization(), ...(type ? { 'content-type': type } : {}), ...headers },
      }));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { title: 'No answer', detail: 'The server cannot be reached. It may be restarting.' });
  }
  if (response.ok) return response;
  const problem = new Problem(response.status, await response.json().catch(() => ({})));
  if (problem.kind === 'unauthenticated') locked.value = true;
  throw problem;
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
export async function get(path, signal) {
  return (await ask('GET', path, { signal })).json();
}

/**
 * @param {string} path
 * @param {unknown} [value]
 */
export async function post(path, value) {
  const response = await ask('POST', path, { body: JSON.stringify(value ?? {}), type: 'application/json' });
  return response.status === 204 ? null : response.json();
}

/** @param {string} path */
export async function remove(path) {
  await ask('DELETE', path);
}

/** @param {Record<string, string|number|undefined|null|false>} values */
export function query(values) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== '' && value !== false) search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}

/**
 * Downloads with the token, which a link could not send.
 * @param {string} path
 * @param {string} name
 */
export async function download(path, name) {
  const response = await ask('GET', path);
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
