/**
 * The phone check: is this phone fit for work? Each point has a letter, so that a driver can read the result to a dispatcher in one
 * breath ("A good, B good, C look …") and the dispatcher knows what to ask.
 */

import { soundState } from "./alerts.js";
import { h } from "./dom.js";
import { apart, distance, number, span, t } from "./i18n.js";
import { icon } from "./icons.js";
import { title } from "./parts.js";
import { build } from "./settings.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("../core/types.js").Facts} Facts */
/** @typedef {"good" | "look" | "bad"} Verdict */
/** @typedef {{ name: string, verdict: Verdict, text: string }} Point */

/** Metres: wider than this, "nearest driver" means little. */
const GOOD_M = 50;
const POOR_M = 200;
/** Milliseconds: more than this and the driver's taps look late in the history. */
const CLOCK_MS = 2_000;
const CLOCK_BAD_MS = 60_000;
const SLOW_MS = 1_500;

/** @param {Scene} scene */
export function check(scene) {
  const kept = scene.draft("check", {
    asked: false,
    busy: false,
    facts: /** @type {Facts | null} */ (null),
    copied: "",
  });
  if (!kept.asked) {
    kept.asked = true;
    void run(scene, kept);
  }
  const points = kept.facts ? pointsOf(scene, kept.facts) : [];
  const open = points.filter((point) => point.verdict !== "good").length;
  return h(
    "div.screen",
    null,
    title(t("check.title"), "#/settings"),
    h("p.muted", null, t("check.lead")),
    h(
      "p.note",
      { role: "status", class: kept.busy || !kept.facts ? "info" : open === 0 ? "good" : "warn" },
      icon(kept.facts && open === 0 ? "check" : "alert"),
      h(
        "span",
        null,
        !kept.facts ? t("check.running") : open === 0 ? t("check.all_good") : t("check.some", { count: open }),
      ),
    ),
    h(
      "ol.points",
      null,
      points.map((point, index) =>
        h(
          "li.point",
          { key: point.name, class: point.verdict },
          h("span.point-letter", null, letter(index)),
          h("div", null, h("p.strong", null, t(`check.${point.name}`)), h("p.muted.small", null, point.text)),
          h(
            "span.point-verdict",
            null,
            icon(point.verdict === "good" ? "check" : "alert"),
            t(`check.${point.verdict}`),
          ),
        ),
      ),
    ),
    scene.state.geolocation === "prompt" &&
      h(
        "button.button",
        { type: "button", onclick: () => scene.actions.askPosition() },
        icon("maps", "turns"),
        t("check.location_allow"),
      ),
    points.length > 0 &&
      h(
        "section.card.aloud",
        { "aria-labelledby": "aloud" },
        h("h2", { id: "aloud" }, t("check.aloud")),
        h("p.aloud-text", null, aloud(points)),
      ),
    h(
      "div.pair",
      null,
      h(
        "button.button",
        { type: "button", onclick: () => run(scene, kept) },
        icon("refresh"),
        h("span", null, t("check.again")),
      ),
      h(
        "button.button",
        {
          type: "button",
          onclick: async () => {
            try {
              await navigator.clipboard.writeText(asText(scene, points));
              kept.copied = t("check.copied");
            } catch {
              kept.copied = t("check.copy_failed");
            }
            scene.redraw();
          },
        },
        icon("copy"),
        h("span", null, t("check.copy")),
      ),
    ),
    h("p.hint.centre", { role: "status" }, kept.copied),
  );
}

/**
 * @param {Scene} scene
 * @param {{ busy: boolean, facts: Facts | null, copied: string }} kept
 */
async function run(scene, kept) {
  if (kept.busy) return;
  kept.busy = true;
  kept.copied = "";
  scene.redraw();
  try {
    kept.facts = await scene.actions.measure();
  } finally {
    kept.busy = false;
    scene.redraw();
  }
}

/** @param {number} index */
function letter(index) {
  return String.fromCharCode("A".charCodeAt(0) + index);
}

/** @param {Point[]} points */
function aloud(points) {
  return points.map((point, index) => `${letter(index)} ${t(`check.${point.verdict}`)}`).join(" · ");
}

/**
 * For a message to the dispatcher.
 * @param {Scene} scene
 * @param {Point[]} points
 */
