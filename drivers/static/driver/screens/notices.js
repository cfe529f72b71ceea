/** What happened, said once, on top of every screen. */

import { h } from "./dom.js";
import { apart, knows, span, t } from "./i18n.js";
import { icon } from "./icons.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("../core/types.js").Notice} Notice */

/** At once on screen: more would hide what they are about. */
const AT_ONCE = 2;
/** Milliseconds until good news goes by itself. Bad news stays until it is put away, but not for ever. */
const STAYS = { good: 6_000, info: 12_000, bad: 30_000 };
const OLD_MS = 60_000;
const PICTURES = { good: "check", info: "alert", bad: "alert" };

/** @param {Scene} scene */
export function notices(scene) {
  const shown = scene.state.notices
    .filter((notice) => !isOld(notice) && !seenElsewhere(scene, notice))
    .slice(0, AT_ONCE);
  return h(
    "div.notices",
    { role: "status", "aria-live": "polite", "aria-relevant": "additions" },
    shown.map((notice) => one(scene, notice)),
  );
}

/** Good news from before the app was closed is no news. @param {Notice} notice */
function isOld({ at, tone }) {
  return tone !== "bad" && Date.now() - at > OLD_MS;
}

/**
 * The feed says on the card itself what became of it, and the update has its own banner.
 * @param {Scene} scene
 * @param {Notice} notice
 */
function seenElsewhere({ route, slots }, notice) {
  if (notice.code === "update") return true;
  return route.name === "offers" && slots.some((slot) => slot.order === notice.order && slot.state !== "open");
}

/**
 * @param {Scene} scene
 * @param {Notice} notice
 */
function one(scene, notice) {
  const dismiss = () => void scene.actions.dismiss(notice.id);
  const leave = () => {
    const timer = setTimeout(dismiss, STAYS[notice.tone]);
    return () => clearTimeout(timer);
  };
  return h(
    "div.notice",
    { key: notice.id, class: notice.tone, hook: { mount: leave } },
    icon(PICTURES[notice.tone]),
    h("p", null, sentence(notice)),
    h("button.notice-close", { type: "button", "aria-label": t("close"), onclick: dismiss }, icon("cross")),
  );
}

/**
 * @param {Notice} notice
 * @returns {string}
 */
export function sentence({ code, data, tone }) {
  const act = t(`act.${data.kind ?? "accept"}`);
  const problem = data.problem ?? {};
  const detail = apart(problem.detail ?? code);
  if (tone === "good") {
    const text = t(`notice.${code}`);
    return Number(data.late) >= 10 ? t("notice.late", { text, span: span(Number(data.late)) }) : text;
  }
  if (data.follows) return t("notice.follows", { act });
  if (code === "invalid") return t(wrongPin(problem) ? "notice.pin_wrong" : "notice.invalid", { act, detail });
  if ((code === "order_taken" || code === "order_expired") && Number(data.seconds) >= 1) {
    return t(`notice.${code}_ago`, { span: span(Number(data.seconds)) });
  }
  if (code === "order_removed" && knows(`notice.order_removed.${data.reason}`))
    return t(`notice.order_removed.${data.reason}`);
  if (code === "message")
    return t("notice.message", { from: apart(String(data.from)), text: apart(String(data.text)) });
  return knows(`notice.${code}`) ? t(`notice.${code}`, { act, detail }) : t("notice.refused", { act, detail });
}

/** @param {{ errors?: Record<string, unknown> }} problem */
function wrongPin({ errors }) {
  return errors !== undefined && "proof.pin" in errors;
}
