// Before the first paint, so that nothing flashes: the theme that was chosen, or the system's.
try {
  const chosen = localStorage.getItem('bulkhead.theme');
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; then the system decides.
}