function asText(scene, points) {
  const lines = points.map(
    (point, index) => `${letter(index)} ${t(`check.${point.name}`)}: ${t(`check.${point.verdict}`)} (${point.text})`,
  );
  const who = `${t("app")} · ${scene.state.driver?.username ?? "–"} · ${new Date(scene.now).toISOString()}`;
  return [who, aloud(points), ...lines, navigator.userAgent].join("\n");
}

/**
 * Always all of them in the same order: a letter means the same on every phone.
 * @param {Scene} scene
 * @param {Facts} facts
 * @returns {Point[]}
 */
function pointsOf({ state }, facts) {
  return [
    location(facts),
    accuracy(facts),
    network(facts),
    clock(facts),
    sound(),
    notifications(facts),
    battery(facts),
    screen(facts),
    {
      name: "storage",
      verdict: facts.storage.state === "ok" ? "good" : "bad",
      text: t(`check.storage.${facts.storage.state}`),
    },
    state.waiting.length === 0
      ? { name: "waiting", verdict: "good", text: t("check.waiting.none") }
      : { name: "waiting", verdict: "look", text: t("check.waiting.some", { count: state.waiting.length }) },
    {
      name: "app",
      verdict: "good",
      text: t(facts.standalone ? "check.app.installed" : "check.app.browser", { build: apart(build()) }),
    },
  ];
}

/** @param {Facts} facts @returns {Point} */
function location({ geolocation }) {
  return {
    name: "location",
    verdict: geolocation === "granted" ? "good" : geolocation === "prompt" ? "look" : "bad",
    text: t(`check.location.${geolocation}`),
  };
}

/** @param {Facts} facts @returns {Point} */
function accuracy({ accuracyM }) {
  if (accuracyM === null) return { name: "accuracy", verdict: "look", text: t("check.accuracy.none") };
  return {
    name: "accuracy",
    verdict: accuracyM <= GOOD_M ? "good" : accuracyM <= POOR_M ? "look" : "bad",
    text: t("check.accuracy.within", { distance: distance(accuracyM) }),
  };
}

/** @param {Facts} facts @returns {Point} */
function network({ link, roundTripMs }) {
  if (link !== "live")
    return { name: "network", verdict: link === "offline" ? "bad" : "look", text: t(`check.network.${link}`) };
  const ms = roundTripMs === null ? "–" : number(Math.round(roundTripMs));
  return {
    name: "network",
    verdict: roundTripMs !== null && roundTripMs > SLOW_MS ? "look" : "good",
    text: t("check.network.live", { ms }),
  };
}

/** @param {Facts} facts @returns {Point} */
function clock({ clockOffsetMs }) {
  if (clockOffsetMs === null) return { name: "clock", verdict: "look", text: t("check.clock.unknown") };
  const off = Math.abs(clockOffsetMs);
  if (off <= CLOCK_MS) return { name: "clock", verdict: "good", text: t("check.clock.right") };
  return {
    name: "clock",
    verdict: off <= CLOCK_BAD_MS ? "look" : "bad",
    text: t(clockOffsetMs > 0 ? "check.clock.slow" : "check.clock.fast", { span: span(off / 1000) }),
  };
}

/** @returns {Point} */
function sound() {
  const state = soundState();
  return { name: "sound", verdict: state === "ready" ? "good" : "look", text: t(`check.sound.${state}`) };
}

/** @param {Facts} facts @returns {Point} */
function notifications({ notifications: allowed, push }) {
  const state =
    allowed === "granted" && push ? "on" : allowed === "denied" || allowed === "unsupported" ? allowed : "off";
  return { name: "notifications", verdict: state === "on" ? "good" : "look", text: t(`check.notifications.${state}`) };
}

/** @param {Facts} facts @returns {Point} */
function battery({ batteryLevel, charging }) {
  if (batteryLevel === null) return { name: "battery", verdict: "good", text: t("check.battery.unknown") };
  const percent = number(batteryLevel, { style: "percent" });
  const low = batteryLevel < 0.2 && !charging;
  return {
    name: "battery",
    verdict: low ? "look" : "good",
    text: t(`check.battery.${charging ? "charging" : low ? "low" : "level"}`, { percent }),
  };
}

/** @param {Facts} facts @returns {Point} */
function screen({ wakeLock }) {
  return { name: "screen", verdict: wakeLock === "unsupported" ? "look" : "good", text: t(`check.screen.${wakeLock}`) };
}
