// The strip along the top: the counts, how live the board is, the filter, a new order, the help.

import { h, mark, say } from "./dom.js";
import { clock, span } from "./format.js";

/**
 * @typedef {import("./store.js").Store} Store
 */

/** @type {Array<[string, string, string, string]>} Name in the stats, what people call it, a filter for it, what it means. */
const STATS = [
  ["needs_attention", "expired", "is:expired", "Expired: nobody may take them until you decide"],
  ["pending", "open", "status:pending", "Waiting for a driver"],
  ["assigned", "assigned", "status:assigned", "A driver is on the way to the pickup"],
  ["picked_up", "picked up", "status:picked_up", "On the way to the customer"],
  ["drivers_live", "drivers live", "", "On duty and heard of within the last minute"],
  [
    "broken_promises",
    "broken promises",
    "",
    "The last audit found orders whose history is wrong: call whoever runs Baton",
  ],
];

/** Counts that are an alarm as soon as there is one. */
const ALARMS = ["needs_attention", "broken_promises"];

/** The page's title, with how many need somebody. */
const TITLE = document.title;

/**
 * @param {HTMLElement} element
 * @param {{
 *   store: Store, canPlace: boolean, onFilter: (text: string) => void, onNew: () => void, onHelp: () => void,
 *   onCompact: () => void,
 * }} context
 */
export function mountStrip(element, { store, canPlace, onFilter, onNew, onHelp, onCompact }) {
  const numbers = STATS.map(([name, word, token, meaning]) => {
    const count = h("span", { class: "number" }, "–");
    const box = token
      ? h(
          "button",
          {
            type: "button",
            class: `stat stat-${name}`,
            title: `${meaning}. Shows only these.`,
            onclick: () => setFilter(input.value.trim() === token ? "" : token),
          },
          count,
          " ",
          word,
        )
      : h("span", { class: `stat stat-${name}`, title: meaning }, count, " ", word);
    return { name, count, box };
  });
  const time = h("span", { class: "server-time", title: "The server's time" });
  const words = h("span", { class: "words" });
  const badge = h(
    "span",
    { class: "live", role: "status", "data-state": "connecting" },
    h("span", { class: "dot", "aria-hidden": "true" }),
    words,
  );
  const signIn = h(
    "a",
    { class: "sign-in", href: `/admin/login/?next=${encodeURIComponent(location.pathname)}`, hidden: true },
    "Sign in again",
  );
  const input = h("input", {
    type: "search",
    class: "filter",
    "aria-label": "Filter orders and drivers",
    "aria-keyshortcuts": "/",
    placeholder: "Filter: reference, address, driver, status:assigned",
    autocomplete: "off",
    spellcheck: "false",
  });
  input.addEventListener("input", () => onFilter(input.value));
  const place = canPlace
    ? h(
        "button",
        { type: "button", class: "primary new", onclick: onNew, "aria-keyshortcuts": "n" },
        "New order",
        h("kbd", { "aria-hidden": "true" }, "n"),
      )
    : null;
  const density = h(
    "button",
    {
      type: "button",
      class: "icon density",
      onclick: onCompact,
      "aria-label": "Denser or roomier rows",
      title: "Denser or roomier rows (d)",
    },
    "≡",
  );
  const help = h(
    "button",
    { type: "button", class: "icon help", onclick: onHelp, "aria-label": "Help", title: "Keys and help (?)" },
    "?",
  );
  element.append(
    h(
      "div",
      { class: "stats", role: "group", "aria-label": "Counts" },
      numbers.map(({ box }) => box),
    ),
    h("div", { class: "link" }, badge, signIn, time),
    h("div", { class: "find", role: "search" }, input, h("kbd", { "aria-hidden": "true" }, "/")),
    h("div", { class: "tools" }, density, help, place),
  );

  /** @param {string} text */
  function setFilter(text) {
    input.value = text;
    onFilter(text);
  }

  /** In words: what the board shows is so old. */
  function standing() {
    const { state, lagMs, heardAt, retryAt } = store.link;
    const age = span(performance.now() - heardAt);
    if (state === "live") return ["live", `The latest answer took ${Math.round(lagMs)} ms`];
    if (state === "behind") return [`${span(lagMs)} behind`, "The server has not answered for so long"];
    if (state === "signed_out") return ["signed out", ""];
    if (state === "connecting") return ["connecting…", ""];
    if (state === "catching_up") return ["catching up…", "Connected; reading everything anew"];
    const next = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
    return [heardAt ? `reconnecting · ${age} old` : "reconnecting…", `Next try in ${next} s`];
  }

  function drawLink() {
    const [text = "", title = ""] = standing();
    say(words, text);
    mark(badge, "data-state", store.link.state);
    mark(badge, "title", title || null);
    signIn.hidden = store.link.state !== "signed_out";
    document.body.classList.toggle("is-stale", store.link.state !== "live");
  }

  function drawStats() {
    for (const { name, count, box } of numbers) {
      const value = store.stats[name];
      const onDuty = store.stats.drivers_on_duty;
      say(count, value === undefined ? "–" : name === "drivers_live" && onDuty ? `${value}/${onDuty}` : String(value));
      box.classList.toggle("alarm", ALARMS.includes(name) && Boolean(value));
      // As a rule there are none, and nothing to read.
      if (name === "broken_promises") box.hidden = !value;
    }
    const urgent = store.stats.needs_attention ?? 0;
    const title = urgent ? `(${urgent}) ${TITLE}` : TITLE;
    if (document.title !== title) document.title = title;
  }

  store.subscribe((change) => {
    if (change.link || change.all) drawLink();
    if (change.stats || change.all) drawStats();
  });
  drawLink();

  return {
    setFilter,
    get text() {
      return input.value;
    },
    focusFilter() {
      input.focus();
      input.select();
    },
    isFilter: (/** @type {unknown} */ element) => element === input,
    tick() {
      if (store.link.state !== "live") drawLink();
      say(time, clock(new Date(store.now()).toISOString(), store.now()));
    },
  };
}
