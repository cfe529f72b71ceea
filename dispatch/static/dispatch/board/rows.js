// One row of each kind: made once, filled when its order changed, ticked once a second while in sight.

import { h, mark, say, ticking } from "./dom.js";
import { distance, label, ms, plural, reasonWord, span, statusWord, where } from "./format.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./store.js").Order} Order
 * @typedef {import("./virtual.js").Item} Item
 */

export const ROW_PX = 46;
export const COMPACT_PX = 28;
export const GROUP_PX = 30;

/** From here on a deadline is shown as near. */
const SOON_MS = 30_000;

/** Reasons that cannot wait, and those that only ask for a look. */
const GRAVE = new Set(["expired", "no_candidate", "all_declined", "holder_silent"]);

/**
 * @param {{store: Store, liveSeconds: number, user: number}} context
 */
export function createRows({ store, liveSeconds, user }) {
  /** @param {number | null} id */
  const nameOf = (id) => (id === null ? "" : (store.drivers.get(id)?.name ?? `driver ${id}`));

  /** @param {string} kind */
  function make(kind) {
    if (kind === "group" || kind === "driver") {
      return h(
        "div",
        { class: `row ${kind}`, role: "row" },
        h(
          "div",
          { class: "cell", role: "gridcell" },
          h("span", { class: "dot" }),
          h("strong", { class: "name" }),
          h("span", { class: "state" }),
          h("span", { class: "load" }),
        ),
      );
    }
    return h(
      "div",
      { class: `row order ${kind}`, role: "row" },
      h("span", { class: "pick", "aria-hidden": "true" }),
      h(
        "div",
        { class: "cell", role: "gridcell" },
        h(
          "div",
          { class: "line" },
          h("span", { class: "badge what" }),
          h("strong", { class: "name" }),
          h("span", { class: "tags" }),
          h("span", { class: "times" }),
        ),
        h(
          "div",
          { class: "line way" },
          h("span", { class: "from" }),
          h("span", { class: "arrow", "aria-label": "to" }, "→"),
          h("span", { class: "to" }),
          h("span", { class: "who" }),
        ),
      ),
    );
  }

  /** @param {Element} element @param {string} name */
  const part = (element, name) => /** @type {HTMLElement} */ (element.querySelector(`.${name}`));

  /** @param {HTMLElement} element @param {Item} item */
  function fill(element, item) {
    if (item.kind === "group" || item.kind === "driver") fillDriver(element, item);
    else if (item.order) fillOrder(element, item);
    else fillUnknown(element, item);
  }

  /** @param {HTMLElement} element @param {Item} item */
  function fillDriver(element, item) {
    const driver = item.driver;
    const state = stateOf(driver);
    mark(part(element, "dot"), "class", `dot ${state.key}`);
    say(part(element, "name"), driver.name ?? `driver ${driver.id}`);
    say(part(element, "state"), state.word);
    say(part(element, "load"), driver.capacity ? `${driver.load ?? 0}/${driver.capacity}` : "");
    mark(part(element, "load"), "title", driver.capacity ? "orders held / capacity" : null);
  }

  /** What a driver is doing, as a class and in words. @param {import("./store.js").Driver} driver */
  function stateOf(driver) {
    if (driver.suspended) return { key: "off", word: "suspended" };
    if (!driver.is_online) return { key: driver.load ? "silent" : "off", word: "off duty" };
    if (!store.isLive(driver, liveSeconds)) {
      const age = store.now() - ms(driver.last_seen);
      return { key: "silent", word: Number.isNaN(age) ? "never heard of" : `silent for ${span(age)}` };
    }
    return driver.load ? { key: "busy", word: "" } : { key: "free", word: "free" };
  }

  /** @param {HTMLElement} element @param {Item} item */
  function fillOrder(element, item) {
    /** @type {Order} */
    const order = item.order;
    const what = part(element, "what");
    if (item.kind === "attention") {
      say(what, reasonWord(item.row.reason));
      mark(what, "class", `badge what ${GRAVE.has(item.row.reason) ? "grave" : "warn"}`);
    } else if (item.kind !== "open") {
      say(what, statusWord(order));
      mark(what, "class", `badge what status-${order.status}`);
    }
    say(part(element, "name"), label(order));
    const tags = part(element, "tags");
    tags.replaceChildren(...tagsOf(order, item.kind));
    part(element, "times").replaceChildren(...timesOf(order, item));
    say(part(element, "from"), where(order.pickup));
    say(part(element, "to"), where(order.dropoff));
    mark(part(element, "way"), "title", `${where(order.pickup)} → ${where(order.dropoff)}`);
    say(part(element, "who"), whoOf(order, item));
    element.classList.toggle("picked-up", order.status === "picked_up");
  }

  /** Who holds it, and how they are with respect to it. @param {Order} order @param {Item} item */
  function whoOf(order, item) {
    if (item.kind === "progress") return "";
    const { metres, off_duty: offDuty } = item.row?.detail ?? {};
    const away = metres === undefined ? "" : `${distance(metres)} ${order.status === "picked_up" ? "to go" : "away"}`;
    return [nameOf(order.driver), offDuty ? "off duty" : away].filter(Boolean).join(" · ");
  }

  /** An order that needs attention but is not among those the board was sent. @param {HTMLElement} element @param {Item} item */
  function fillUnknown(element, item) {
    for (const name of ["tags", "times", "from", "to"]) say(part(element, name), "");
    mark(part(element, "way"), "title", null);
    element.classList.remove("picked-up");
    say(part(element, "what"), reasonWord(item.row.reason));
    mark(part(element, "what"), "class", `badge what ${GRAVE.has(item.row.reason) ? "grave" : "warn"}`);
    say(part(element, "name"), label({ id: item.row.order }));
    say(part(element, "who"), nameOf(item.row.detail?.driver ?? null));
  }

  /** @param {Order} order @param {string} kind */
  function tagsOf(order, kind) {
    const tags = [];
    if (order.pinned)
      tags.push(h("span", { class: "tag pin", title: "Chosen by hand: auto-assign leaves it alone" }, "pinned"));
    if (order.priority > 0)
      tags.push(h("span", { class: "tag prio", title: `priority ${order.priority}` }, `P${order.priority}`));
    if (order.vehicle) tags.push(h("span", { class: "tag" }, order.vehicle));
    if (kind === "open" && order.offers) {
      const { open, declined } = order.offers;
      tags.push(h("span", { class: `tag quiet${open ? "" : " none"}` }, plural(open, "offer")));
      if (declined) tags.push(h("span", { class: "tag quiet" }, `${declined} declined`));
    }
    const viewers = store.viewers.get(order.id)?.filter((person) => person.id !== user) ?? [];
    if (viewers.length) {
      const names = viewers.map((person) => person.name).join(", ");
      tags.push(h("span", { class: "tag eye", title: `${names} has this order open` }, names));
    }
    return tags;
  }

  /** @param {Order} order @param {Item} item */
  function timesOf(order, item) {
    if (item.kind === "attention") {
      const due = h("span", { class: "trouble", "data-due": String(item.note ?? store.now()) });
      return [due];
    }
    if (item.kind === "open") return openTimes(order);
    const at = order.delivered_at ?? order.failed_at ?? order.cancelled_at ?? order.picked_up_at ?? order.assigned_at;
    return at ? [ticking(ms(at), "since"), h("span", { class: "unit" }, " ago")] : [];
  }

  /** Both countdowns; before its release the time until then in their place. @param {Order} order */
  function openTimes(order) {
    const assign = ticking(ms(order.auto_assign_at), "until", "until the system assigns it");
    assign.classList.add("auto");
    const expiry = ticking(ms(order.expires_at), "until", "until it expires");
    expiry.classList.add("expiry");
    const isPinned = Boolean(order.pinned);
    const unit = h("span", { class: "unit" }, isPinned ? "by hand" : "auto ");
    const deadlines = h("span", null, unit, !isPinned && assign, h("span", { class: "unit" }, " expires "), expiry);
    const release = ms(order.release_at);
    if (release <= store.now()) return [deadlines];
    return [
      h(
        "span",
        { class: "release", "data-at": release },
        h("span", { class: "unit" }, "offered in "),
        ticking(release, "until"),
      ),
      deadlines,
    ];
  }

  /** Bring the times of a row up to date. @param {Element} element */
  function tick(element) {
    const now = store.now();
    for (const time of /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll(".ticks"))) {
      const at = Number(time.dataset.at);
      if (time.dataset.way === "since") say(time, span(now - at));
      else {
        say(time, at <= now ? "now" : span(at - now));
        time.classList.toggle("soon", at - now < SOON_MS);
      }
    }
    const release = /** @type {HTMLElement | null} */ (element.querySelector(".release"));
    if (release) {
      release.hidden = Number(release.dataset.at) <= now;
      /** @type {HTMLElement} */ (release.nextElementSibling).hidden = !release.hidden;
    }
    const trouble = /** @type {HTMLElement | null} */ (element.querySelector(".trouble"));
    if (trouble) {
      const left = Number(trouble.dataset.due) - now;
      say(trouble, left > 0 ? `in ${span(left)}` : `for ${span(-left)}`);
      trouble.classList.toggle("over", left <= 0);
    }
  }

  return { make, fill, tick, stateOf, nameOf };
}
