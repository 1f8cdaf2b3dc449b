// A link to an event: what is folded in it is opened. One of long ago: what stands between it and the first one shown is fetched
// before, then jumped to.
(function () {
  "use strict";
  function find() {
    const number = /^#event-(\d+)$/.exec(window.location.hash)?.[1];
    const earlier = document.getElementById("earlier");
    if (!number || unfold(number) || !earlier?.dataset.url) return;
    const url = earlier.dataset.url;
    window.htmx.ajax("GET", `${url}&since=${number}`, { target: "#earlier", swap: "outerHTML" }).then(() => {
      if (unfold(number)) window.location.replace(`#event-${number}`);
      else if (document.getElementById("earlier")?.dataset.url !== url) find(); // they held much, and came in part
    });
  }
  function unfold(number) {
    const event = document.getElementById(`event-${number}`);
    if (event) window.htmx.process(event); // just put in, or the page just begun: else nobody hears that it opens
    for (const details of event?.querySelectorAll("details") ?? []) details.open = true;
    return Boolean(event);
  }
  document.addEventListener("DOMContentLoaded", find);
  window.addEventListener("hashchange", find);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("a[href]")?.getAttribute("href") === window.location.hash) find(); // no change of hash tells of it
  });
})();
