/** What surrounds every screen: how live it is, what waits, the way to the others. */

import { check } from "./check.js";
import { deliver } from "./deliver.js";
import { h } from "./dom.js";
import { feed } from "./feed.js";
import { clock, t } from "./i18n.js";
import { icon } from "./icons.js";
import { messages } from "./messages.js";
import { notices } from "./notices.js";
import { orders } from "./order.js";
import { reason } from "./reason.js";
import { settings } from "./settings.js";
import { signIn } from "./signin.js";
import { today } from "./today.js";
import { waiting } from "./waiting.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./dom.js").VElement} VElement */

/** @param {Scene} scene */
export function shell(scene) {
  const { state } = scene;
  if (state.phase === "starting") return [h("main.start", null, h("p", { role: "status" }, t("start.loading")))];
  if (state.phase === "signed_out") return [h("main", { key: "signed-out" }, signIn(scene))];
  return [
    strip(scene),
    h(
      "main",
      { key: "ready" },
      banners(scene),
      h("div", { key: `${scene.route.name}/${scene.route.step}` }, screen(scene)),
    ),
    tabs(scene),
    notices(scene),
  ];
}

/** @param {Scene} scene @returns {VElement} */
function screen(scene) {
  switch (`${scene.route.name}/${scene.route.step}`) {
    case "orders/":
    case "order/":
      return orders(scene);
    case "order/deliver":
      return deliver(scene);
    case "order/fail":
      return reason(scene, "fail");
    case "order/release":
      return reason(scene, "release");
    case "messages/":
      return messages(scene);
    case "today/":
      return today(scene);
    case "settings/":
      return settings(scene);
    case "check/":
      return check(scene);
    case "waiting/":
      return waiting(scene);
    default:
      return feed(scene);
  }
}

/** How live it is, in one line that is always there. @param {Scene} scene */
function strip({ state }) {
  const { link, asOf, waiting: acts } = state;
  const time = asOf === null ? "" : clock(asOf);
  const text = link.replaced
    ? t("link.replaced")
    : link.state === "live"
      ? t(state.duty.wanted ? "link.live" : "link.off_duty")
      : t(asOf === null ? `link.${link.state}` : `link.${link.state}_as_of`, { time });
  return h(
    "header.strip",
    { class: link.replaced ? "connecting" : link.state === "live" && !state.duty.wanted ? "resting" : link.state },
    h("p.strip-text", { id: "link" }, h("span.strip-dot", { "aria-hidden": "true" }), h("span", null, text)),
    acts.length > 0 &&
      h(
        "a.strip-waiting",
        { href: "#/waiting" },
        icon("clock"),
        h("span", null, t("waiting.chip", { count: acts.length })),
      ),
  );
}

/** @param {Scene} scene */
function banners(scene) {
  const { state, actions } = scene;
  const busy = state.active.length > 0 || state.waiting.length > 0;
  return [
    state.storage !== "ok" &&
      h("p.note.bad", { key: "storage" }, icon("alert"), h("span", null, t(`storage.${state.storage}`))),
    state.link.replaced &&
      h(
        "div.note.warn",
        { key: "replaced" },
        icon("alert"),
        h("span", null, t("link.replaced")),
        h("button.button", { type: "button", onclick: () => actions.sync() }, t("link.replaced_take")),
      ),
    state.updateReady &&
      !busy &&
      h(
        "div.note.info",
        { key: "update" },
        icon("refresh"),
        h("span", null, t("update.ready")),
        h("button.button", { type: "button", onclick: () => actions.applyUpdate() }, t("update.apply")),
      ),
  ];
}

/** @type {[string, string[]][]} */
const TABS = [
  ["offers", ["offers", "waiting"]],
  ["orders", ["orders", "order"]],
  ["messages", ["messages"]],
  ["today", ["today"]],
  ["settings", ["settings", "check"]],
];

/** @param {Scene} scene */
function tabs({ state, route }) {
  /** @type {Record<string, number>} */
  const counts = {
    offers: state.offers.filter((offer) => !offer.act).length,
    orders: state.active.length,
    messages: state.messages.filter((message) => !message.read_at).length,
  };
  return h(
    "nav.tabs",
    { "aria-label": t("nav.label") },
    TABS.map(([name, routes]) => {
      const count = counts[name] ?? 0;
      return h(
        "a",
        {
          key: name,
          href: `#/${name}`,
          "aria-current": routes.includes(route.name) ? "page" : null,
        },
        h(
          "span.tab-icon",
          null,
          icon(name, name === "offers" ? "turns" : ""),
          count > 0 && h("span.tab-count", { "aria-hidden": "true" }, String(count)),
        ),
        h("span.tab-name", null, t(`nav.${name}`)),
        count > 0 && h("span.sr", null, t(name === "orders" ? "nav.held" : "nav.badge", { count })),
      );
    }),
  );
}
