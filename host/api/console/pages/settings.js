// The server's limits, the tokens, and this browser's token.

import { act, confirm } from '../components/dialog.js';
import { headline, may, session, statistics } from '../components/frame.js';
import { Moment, Trouble } from '../components/parts.js';
import { get, locked, post, remove, setToken, token } from '../lib/api.js';
import { count, duration, size } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { html, useEffect, useState } from '../lib/view.js';

export function SettingsPage() {
  useEffect(() => {
    headline.value = { title: 'Settings', state: '' };
  }, []);
  const { value, error, reload } = useLoad('settings', (signal) => get('/settings', signal));
  const load = statistics.value?.load;
  return html`
    <div class="page">
      <header class="page-head"><h1>Settings</h1></header>
      <${Trouble} problem=${error} retry=${reload} />
      <div class="halves">
      <section class="tile"><h2>This server</h2>
      <table class="plain"><tbody>
        <tr><th scope="row">Version</th><td>${session.value?.version}</td></tr>
        <tr><th scope="row">Attempts at once</th><td>${load?.slots ?? '–'}</td></tr>
        <tr><th scope="row">Memory budget</th><td>${load ? size(load.memory_bytes) : '–'}</td></tr>
        <tr><th scope="row">API</th><td><a href="/api/v1/openapi.json" target="_blank" rel="noreferrer">description (OpenAPI)</a>, <a href="/metrics" target="_blank" rel="noreferrer">metrics</a></td></tr>
      </tbody></table></section>
      ${
        value &&
        html`<section class="tile"><h2>What it keeps, and its limits</h2><table class="plain"><tbody>
          <tr><th scope="row">Ended runs</th><td>${[value.keep_ms !== undefined ? `${duration(value.keep_ms)}` : '', value.keep_runs !== undefined ? `the last ${count(value.keep_runs)}` : ''].filter(Boolean).join(', ') || 'kept until somebody deletes them'}</td></tr>
          <tr><th scope="row">Uploaded files that no run uses</th><td>${duration(value.keep_uploads_ms)}</td></tr>
          <tr><th scope="row">Versions of a definition</th><td>the last 100</td></tr>
          <tr><th scope="row">Largest file, plugin, request</th><td>${size(value.file_bytes)}, ${size(value.plugin_bytes)}, ${size(value.body_bytes)}</td></tr>
          <tr><th scope="row">Requests of one client</th><td>${value.requests_per_second ? `${count(value.requests_per_second)} a second` : 'as many as it likes'}, ${count(value.streams)} streams</td></tr>
          <tr><th scope="row">Connections</th><td>${count(value.connections)}</td></tr>
        </tbody></table><p class="faint">They are given when the server is started: <code>bulkhead serve --help</code>.</p></section>`
      }
      <section class="tile"><h2>You</h2>
      <table class="plain"><tbody>
        <tr><th scope="row">Role</th><td>${session.value?.role ?? '–'}</td></tr>
        <tr><th scope="row">Token</th><td>${session.value?.token ?? html`<span class="faint">none is needed: the server serves this machine only</span>`}
          ${
            token.value &&
            html` <button onClick=${() => {
              setToken('');
              session.value = null;
              locked.value = true;
            }}>Forget it in this tab</button>`
          }</td></tr>
        <tr><th scope="row">Time zone</th><td>${Intl.DateTimeFormat().resolvedOptions().timeZone}: times are told in it</td></tr>
      </tbody></table></section>
      </div>
      ${may('admin') && html`<${Tokens} />`}
    </div>
  `;
}

function Tokens() {
  const { value, error, reload } = useLoad('tokens', (signal) => get('/tokens', signal));
  const [secret, setSecret] = useState('');
  const create = (/** @type {any} */ event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const [name, role] = [String(data.get('name')), String(data.get('role'))];
    act(async () => {
      const first = (value?.items.length ?? 0) === 0;
      if (
        first &&
        !(await confirm({
          title: 'Create the first token?',
          text: 'From then on every request needs a token; this tab goes on with the new one.',
          action: 'Create',
        }))
      )
        return;
      const made = await post('/tokens', { name, role });
      setSecret(made.secret);
      if (first) setToken(made.secret);
      event.target.reset();
      reload();
    });
  };
  return html`
    <h2>Tokens</h2>
    <${Trouble} problem=${error} retry=${reload} />
    ${secret && html`<div class="trouble good" role="status"><strong>The secret is shown this once</strong><code>${secret}</code><button onClick=${() => navigator.clipboard.writeText(secret)}>Copy</button><button onClick=${() => setSecret('')}>Done</button></div>`}
    ${value?.items.length === 0 && html`<p class="faint">There is none, so who reaches this server from this machine may do everything.</p>`}
    ${
      value?.items.length > 0 &&
      html`<div class="table-box" tabindex="0" role="region" aria-label="Tokens"><table><thead><tr><th>Name</th><th>Role</th><th>Created</th><th></th></tr></thead><tbody>
        ${value.items.map(
          (
            /** @type {{name: string, role: string, created_at: string}} */ item,
          ) => html`<tr><td>${item.name}</td><td>${item.role}</td><td><${Moment} at=${item.created_at} /></td>
            <td class="right"><button onClick=${async () => {
              if (
                await confirm({
                  title: `Delete the token ${item.name}?`,
                  text: 'Who uses it is refused at once.',
                  action: 'Delete',
                  danger: true,
                })
              )
                await act(() => remove(`/tokens/${item.name}`));
              reload();
            }}>Delete</button></td></tr>`,
        )}
      </tbody></table></div>`
    }
    <form class="inline" onSubmit=${create}>
      <label>Name <input name="name" required pattern="[a-z0-9_\\-]{1,64}" /></label>
      <label>Role <select name="role"><option>viewer</option><option>operator</option><option>admin</option></select></label>
      <button class="primary">Create a token</button>
    </form>
  `;
}
