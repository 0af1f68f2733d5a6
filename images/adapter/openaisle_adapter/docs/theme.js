// Runs before the first paint: the theme that was chosen on the demo page, or else the system's.
let theme = null;
try {
  theme = localStorage.getItem("openaisle.theme");
} catch {
  // Storage is blocked: the system's theme it is.
}
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => {
  const isDark = theme === "dark" || (theme !== "light" && prefersDark.matches);
  document.documentElement.classList.toggle("dark-mode", isDark);
};
prefersDark.addEventListener("change", follow);
follow();
