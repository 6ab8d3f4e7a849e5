// The view library under one roof.

import { signal } from '@preact/signals';
import htm from 'htm';
import { h } from 'preact';

export { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from '@preact/signals';
export { Fragment, h, render } from 'preact';
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

/** Markup as a tagged template. Text in it is text, never markup. */
export const html = htm.bind(h);

/** The moment that relative times are told from; it moves once a second while the page is seen. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now() + skew.peek();
}, 1000);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) now.value = Date.now() + skew.peek();
});

/** Milliseconds that the server's clock is ahead of this one. */
export const skew = signal(0);
