// Where the server wants a token.

import { locked, Problem, setToken, token } from '../lib/api.js';
import { html, useState } from '../lib/view.js';

export function Unlock() {
  const [error, setError] = useState(token.value ? 'The token that this tab had is not known any more.' : '');
  const unlock = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (document.getElementById('token'));
    const secret = field.value.trim();
    try {
      const response = await fetch('/api/v1/session', { headers: { authorization: `Bearer ${secret}` }, cache: 'no-store' });
      if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
      setToken(secret);
      locked.value = false;
    } catch (error) {
      setError(error instanceof Error ? error.message : String(error));
    }
  };
  return html`
    <main class="unlock">
      <form onSubmit=${unlock}>
        <h1>Bulkhead</h1>
        <p>This server wants a token. It is kept in this tab only, until the tab is closed.</p>
        <label for="token">Token</label>
        <input id="token" type="password" autocomplete="current-password" placeholder="bulkhead_…" required autofocus />
        ${error && html`<p class="bad" role="alert">${error}</p>`}
        <button class="primary">Open</button>
        <p class="faint">Who runs the server makes one: <code>bulkhead token create NAME --role viewer</code></p>
      </form>
    </main>
  `;
}
