// What htmx needs to keep a page alive: a poll that stops while nobody looks and slows down while Airflow is away, ETags, the CSRF
// token, one request for one click, focus that stays, ways out of the frame.
(function () {
  "use strict";
  const POLL = 2000;
  const SLOW = 15000;
  const MINUTE = 60000;
  const MOST = 30000;
  const byId = (id) => document.getElementById(id);

  // --- the beat -----------------------------------------------------------------------------------------------------
  let pause = POLL;
  let timer;
  let slowAt = 0;
  let minuteAt = 0;
  let expired = false;

  function tell(name) {
    if (!document.hidden) document.body.dispatchEvent(new CustomEvent(name));
  }
  function beat() {
    for (const elt of [...unloaded]) {
      unloaded.delete(elt);
      if (elt.isConnected) window.htmx.ajax("GET", elt.getAttribute("hx-get"), { source: elt });
    }
    tell("agentfix:poll");
    if (Date.now() >= slowAt) {
      slowAt = Date.now() + Math.max(SLOW, pause);
      tell("agentfix:slow");
    }
    if (Date.now() >= minuteAt && !document.hidden) {
      minuteAt = Date.now() + MINUTE;
      tell("agentfix:minute");
    }
    rest();
  }
  function rest() {
    clearTimeout(timer);
    if (!expired) timer = setTimeout(beat, pause);
  }
  slowAt = Date.now() + SLOW;
  minuteAt = Date.now() + MINUTE;
  rest();
  function look() {
    if (document.hidden) return;
    slowAt = 0;
    beat();
  }
  document.addEventListener("visibilitychange", look);
  window.addEventListener("focus", () => expired && look()); // from a window beside it, where somebody logged in again

  // Away: the page stays as it is and says so; it asks less and less often, at most every 30 s, and not all pages at once.
  function away() {
    byId("away").hidden = expired;
    pause = Math.min(pause * 2, MOST) * (0.9 + Math.random() / 5);
    rest();
  }
  function back() {
    if (byId("away").hidden && !expired) return;
    byId("away").hidden = byId("expired").hidden = true;
    expired = false;
    pause = POLL;
    slowAt = 0;
    rest();
  }
  function loggedOut() {
    expired = true;
    clearTimeout(timer);
    byId("away").hidden = true;
    byId("expired").hidden = false;
  }

  // --- requests -----------------------------------------------------------------------------------------------------
  const isChange = (verb) => verb.toLowerCase() !== "get";
  const isPoll = (config) => config.triggeringEvent?.type.startsWith("agentfix:") ?? false;
  const formOf = (elt) => elt.closest("form") ?? elt;
  const buttonsOf = (elt) => (formOf(elt).matches("button") ? [formOf(elt)] : [...formOf(elt).querySelectorAll("button")]);
  const sent = new Map(); // form -> its buttons that were disabled, and where the focus was
  const unloaded = new Set(); // parts that were to come with the page and did not
  const ended = new WeakSet(); // what is asked no more: it is gone, or no longer ours to see

  document.addEventListener("htmx:confirm", (event) => {
    const { elt, verb } = event.detail;
    if (isChange(verb) ? sent.has(formOf(elt)) : ended.has(elt)) event.preventDefault();
  });

  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, headers, verb } = event.detail;
    if (isChange(verb)) headers["X-CSRFToken"] = document.querySelector('meta[name="agentfix-csrf"]').content;
    else if (elt.dataset.etag) headers["If-None-Match"] = elt.dataset.etag;
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, requestConfig } = event.detail;
    if (!isChange(requestConfig.verb)) return;
    byId("notices").replaceChildren();
    const buttons = buttonsOf(elt).filter((button) => !button.disabled);
    sent.set(formOf(elt), { buttons, place: placeOf(document.activeElement) });
    for (const button of buttons) button.disabled = true;
  });

  function release(form) {
    const { buttons, place } = sent.get(form);
    sent.delete(form);
    for (const button of buttons) button.disabled = false;
    goTo(place);
  }
  document.addEventListener("htmx:afterRequest", (event) => {
    const { requestConfig, xhr } = event.detail;
    const form = formOf(requestConfig.elt); // the event's own is another where the answer took the form's place
    const leaves = xhr.getResponseHeader("HX-Redirect") ?? xhr.getResponseHeader("HX-Refresh");
    if (isChange(requestConfig.verb) && sent.has(form) && !leaves) release(form);
    if (isChange(requestConfig.verb)) tell("agentfix:changed"); // done or refused: how it stands now
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) for (const form of [...sent.keys()]) release(form);
  });

  function failed(elt, config) {
    if (!config.triggeringEvent) unloaded.add(elt);
    away();
  }
  function unsent(event) {
    const { elt, requestConfig } = event.detail;
    if (!isChange(requestConfig.verb)) return failed(elt, requestConfig);
    const told = document.createElement("p");
    told.className = "notice warning";
    told.textContent = "Airflow did not answer, so it is not known whether this was done. Look again before you repeat it.";
    byId("notices").replaceChildren(told);
  }
  document.addEventListener("htmx:sendError", unsent);
  document.addEventListener("htmx:timeout", unsent);

  // A request that was led elsewhere met somebody's login page: that is no part of ours.
  function isLedAway(xhr, config) {
    return Boolean(xhr.responseURL) && new URL(xhr.responseURL).pathname !== new URL(config.path, document.baseURI).pathname;
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, requestConfig, xhr } = event.detail;
    if (xhr.status === 401 || isLedAway(xhr, requestConfig)) {
      event.detail.shouldSwap = false;
      return loggedOut();
    }
    if (isChange(requestConfig.verb)) return;
    if (xhr.status >= 500 || xhr.status === 429) {
      event.detail.shouldSwap = false;
      return failed(elt, requestConfig);
    }
    back();
    if (xhr.status >= 400 && isPoll(requestConfig)) ended.add(elt);
  });

  // --- what a swap must not take from who is reading: the focus, what was unfolded, and silence ---------------------
  const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
  let held = null;
  function nameOf(elt) {
    return [elt.tagName, elt.getAttribute("name"), elt.getAttribute("href"), elt.textContent.trim()].join("|");
  }
  function placeOf(elt) {
    const around = [];
    for (let one = elt.parentElement?.closest("[id]"); one; one = one.parentElement?.closest("[id]")) around.push(one.id);
    return elt === document.body ? null : { elt, name: nameOf(elt), around };
  }
  function focus(elt) {
    if (!elt.matches(FOCUSABLE)) elt.tabIndex = -1;
    elt.focus({ preventScroll: true });
  }
  // To what has the focus's place: itself, the same anew, else what is left of what it was in.
  function goTo(place) {
    if (!place || document.activeElement !== document.body) return;
    const { elt, name, around } = place;
    if (elt.isConnected && elt.checkVisibility()) focus(elt);
    if (document.activeElement !== document.body) return;
    const left = around.map(byId).find((one) => one?.checkVisibility()) ?? byId("main");
    focus([...left.querySelectorAll(FOCUSABLE)].find((one) => nameOf(one) === name) ?? left);
  }
  document.addEventListener("htmx:beforeSwap", () => {
    const open = [...document.querySelectorAll("details[id][open]")].map((details) => details.id);
    held = { place: placeOf(document.activeElement), open };
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!held) return;
    const { place, open } = held;
    held = null;
    for (const id of open) if (byId(id)?.matches("details")) byId(id).open = true;
    const goal = byId(event.detail.requestConfig.elt.dataset.focus);
    if (goal) focus(goal);
    else goTo(place);
  });
  // What says the same as before is not said again.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    const told = target.matches("[role=status]") && target.textContent.trim() === fragment.textContent.trim();
    if (told) event.detail.shouldSwap = false;
  });

  // --- the frame Airflow puts us in may neither leave itself nor open windows; a link of Airflow's own page may ------
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-out]");
    if (!link || event.defaultPrevented) return;
    const framed = window.parent !== window;
    const outer = framed ? window.parent.document : document;
    if ("login" in link.dataset) {
      const here = outer.location;
      const login = new URL(link.href);
      login.searchParams.set("next", here.pathname + here.search);
      link.href = login.href;
    }
    if (!framed) return;
    event.preventDefault();
    const twin = outer.createElement("a");
    twin.href = link.href;
    twin.rel = "noopener noreferrer";
    if (link.hasAttribute("download")) twin.download = link.download; // Airflow 3.1's frame forbids downloads too
    if (link.target === "_blank" || event.ctrlKey || event.metaKey) twin.target = "_blank";
    outer.body.append(twin);
    twin.click();
    twin.remove();
  });

  // Airflow's nav page (from 3.3 on) shows in its own address where its frame is, and looks when the frame has loaded.
  document.addEventListener("htmx:pushedIntoHistory", () => window.frameElement?.dispatchEvent(new Event("load")));

  // --- ages ---------------------------------------------------------------------------------------------------------
  const STEPS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
  function ages(within) {
    for (const time of within.querySelectorAll("time[data-ago]")) {
      const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
      const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
      const told = relative.format(Math.round(seconds / size), unit);
      if (time.textContent !== told) time.textContent = told;
    }
  }
  document.addEventListener("DOMContentLoaded", () => ages(document));
  document.addEventListener("htmx:load", (event) => ages(event.detail.elt)); // once for each new element: never all of the page
  setInterval(() => ages(document), 20000);
})();
