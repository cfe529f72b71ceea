/** What the driver may choose for this phone, and the way out. */

import { alertOf, unlock } from "./alerts.js";
import { h } from "./dom.js";
import { apart, LANGUAGES, NAMES, number, speak, spoken, t } from "./i18n.js";
import { icon } from "./icons.js";
import { choices, question, title, toggle } from "./parts.js";
import { change, current, showTheme } from "./prefs.js";
import { asProblem } from "./scene.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./prefs.js").Prefs} Prefs */

/** @type {Prefs["theme"][]} */
const THEMES = ["auto", "light", "dark", "sunlight"];
/** @type {Prefs["maps"][]} */
const MAPS = ["phone", "google", "apple", "osm"];

/** @param {Scene} scene */
export function settings(scene) {
  const prefs = current();
  const { driver } = scene.state;
  const draft = scene.draft("settings", { leaving: false, push: pushAllowed() && pushWanted(), pushError: "" });
  const set = (/** @type {Partial<Prefs>} */ changes) => {
    change(changes);
    showTheme();
    scene.redraw();
  };
  return h(
    "div.screen.settings",
    null,
    title(t("settings.title")),
    h(
      "a.card.linked",
      { href: "#/check" },
      icon("phone"),
      h("div", null, h("p.strong", null, t("settings.check")), h("p.muted.small", null, t("settings.check_more"))),
      icon("next", "turns"),
    ),
    choices(
      "theme",
      t("settings.theme"),
      THEMES.map((value) => ({ value, text: t(`settings.theme.${value}`) })),
      prefs.theme,
      (value) => set({ theme: /** @type {Prefs["theme"]} */ (value) }),
      "pairs",
    ),
    choices(
      "language",
      t("settings.language"),
      LANGUAGES.map((value) => ({ value, text: NAMES[value], lang: value })),
      spoken(),
      async (value) => {
        const language = /** @type {"en" | "ar"} */ (value);
        await speak(language);
        set({ language });
      },
      "pairs",
    ),
    h(
      "section.card.group",
      { "aria-labelledby": "alerts" },
      h("h2", { id: "alerts" }, t("settings.alerts")),
      toggle("sound", t("settings.sound"), prefs.sound, (sound) => {
        unlock();
        set({ sound });
      }),
      toggle("vibration", t("settings.vibration"), prefs.vibration, (vibration) => set({ vibration })),
      push(scene, draft),
      h(
        "button.button",
        {
          type: "button",
          onclick: () => {
            unlock();
            // The way for sound opens a moment after the tap.
            setTimeout(() => alertOf("offer"), 60);
          },
        },
        icon("sound", "turns"),
        h("span", null, t("settings.try")),
      ),
    ),
    choices(
      "maps",
      t("settings.maps"),
      MAPS.map((value) => ({ value, text: t(`settings.maps.${value}`) })),
      prefs.maps,
      (value) => set({ maps: /** @type {Prefs["maps"]} */ (value) }),
    ),
    driver &&
      h(
        "section.card.group",
        { "aria-labelledby": "account" },
        h("h2", { id: "account" }, t("settings.account", { name: apart(driver.name) })),
        h(
          "dl.facts",
          null,
          h("div", null, h("dt", null, t("settings.vehicle")), h("dd", null, t(`vehicle.${driver.vehicle}`))),
          h("div", null, h("dt", null, t("settings.capacity")), h("dd", null, number(driver.capacity))),
        ),
        h(
          "button.button.danger-quiet",
          {
            type: "button",
            onclick: () => {
              draft.leaving = true;
              scene.redraw();
            },
          },
          icon("out", "turns"),
          h("span", null, t("settings.sign_out")),
        ),
      ),
    h("p.muted.small.centre", null, t("settings.version", { build: apart(build()) })),
    draft.leaving && leaving(scene, draft),
  );
}

/** The build that the page was made from. */
export function build() {
  return document.querySelector('meta[name="baton-build"]')?.getAttribute("content")?.slice(0, 8) || "–";
}

function pushAllowed() {
  return "Notification" in window && Notification.permission === "granted";
}

function pushWanted() {
  try {
    return localStorage.getItem("baton-driver-push") === "on";
  } catch {
    return false;
  }
}

/**
 * @param {Scene} scene
 * @param {{ push: boolean, pushError: string }} draft
 */
function push(scene, draft) {
  const possible = "Notification" in window && "serviceWorker" in navigator;
  const denied = possible && Notification.permission === "denied";
  const turn = async (/** @type {boolean} */ on) => {
    draft.pushError = "";
    try {
      if (on) {
        draft.push = await scene.actions.enablePush();
        if (!draft.push)
          draft.pushError = t(Notification.permission === "denied" ? "settings.push_denied" : "settings.push_off");
      } else {
        await scene.actions.disablePush();
        draft.push = false;
      }
      localStorage.setItem("baton-driver-push", draft.push ? "on" : "off");
    } catch (error) {
      const problem = asProblem(error);
      draft.pushError =
        problem.code === "network"
          ? t("problem.network")
          : t("settings.push_failed", { detail: apart(problem.detail) });
    }
    scene.redraw();
  };
  const hint =
    draft.pushError || (possible ? (denied ? t("settings.push_denied") : "") : t("check.notifications.unsupported"));
  return toggle("push", t("settings.push"), draft.push, turn, { hint, disabled: !possible || denied });
}

/**
 * Signing out loses nothing, but whoever leaves is told what stays behind.
 * @param {Scene} scene
 * @param {{ leaving: boolean }} draft
 */
function leaving(scene, draft) {
  const { waiting, active } = scene.state;
  return question(
    {
      title: t("settings.sign_out_title"),
      text: [
        waiting.length > 0 &&
          h(
            "p.note.warn",
            null,
            icon("alert"),
            h("span", null, t("settings.sign_out_waiting", { count: waiting.length })),
          ),
        active.length > 0 &&
          h(
            "p.note.warn",
            null,
            icon("orders"),
            h("span", null, t("settings.sign_out_active", { count: active.length })),
          ),
        h("p", null, t("settings.sign_out_plain")),
      ],
      yes: t("settings.sign_out"),
      no: t("cancel"),
      tone: "danger",
    },
    () => {
      scene.drop("settings");
      void scene.actions.signOut();
      scene.redraw();
    },
    () => {
      draft.leaving = false;
      scene.redraw();
    },
  );
}
