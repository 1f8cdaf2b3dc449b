// What htmx needs to keep a page alive: a poll that stops while nobody looks, ETags, the CSRF token, ways out of the frame.
(function () {
  "use strict";
  const POLL = 2000;
  const SLOW = 15000;

  function tell(name) {
    if (!document.hidden) document.body.dispatchEvent(new CustomEvent(name));
  }
  setInterval(() => tell("agentfix:poll"), POLL);
  setInterval(() => tell("agentfix:slow"), SLOW);
  document.addEventListener("visibilitychange", () => {
    tell("agentfix:poll");
    tell("agentfix:slow");
  });

  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, headers, verb } = event.detail;
    if (verb !== "get") headers["X-CSRFToken"] = document.querySelector('meta[name="agentfix-csrf"]').content;
    else if (elt.dataset.etag) headers["If-None-Match"] = elt.dataset.etag;
  });

  // A poll that fails leaves the page as it is and says so; anything else a server refuses is told in #notices.
  function away(is) {
    document.getElementById("away").hidden = !is;
  }
  document.addEventListener("htmx:sendError", () => away(true));
  document.addEventListener("htmx:timeout", () => away(true));
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, xhr } = event.detail;
    const isBroken = xhr.status >= 500 && requestConfig.verb === "get";
    away(isBroken);
    if (isBroken) event.detail.shouldSwap = false;
  });

  // The frame Airflow puts us in may neither leave itself nor open windows; a link of Airflow's own page may.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-out]");
    if (!link || window.parent === window || event.defaultPrevented) return;
    event.preventDefault();
    const outer = window.parent.document;
    const twin = outer.createElement("a");
    twin.href = link.href;
    twin.rel = "noopener noreferrer";
    if (link.target === "_blank" || event.ctrlKey || event.metaKey) twin.target = "_blank";
    outer.body.append(twin);
    twin.click();
    twin.remove();
  });

  const STEPS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
  function ages(within) {
    for (const time of within.querySelectorAll("time[data-ago]")) {
      const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
      const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
      time.textContent = relative.format(Math.round(seconds / size), unit);
    }
  }
  document.addEventListener("DOMContentLoaded", () => ages(document));
  document.addEventListener("htmx:load", (event) => ages(event.detail.elt.parentNode ?? document));
  setInterval(() => ages(document), 20000);
})();
