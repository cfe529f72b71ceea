/** Signing in. */

import { h } from "./dom.js";
import { apart, LANGUAGES, NAMES, span, speak, spoken, t } from "./i18n.js";
import { icon } from "./icons.js";
import { field } from "./parts.js";
import { change } from "./prefs.js";
import { asProblem } from "./scene.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("../core/types.js").Problem} Problem */

/** @param {Scene} scene */
export function signIn(scene) {
  const { state } = scene;
  const draft = scene.draft("signin", {
    username: "",
    password: "",
    shown: false,
    busy: false,
    tried: false,
    problem: /** @type {Problem | null} */ (null),
  });
  const missing = { username: draft.tried && !draft.username.trim(), password: draft.tried && !draft.password };
  const why = state.signedOutWhy;

  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (draft.busy) return;
    Object.assign(draft, { tried: true, problem: null });
    if (!draft.username.trim() || !draft.password) {
      scene.redraw();
      queueMicrotask(() => document.querySelector(/** @type {any} */ ("[aria-invalid=true]"))?.focus());
      return;
    }
    draft.busy = true;
    scene.redraw();
    try {
      await scene.actions.signIn(draft.username.trim(), draft.password);
      scene.drop("signin");
    } catch (error) {
      Object.assign(draft, { busy: false, problem: asProblem(error) });
    }
    scene.redraw();
  };

  return h(
    "div.signin",
    null,
    h("div.signin-head", null, mark(), h("h1", { tabindex: "-1" }, t("app")), h("p.muted", null, t("signin.tagline"))),
    why &&
      h(
        "p.note",
        { class: why === "suspended" ? "bad" : "warn", role: "status" },
        icon("alert"),
        h("span", null, t(`signin.why.${why}`)),
      ),
    state.kept &&
      h(
        "p.note.info",
        null,
        icon("clock"),
        h("span", null, t("signin.kept", { count: state.kept.count, driver: apart(state.kept.driver) })),
      ),
    h(
      "form",
      { onsubmit: submit, novalidate: true, autocomplete: "on" },
      field(
        "username",
        t("signin.username"),
        {
          name: "username",
          autocomplete: "username",
          autocapitalize: "none",
          autocorrect: "off",
          spellcheck: "false",
          dir: "ltr",
          value: draft.username,
          oninput: (/** @type {any} */ event) => {
            draft.username = event.target.value;
          },
        },
        { error: missing.username ? t("signin.empty_username") : "" },
      ),
      field(
        "password",
        t("signin.password"),
        {
          name: "password",
          type: draft.shown ? "text" : "password",
          autocomplete: "current-password",
          dir: "ltr",
          value: draft.password,
          oninput: (/** @type {any} */ event) => {
            draft.password = event.target.value;
          },
        },
        {
          error: missing.password ? t("signin.empty_password") : "",
          after: h(
            "button.button.quiet",
            {
              type: "button",
              "aria-pressed": String(draft.shown),
              "aria-controls": "password",
              onclick: () => {
                draft.shown = !draft.shown;
                scene.redraw();
              },
            },
            t(draft.shown ? "signin.hide" : "signin.show"),
          ),
        },
      ),
      h(
        "div",
        { role: "alert" },
        draft.problem && h("p.note.bad", null, icon("alert"), h("span", null, sentence(draft.problem))),
      ),
      h(
        "button.button.primary.big",
        { type: "submit", "aria-disabled": draft.busy ? "true" : null },
        draft.busy && h("span.spinner", { "aria-hidden": "true" }),
        t(draft.busy ? "signin.busy" : "signin.submit"),
      ),
    ),
    h(
      "div.languages",
      null,
      LANGUAGES.filter((language) => language !== spoken()).map((language) =>
        h(
          "button.button.quiet",
          {
            key: language,
            type: "button",
            lang: language,
            onclick: async () => {
              change({ language });
              await speak(language);
              scene.redraw();
            },
          },
          NAMES[language],
        ),
      ),
    ),
  );
}

/** @param {Problem} problem */
function sentence(problem) {
  switch (problem.code) {
    case "sign_in_refused":
    case "driver_suspended":
    case "network":
    case "unavailable":
      return t(`signin.${problem.code}`);
    case "busy":
    case "not_baton":
      return t("signin.unavailable");
    case "throttled":
      return t("signin.throttled", { span: span(problem.retry_after ?? 60) });
    default:
      return t("signin.other", { detail: apart(problem.detail || problem.code) });
  }
}

/** The baton, as on the app's icon. */
function mark() {
  return h(
    "svg",
    { class: "mark", viewBox: "0 0 32 32", "aria-hidden": "true", focusable: "false" },
    h("rect", { class: "mark-field", width: "32", height: "32", rx: "8" }),
    h("path", { class: "mark-baton", d: "M9 20 20 9l3 3-11 11z" }),
    h("circle", { class: "mark-end", cx: "9", cy: "23", r: "2.4" }),
    h("circle", { class: "mark-end", cx: "23", cy: "9", r: "2.4" }),
  );
}
