// A link to an event of long ago: what stands between it and the first one shown is fetched, then jumped to.
(function () {
  "use strict";
  function find() {
    const number = /^#event-(\d+)$/.exec(window.location.hash)?.[1];
    const earlier = document.getElementById("earlier");
    if (!number || !earlier?.dataset.url || document.getElementById(`event-${number}`)) return;
    window.htmx
      .ajax("GET", `${earlier.dataset.url}&since=${number}`, { target: "#earlier", swap: "outerHTML" })
      .then(() => window.location.replace(`#event-${number}`));
  }
  document.addEventListener("DOMContentLoaded", find);
  window.addEventListener("hashchange", find);
})();
