/** The feed of offers, and going on and off duty. */

import { unlock } from "./alerts.js";
import { h } from "./dom.js";
import { direction, metres } from "./geo.js";
import { apart, clock, distance, money, number, span, t } from "./i18n.js";
import { icon } from "./icons.js";
import { actingNote, address, empty, question } from "./parts.js";
import { once } from "./scene.js";
import { everySecond } from "./ticker.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./slots.js").Slot} Slot */
/** @typedef {import("../core/types.js").Offer} Offer */

/** From here on the ring is urgent, in seconds. */
const URGENT = 15;

/** @param {Scene} scene */
export function feed(scene) {
  if (!scene.state.duty.wanted) return resting(scene);
  return h(
    "div.screen",
    null,
    h("h1.sr", { tabindex: "-1" }, t("offers.title")),
    duty(scene),
    scene.slots.length > 0
      ? h(
          "ul.feed",
          { "aria-label": t("offers.title") },
          scene.slots.map((slot) => card(scene, slot)),
        )
      : nothing(scene),
  );
}

/** Off duty: the day so far is elsewhere, here is the one big thing to do. @param {Scene} scene */
function resting(scene) {
  const { duty: state, driver } = scene.state;
  return h(
    "div.screen.resting",
    null,
    h("h1", { tabindex: "-1" }, t("duty.hello", { name: apart(driver?.name ?? "") })),
    h("div.resting-mark", null, icon("power")),
    h("p.resting-state", null, t(state.confirmed === true ? "duty.going_off" : "duty.off")),
    h("p.muted", null, t("duty.rest")),
    h(
      "div.dock",
      null,
      h("button.button.go.big", { type: "button", onclick: () => once(() => goOn(scene)) }, t("duty.go_on")),
    ),
  );
}

/** @param {Scene} scene */
function goOn(scene) {
  // The one tap of the day that everybody makes: it opens the way for sound, and for the question about the location.
  unlock();
  scene.actions.askPosition();
  void scene.actions.setDuty(true);
}

/** The line on top: on duty, how well we know where the driver is, and the switch. @param {Scene} scene */
function duty(scene) {
  const { state } = scene;
  const ask = scene.draft("duty", { asked: false });
  const off = () => {
    ask.asked = false;
    void scene.actions.setDuty(false);
    scene.redraw();
  };
  const [text, tone] = standing(scene);
  return h(
    "section.duty",
    { "aria-label": t("duty.on") },
    h(
      "div.duty-text",
      null,
      h("span.duty-state", { id: "duty-label" }, t("duty.on")),
      h("span.duty-more", { class: tone }, text),
    ),
    h("button.switch", {
      type: "button",
      role: "switch",
      "aria-checked": "true",
      "aria-labelledby": "duty-label",
      onclick: () =>
        once(() => {
          if (state.active.length === 0) return off();
          ask.asked = true;
          return scene.redraw();
        }),
    }),
    ask.asked &&
      question(
        {
          title: t("duty.go_off"),
          text: [h("p", null, t("duty.busy"))],
          yes: t("duty.go_off"),
          no: t("cancel"),
          tone: "danger",
        },
        off,
        () => {
          ask.asked = false;
          scene.redraw();
        },
      ),
  );
}

/** @param {Scene} scene @returns {[string, string]} */
function standing({ state }) {
  if (state.geolocation === "denied") return [t("gps.denied"), "bad"];
  if (state.geolocation === "unavailable") return [t("gps.unavailable"), "bad"];
  if (state.duty.confirmed === null) return [t("duty.going_on"), ""];
  if (state.duty.confirmed === false)
    return [t(state.link.state === "live" ? "duty.going_on" : "duty.server_off"), "warn"];
  if (state.position) return [t("gps.accuracy", { distance: distance(state.position.accuracy_m) }), ""];
  if (state.geolocation === "prompt") return [t("gps.prompt"), "warn"];
  return [t("gps.searching"), "warn"];
}

/** @param {Scene} scene */
function nothing({ state }) {
  if (state.link.state === "offline") return empty("wifi_off", t("offers.none_offline"));
  if (state.driver && state.active.length >= state.driver.capacity) {
    return empty("orders", t("offers.full"), "", h("a.button", { href: "#/orders" }, t("orders.title")));
  }
  return h(
    "div.empty",
    null,
    h("div.radar", { "aria-hidden": "true" }, h("span"), h("span"), icon("maps", "turns")),
    h("p.empty-text", null, t("offers.none")),
    h("p.muted", null, t("offers.none_more")),
  );
}

/**
 * @param {Scene} scene
 * @param {Slot} slot
 */
