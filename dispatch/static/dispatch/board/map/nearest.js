// Who is nearest to the selected order: a numbered list beside the map, the same numbers on it, and one click to assign.
// What the board knows itself is there at once; the server's judgement (who is ruled out, and why) follows.

import { h, mark, say } from "../dom.js";
import { distance, label, ms, span } from "../format.js";
import { metresBetween } from "./fleet.js";

/**
 * @typedef {import("../store.js").Store} Store
 * @typedef {import("../store.js").Order} Order
 * @typedef {{driver: number, name: string, vehicle: string, distance_m: number, position_age_s: number | null,
 *   load: number, capacity: number, verdict: string | null}} Near
 * @typedef {{button: HTMLButtonElement, number: HTMLElement, name: HTMLElement, about: HTMLElement, driver: number}} Line
 */

export const SHOWN = 6;
const ASK_EVERY_MS = 5000;

/** What rules a driver out, in words. @type {Record<string, string>} */
const VERDICTS = {
  suspended: "suspended",
  silent: "not heard of",
  wrong_vehicle: "wrong vehicle",
  at_capacity: "no room left",
  declined: "said no",
  barred: "was taken off it",
};

/** @param {Near} near */
const ageOf = (near) => (near.position_age_s === null ? "no position" : `${span(near.position_age_s * 1000)} ago`);

/**
 * @param {HTMLElement} element
 * @param {{
 *   store: Store, settings: import("../settings.js").Settings, acts: any, api: import("../api.js").Api,
 *   nearestLive: (place: {lat: number, lng: number}, limit: number, vehicle: string) => number[],
 *   onChange: (drivers: number[], lit: number) => void,
 * }} context
 */
