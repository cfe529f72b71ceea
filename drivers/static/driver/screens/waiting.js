/** Taps that the server has not confirmed: what they are, since when, and that nobody needs to do anything. */

import { h } from "./dom.js";
import { clock, t } from "./i18n.js";
import { icon } from "./icons.js";
import { address, empty, title } from "./parts.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("../core/types.js").Act} Act */

/** @param {Scene} scene */
export function waiting(scene) {
  const acts = scene.state.waiting;
  return h(
    "div.screen",
    null,
    title(t("waiting.title"), "#/offers"),
    acts.length === 0
      ? empty("check", t("waiting.none"))
      : [
          h("p.muted", null, t("waiting.explain")),
          h(
            "ul.history",
            null,
            acts.map((act) => row(scene, act)),
          ),
          h(
            "button.button",
            { type: "button", onclick: () => scene.actions.sync() },
            icon("refresh"),
            h("span", null, t("waiting.sync")),
          ),
        ],
  );
}

/**
 * @param {Scene} scene
 * @param {Act} act
 */
function row({ state }, act) {
  const about =
    state.active.find((order) => order.id === act.order) ?? state.offers.find((offer) => offer.order === act.order);
  return h(
    "li.past",
    { key: act.action_id },
    h("div.past-mark", null, icon(act.kind === "proof" ? "camera" : "clock")),
    h(
      "div.past-body",
      null,
      h("p.past-where", null, t(`act.${act.kind}`), about && [" · ", address(about.pickup)]),
      h(
        "p.muted.small",
        null,
        [
          t("waiting.tapped", { time: clock(act.tappedAt) }),
          t(`waiting.state.${act.state}`),
          act.tries > 1 && t("waiting.tries", { count: act.tries }),
        ]
          .filter(Boolean)
          .join(" · "),
      ),
      !act.stored && h("p.small.bad", null, t("waiting.unstored")),
    ),
  );
}
