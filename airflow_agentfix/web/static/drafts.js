// What somebody types outlives the page: a reload, Airflow's way to its login and back. It stays in this tab alone, until it is sent.
(function () {
  "use strict";
  const FIELDS = "form textarea[id], form input[id]:not([type=search])";
  const nameOf = (field) => `agentfix:${window.location.pathname}${window.location.search}#${field.id}`;

  function inStore(todo) {
    try {
      return todo(window.sessionStorage);
    } catch {
      return null; // a browser that stores nothing, or no more
    }
  }
  function keep(field, value) {
    inStore((store) => (value ? store.setItem(nameOf(field), value) : store.removeItem(nameOf(field))));
  }
  function restore(within) {
    const fields = [within, ...within.querySelectorAll(FIELDS)].filter((one) => one.matches?.(FIELDS) && !one.value);
    for (const field of fields) field.value = inStore((store) => store.getItem(nameOf(field))) ?? "";
  }

  document.addEventListener("input", ({ target }) => target.matches(FIELDS) && keep(target, target.value));
  document.addEventListener("htmx:afterRequest", ({ detail: { requestConfig, successful } }) => {
    if (!successful || requestConfig.verb === "get") return;
    for (const field of requestConfig.elt.querySelectorAll(FIELDS)) keep(field, "");
  });
  document.addEventListener("DOMContentLoaded", () => restore(document));
  document.addEventListener("htmx:load", ({ detail: { elt } }) => restore(elt));
})();
