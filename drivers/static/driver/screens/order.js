/** The orders in hand: where to, whom to call, and the one next thing to do. */

import { h } from "./dom.js";
import { callLink } from "./geo.js";
import { clock, money, t } from "./i18n.js";
import { icon } from "./icons.js";
import { actingNote, address, empty, mapsButton, title } from "./parts.js";
import { once } from "./scene.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("../core/types.js").Order} Order */

/** @param {Scene} scene */
export function orders(scene) {
  const { active } = scene.state;
  const shown = active.find((order) => order.id === scene.route.order) ?? active[0];
  if (!shown) {
    return h(
      "div.screen",
      null,
      title(t("orders.title")),
      empty(
        "orders",
        t("orders.none"),
        t("orders.none_more"),
        h("a.button", { href: "#/offers" }, t("orders.see_offers")),
      ),
    );
  }
  return h(
    "div.screen",
    null,
    title(t(shown.status === "picked_up" ? "order.to_dropoff" : "order.to_pickup")),
    active.length > 1 && switcher(active, shown),
    h("div", { key: shown.id }, details(scene, shown)),
  );
}

/**
 * Whoever carries several switches between them here.
 * @param {Order[]} active
 * @param {Order} shown
 */
function switcher(active, shown) {
  return h(
    "nav.switcher",
    { "aria-label": t("orders.switch") },
    active.map((order) => {
      const next = order.status === "picked_up" && order.dropoff ? order.dropoff : order.pickup;
      return h(
        "a",
        { key: order.id, href: `#/order/${order.id}`, "aria-current": order.id === shown.id ? "true" : null },
        icon(order.status === "picked_up" ? "dropoff" : "pickup"),
        address(next),
      );
    }),
  );
}

/**
 * @param {Scene} scene
 * @param {Order} order
 */
function details(scene, order) {
  const carried = order.status === "picked_up";
  return [
    h(
      "ol.journey",
      null,
      step(order, "pickup", carried ? "done" : "now"),
      step(order, "dropoff", carried ? "now" : "later"),
    ),
    order.contact?.notes && note(order.contact.notes),
    h(
      "dl.facts",
      null,
      h("div", null, h("dt", null, t("order.payout")), h("dd", null, money(order.payout, order.currency))),
      order.reference &&
        h("div", null, h("dt", null, t("order.reference")), h("dd", null, h("bdi", null, order.reference))),
    ),
    order.act
      ? h("div.dock", null, actingNote(order.act))
      : h(
          "div.dock",
          null,
          carried
            ? h("a.button.go.big", { href: `#/order/${order.id}/deliver` }, t("order.deliver"))
            : h(
                "button.button.go.big",
                { key: "pick-up", type: "button", onclick: () => once(() => scene.actions.pickUp(order.id)) },
                t("order.pick_up"),
              ),
          carried
            ? h("a.button.quiet", { href: `#/order/${order.id}/fail` }, icon("flag"), h("span", null, t("order.fail")))
            : h(
                "a.button.quiet",
                { href: `#/order/${order.id}/release` },
                icon("undo", "turns"),
                h("span", null, t("order.release")),
              ),
        ),
  ];
}

/**
 * @param {Order} order
 * @param {"pickup" | "dropoff"} which
 * @param {"done" | "now" | "later"} when
 */
function step(order, which, when) {
  const place = which === "pickup" ? order.pickup : order.dropoff;
  if (!place) return null;
  const customer = which === "dropoff" ? order.contact : null;
  return h(
    "li.step",
    { class: when, "aria-current": when === "now" ? "step" : null },
    h("div.step-mark", null, icon(when === "done" ? "check" : which)),
    h(
      "div.step-body",
      null,
      h(
        "p.step-what",
        null,
        when === "done" && order.picked_up_at
          ? t("order.picked_up_at", { time: clock(order.picked_up_at) })
          : t(`order.${which}`),
      ),
      h("p.step-where", null, address(place)),
      customer && h("p.step-who", null, icon("person"), h("bdi", { dir: "auto" }, customer.name)),
    ),
    when === "now" &&
      h(
        "div.step-acts",
        null,
        mapsButton(place),
        order.contact?.phone &&
          h(
            "a.button",
            {
              href: callLink(order.contact.phone),
              "aria-label": t("order.call", { name: order.contact.name }),
            },
            icon("phone"),
            h("span", null, t("order.call_short")),
          ),
      ),
  );
}

/** @param {string} text */
function note(text) {
  return h("section.card.notes", { "aria-label": t("order.notes") }, icon("note"), h("p", { dir: "auto" }, text));
}