function card(scene, slot) {
  const { offer } = slot;
  const id = `offer-${slot.order}`;
  const payout = money(offer.payout, offer.currency);
  const open = slot.state === "open";
  return h(
    "li",
    { key: slot.order },
    h(
      "article.card.offer",
      { class: open ? "" : slot.state, "aria-labelledby": id },
      h(
        "div.offer-top",
        null,
        h(
          "div",
          null,
          h("p.payout", null, payout),
          h("p.away", null, t("offers.away", { distance: distance(offer.distance_m) })),
        ),
        open
          ? ring(slot, scene.state.clockOffsetMs)
          : h("div.ring.still", null, icon(slot.state === "won" ? "check" : "cross")),
      ),
      h(
        "div.stops",
        null,
        h(
          "div.stop",
          null,
          icon("pickup"),
          h("h2", { id }, h("span.sr", null, t("offers.pickup"), " "), address(offer.pickup)),
        ),
        h(
          "div.stop.area",
          null,
          icon("dropoff"),
          h("p", null, h("span.sr", null, t("offers.dropoff"), " "), area(offer)),
        ),
      ),
      open &&
        h("p.sr", null, t("offers.until", { time: clock(Date.parse(offer.expires_at) - scene.state.clockOffsetMs) })),
      h("div.offer-acts", null, acts(scene, slot, payout)),
    ),
  );
}

/** @param {Offer} offer */
function area(offer) {
  const away = metres(offer.pickup, offer.dropoff_area);
  // The area is rounded to about a kilometre: nearer than that, nothing can be said.
  if (away < 700) return t("offers.area_near");
  return t("offers.area", {
    distance: distance(Math.round(away / 500) * 500),
    direction: t(`direction.${direction(offer.pickup, offer.dropoff_area)}`),
  });
}

/**
 * What can be done, or what is being done, or why nothing can: all in the same place and of the same height.
 * @param {Scene} scene
 * @param {Slot} slot
 * @param {string} payout
 */
function acts(scene, slot, payout) {
  const { offer } = slot;
  if (slot.state === "won") {
    return [
      h("p.outcome.good", null, icon("check"), h("span", null, t("offers.yours"))),
      h("a.button.primary", { href: `#/order/${slot.order}` }, t("offers.open_order")),
    ];
  }
  if (slot.state === "gone") {
    return [
      h("p.outcome", null, h("span", null, why(slot))),
      h(
        "button.button.quiet",
        { type: "button", onclick: () => once(() => scene.clearSlot(slot.order)) },
        t("offers.clear"),
      ),
    ];
  }
  if (offer.act) return actingNote(offer.act);
  const arming = scene.draft("declining", { order: "", at: 0 });
  const sure = arming.order === slot.order;
  const where = offer.pickup.address;
  return [
    h(
      "button.button.decline",
      {
        key: "decline",
        type: "button",
        class: sure ? "sure" : "",
        "aria-label": t(sure ? "offers.decline_sure_label" : "offers.decline_label", { address: where }),
        onclick: () =>
          once(() => {
            if (sure) {
              scene.drop("declining");
              void scene.actions.decline(slot.order);
            } else {
              const at = Date.now();
              Object.assign(arming, { order: slot.order, at });
              // Unarmed again by itself: a stray touch leaves no trap behind.
              setTimeout(() => {
                if (arming.at !== at) return;
                arming.order = "";
                scene.redraw();
              }, 4000);
            }
            scene.redraw();
          }, slot.since),
      },
      t(sure ? "offers.decline_sure" : "act.decline"),
    ),
    h(
      "button.button.go.accept",
      {
        key: "accept",
        type: "button",
        "aria-label": t("offers.accept_label", { payout, address: where }),
        onclick: () => once(() => scene.actions.accept(slot.order), slot.since),
      },
      t("act.accept"),
    ),
  ];
}

/** @param {Slot} slot */
function why(slot) {
  return slot.ago !== null && slot.ago >= 1 && (slot.reason === "order_taken" || slot.reason === "order_expired")
    ? t(`gone.${slot.reason}_ago`, { span: span(slot.ago) })
    : t(`gone.${slot.reason}`);
}

/**
 * The countdown, by the server's clock. It is drawn once and then moves by itself; screen readers are told the time instead.
 * @param {Slot} slot
 * @param {number} offsetMs
 */
function ring(slot, offsetMs) {
  const until = Date.parse(slot.offer.expires_at);
  const count = (/** @type {HTMLElement} */ element) =>
    everySecond(() => {
      const left = Math.max(0, (until - Date.now() - offsetMs) / 1000);
      const text = element.querySelector(".ring-left");
      const shown = left >= 100 ? `${number(Math.ceil(left / 60))}′` : number(Math.ceil(left));
      if (text && text.textContent !== shown) text.textContent = shown;
      element.style.setProperty("--left", String(Math.min(1, left / slot.seconds)));
      element.classList.toggle("urgent", left <= URGENT);
    });
  // A new deadline or a corrected clock is a new ring.
  return h(
    "div.ring",
    { key: `${until}/${Math.round(offsetMs / 500)}`, "aria-hidden": "true", hook: { mount: count } },
    h(
      "svg",
      { viewBox: "0 0 64 64" },
      h("circle", { class: "ring-rail", cx: "32", cy: "32", r: "28" }),
      h("circle", { class: "ring-run", cx: "32", cy: "32", r: "28", pathLength: "1" }),
    ),
    h("span.ring-left"),
  );
}
