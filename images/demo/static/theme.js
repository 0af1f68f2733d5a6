// Runs before the first paint, so that a chosen theme does not flash. app.js stores the choice.
try {
  const theme = localStorage.getItem("openaisle.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's theme it is.
}
