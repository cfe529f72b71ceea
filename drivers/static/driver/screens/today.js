/** Today's figures, and what was carried before, page by page. */

import { h } from "./dom.js";
import { metres } from "./geo.js";
import { day, distance, moment, money, number, t, worked } from "./i18n.js";
import { icon } from "./icons.js";
import { address, title } from "./parts.js";
import { asProblem } from "./scene.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("../core/types.js").ApiOrder} ApiOrder */
/** @typedef {import("../core/types.js").Figures} Figures */

/**
 * @typedef {{
 *   asked: boolean, busy: boolean, failed: string, orders: ApiOrder[], next: string | null, figures: Figures | null, at: number,
 * }} Kept
 */

/** @param {Scene} scene */
export function today(scene) {
  /** @type {Kept} */
  const kept = scene.draft("today", {
    asked: false,
    busy: false,
    failed: "",
    orders: [],
    next: null,
    figures: null,
    at: 0,
  });
  if (!kept.asked) {
    kept.asked = true;
    void load(scene, kept);
  }
  return h(
    "div.screen",
    null,
    title(t("today.title")),
    figures(scene, kept),
    h("h2.section", null, t("today.history")),
    kept.orders.length > 0 &&
      h(
        "ul.history",
        null,
        kept.orders.map((order) => row(scene, order)),
      ),
    h(
      "div",
      { role: "status" },
      kept.busy && kept.orders.length === 0 && h("p.muted.centre", null, t("today.loading")),
      !kept.busy && !kept.failed && kept.orders.length === 0 && h("p.muted.centre", null, t("today.none")),
      kept.failed && h("p.note.warn", null, icon("wifi_off"), h("span", null, kept.failed)),
    ),
    kept.failed
      ? h("button.button", { type: "button", onclick: () => load(scene, kept) }, icon("refresh"), t("retry"))
      : kept.next &&
          h(
            "button.button",
            { type: "button", "aria-disabled": kept.busy ? "true" : null, onclick: () => more(scene, kept) },
            t(kept.busy ? "today.loading" : "today.more"),
          ),
  );
}

/**
 * @param {Scene} scene
 * @param {Kept} kept
 */
async function load(scene, kept) {
  if (kept.busy) return;
  Object.assign(kept, { busy: true, failed: "" });
  scene.redraw();
  try {
    const [figures, page] = await Promise.all([scene.actions.figures(), scene.actions.history()]);
    Object.assign(kept, { figures, orders: page.results, next: page.next, at: Date.now() });
  } catch (error) {
    kept.failed = t(asProblem(error).code === "network" ? "today.offline" : "today.failed_to_load");
  }
  kept.busy = false;
  scene.redraw();
}

/**
 * @param {Scene} scene
 * @param {Kept} kept
 */
async function more(scene, kept) {
  if (kept.busy || !kept.next) return;
  kept.busy = true;
  scene.redraw();
  try {
    const page = await scene.actions.history(cursorOf(kept.next));
    const known = new Set(kept.orders.map((order) => order.id));
    kept.orders = [...kept.orders, ...page.results.filter((order) => !known.has(order.id))];
    kept.next = page.next;
  } catch (error) {
    kept.failed = t(asProblem(error).code === "network" ? "today.offline" : "today.failed_to_load");
  }
  kept.busy = false;
  scene.redraw();
}

/** The API gives the next page as an address. @param {string} next */
function cursorOf(next) {
  return next.includes("cursor=") ? (new URL(next, location.href).searchParams.get("cursor") ?? next) : next;
}

/**
 * @param {Scene} scene
 * @param {Kept} kept
 */
function figures(scene, kept) {
  const told = kept.figures;
  return h(
    "section.card.figures",
    { "aria-label": t("today.title") },
    h("p.figures-day", null, day(scene.now)),
    h(
      "p.figures-earned",
      null,
      h("span.figures-name", null, t("today.earned")),
      told && told.payouts.length > 0
        ? told.payouts.map((payout) =>
            h("span.figures-money", { key: payout.currency }, money(payout.amount, payout.currency)),
          )
        : h("span.figures-money", null, told ? number(0) : "–"),
    ),
    h(
      "dl.figures-rest",
      null,
      figure(t("today.delivered"), told ? number(told.delivered) : "–"),
      figure(t("today.failed"), told ? number(told.failed) : "–"),
      told?.on_duty_seconds === undefined
        ? figure(t("today.released"), told ? number(told.released) : "–")
        : figure(t("today.on_duty"), worked(told.on_duty_seconds)),
    ),
  );
}

/**
 * @param {string} name
 * @param {string} value
 */
function figure(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

/**
 * @param {Scene} scene
 * @param {ApiOrder} order
 */
function row(scene, order) {
  const at =
    order.delivered_at ??
    order.failed_at ??
    order.cancelled_at ??
    order.picked_up_at ??
    order.assigned_at ??
    order.created_at;
  return h(
    "li.past",
    { key: order.id },
    h("div.past-mark", { class: order.status }, icon(MARKS[order.status] ?? "orders")),
    h(
      "div.past-body",
      null,
      h("p.past-where", null, address(order.dropoff ?? order.pickup)),
      h("p.muted.small", null, `${t(`status.${order.status}`)} · ${moment(at, scene.now)}`),
    ),
    h(
      "div.past-worth",
      null,
      h("p.past-money", { class: order.status === "delivered" ? "" : "muted" }, money(order.payout, order.currency)),
      order.dropoff && h("p.muted.small", null, distance(metres(order.pickup, order.dropoff))),
    ),
  );
}

/** @type {Record<string, string>} */
const MARKS = { delivered: "check", failed: "flag", cancelled: "cross", picked_up: "dropoff", assigned: "pickup" };