export function mountNearest(element, { store, settings, acts, api, nearestLive, onChange }) {
  const title = h("h2", { class: "near-title" });
  const list = h("ol", { class: "near-list" });
  const told = h("p", { class: "near-told", role: "status" });
  const ruledOut = h("ul", {});
  const others = h("details", { class: "near-others" }, h("summary", null, "Ruled out"), ruledOut);
  const close = h(
    "button",
    { type: "button", class: "near-close", "aria-label": "Close the list", onclick: hide },
    "✕",
  );
  element.append(h("div", { class: "near-head" }, title, close), list, told, others);
  element.hidden = true;

  /** @type {Order | null} */
  let order = null;
  /** @type {Near[]} */
  let shown = [];
  /** @type {Near[] | null} */
  let waiting = null;
  /** @type {string | null} Closed by hand: stays closed until another order is selected. */
  let closedFor = null;
  /** @type {Line[]} */
  const lines = [];
  let lit = -1;
  let asked = 0;
  let answered = 0;
  let timer = 0;
  let assigning = false;

  for (let index = 0; index < SHOWN; index += 1) list.append(line(index));

  /** @param {number} index */
  function line(index) {
    const number = h("span", { class: "near-number", "aria-hidden": "true" }, index + 1);
    const name = h("span", { class: "near-name" });
    const about = h("span", { class: "near-about" });
    const button = h(
      "button",
      {
        type: "button",
        class: "near-one",
        onclick: () => assign(index),
        onpointerenter: () => light(index),
        onpointerleave: () => light(-1),
        onfocus: () => light(index),
        onblur: () => light(-1),
      },
      number,
      settings.can.assign && h("span", { class: "near-unseen" }, "Assign to "),
      name,
      about,
    );
    lines.push({ button, number, name, about, driver: 0 });
    return h("li", null, button);
  }

  /** @param {number} index */
  function light(index) {
    if (lit === index) return;
    lit = index;
    onChange(
      shown.map((near) => near.driver),
      lit,
    );
  }

  function hide() {
    closedFor = order?.id ?? null;
    update();
  }

  /** What a click does to an order as it is. @param {Order} of @returns {"assign" | "reassign"} */
  const actOn = (of) => (of.status === "assigned" ? "reassign" : "assign");

  /** @param {Order} of */
  function entitle(of) {
    const verb = actOn(of) === "reassign" ? "Reassign" : "Assign";
    say(title, `${settings.can.assign ? verb : "Near"} ${label(of)}`);
  }

  /** Nobody wants the row under the pointer or the focus to become somebody else's. */
  const isHeld = () => list.matches(":hover") || list.matches(":focus-within");

  /** @param {Near[]} found */
  function take(found) {
    if (isHeld() && shown.length) {
      waiting = found;
      return;
    }
    waiting = null;
    shown = found.slice(0, SHOWN);
    draw();
    onChange(
      shown.map((near) => near.driver),
      lit,
    );
  }

  function draw() {
    const mayNot = order ? acts.why(actOn(order), [{ order: order.id, version: order.version }]) : "";
    for (const [index, { button, name, about }] of lines.entries()) {
      const near = shown[index];
      /** @type {HTMLElement} */ (button.parentElement).hidden = !near;
      if (!near) continue;
      /** @type {Line} */ (lines[index]).driver = near.driver;
      const holds = `${near.load} of ${near.capacity}`;
      say(name, near.name);
      say(about, `${distance(near.distance_m)} · ${ageOf(near)} · ${holds} · ${near.vehicle}`);
      mark(button, "aria-disabled", mayNot || assigning ? "true" : null);
      mark(button, "title", mayNot || `Click to ${order ? actOn(order) : "assign"}`);
    }
  }

  /** @param {number} index */
  async function assign(index) {
    const near = shown[index];
    if (!order || !near || assigning) return;
    const rows = [{ order: order.id, version: order.version }];
    const act = actOn(order);
    const mayNot = acts.why(act, rows);
    if (mayNot) {
      say(told, mayNot);
      return;
    }
    assigning = true;
    say(told, `Assigning to ${near.name} …`);
    draw();
    try {
      const [result] = await acts.run(act, rows, { driver: near.driver });
      say(told, result?.ok ? "" : (result?.problem?.detail ?? "It was not assigned."));
    } finally {
      assigning = false;
      draw();
    }
  }

  /** From the board's own knowledge. @param {Order} of @returns {Near[]} */
  function guess(of) {
    return nearestLive(of.pickup, SHOWN, of.vehicle).flatMap((id) => {
      const driver = store.drivers.get(id);
      if (!driver || typeof driver.lat !== "number" || typeof driver.lng !== "number") return [];
      return [
        {
          driver: id,
          name: driver.name ?? `driver ${id}`,
          vehicle: driver.vehicle ?? "",
          distance_m: metresBetween(of.pickup, { lat: driver.lat, lng: driver.lng }),
          position_age_s: driver.last_seen
            ? Math.max(0, Math.round((store.now() - ms(driver.last_seen)) / 1000))
            : null,
          load: driver.load ?? 0,
          capacity: driver.capacity ?? 1,
          verdict: null,
        },
      ];
    });
  }

  async function ask() {
    clearTimeout(timer);
    // Without the permission the server says nothing; then the board's own list is all there is.
    if (!order || element.hidden || !settings.can.assign) return;
    asked += 1;
    const mine = asked;
    const id = order.id;
    try {
      const answer = await api.get("board/candidates/", { order: id });
      if (mine !== asked || order?.id !== id) return;
      answered = performance.now();
      say(told, answer.results.length ? "" : `No driver who could take it within reach.`);
      take(answer.results);
      tellOthers(answer.ruled_out ?? []);
    } catch {
      // The board's own list stays; the next round asks again.
    }
    if (mine === asked) timer = setTimeout(ask, ASK_EVERY_MS);
  }

  /** @param {Near[]} found */
  function tellOthers(found) {
    others.hidden = !found.length;
    say(/** @type {HTMLElement} */ (others.firstElementChild), `Ruled out: ${found.length}`);
    ruledOut.replaceChildren(
      ...found.map((near) =>
        h(
          "li",
          null,
          h("button", { type: "button", onclick: () => store.select({ driver: near.driver }) }, near.name),
          ` ${distance(near.distance_m)}, ${VERDICTS[near.verdict ?? ""] ?? near.verdict}`,
        ),
      ),
    );
  }

  /** The selection, or the selected order, may be another one. */
  function update() {
    const chosen = store.selection.order ? store.orders.get(store.selection.order) : undefined;
    const before = order;
    if (chosen?.id !== closedFor) closedFor = null;
    const wanted = chosen && (chosen.status === "pending" || chosen.status === "assigned") && closedFor === null;
    order = chosen ?? null;
    if (!wanted || !chosen) {
      if (!element.hidden || before) {
        element.hidden = true;
        asked += 1;
        clearTimeout(timer);
        shown = [];
        waiting = null;
        onChange([], -1);
      }
      return;
    }
    if (element.hidden || before?.id !== chosen.id) {
      element.hidden = false;
      mark(element, "aria-label", `Drivers nearest to ${label(chosen)}`);
      entitle(chosen);
      say(told, "");
      others.hidden = true;
      shown = guess(chosen);
      draw();
      onChange(
        shown.map((near) => near.driver),
        lit,
      );
      void ask();
    } else if (before !== chosen) {
      entitle(chosen);
      draw();
      if (before?.version !== chosen.version) void ask();
    }
  }

  return {
    update,
    assign,
    /** Once a second: positions age, and what had to wait may have its turn. */
    tick() {
      if (element.hidden || !order) return;
      if (waiting && !isHeld()) take(waiting);
      const answeredLately = performance.now() - answered < 2 * ASK_EVERY_MS;
      for (const near of shown) {
        const driver = store.drivers.get(near.driver);
        if (!driver) continue;
        near.load = driver.load ?? near.load;
        if (typeof driver.lat === "number" && typeof driver.lng === "number" && !answeredLately) {
          near.distance_m = metresBetween(order.pickup, { lat: driver.lat, lng: driver.lng });
        }
        if (driver.last_seen)
          near.position_age_s = Math.max(0, Math.round((store.now() - ms(driver.last_seen)) / 1000));
      }
      draw();
    },
  };
}
