// Airflow's switch between light and dark decides: its page around ours, else what it stored, else the system.
(function () {
  "use strict";
  const root = document.documentElement;

  function around() {
    try {
      return window.parent === window ? null : window.parent.document.documentElement;
    } catch {
      return null; // another site frames us; the browser refuses that anyway
    }
  }

  function stored() {
    try {
      return window.localStorage.getItem("theme");
    } catch {
      return null;
    }
  }

  function follow() {
    const classes = around()?.classList;
    const system = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const kept = stored();
    const known = classes?.contains("dark") ? "dark" : classes?.contains("light") ? "light" : null;
    root.dataset.theme = known ?? (kept === "dark" || kept === "light" ? kept : system);
    root.dataset.framed = String(window.parent !== window);
  }

  follow();
  const frame = around();
  if (frame) new MutationObserver(follow).observe(frame, { attributes: true, attributeFilter: ["class"] });
  window.addEventListener("storage", follow);
})();
