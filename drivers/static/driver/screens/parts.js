/** What several screens are built from. */

import { h } from "./dom.js";
import { mapLink } from "./geo.js";
import { apart, clock, t } from "./i18n.js";
import { icon } from "./icons.js";
import { current } from "./prefs.js";

/** @typedef {import("./dom.js").Child} Child */
/** @typedef {import("../core/types.js").Act} Act */
/** @typedef {import("../core/types.js").Place} Place */
/** @typedef {import("./scene.js").Scene} Scene */

/**
 * A screen's first line; `back` is where its arrow leads.
 * @param {string} text
 * @param {string} [back]
 */
export function title(text, back) {
  return h(
    "div.title",
    null,
    back && h("a.back", { href: back, "aria-label": t("back") }, icon("back", "turns")),
    h("h1", { tabindex: "-1" }, text),
  );
}

/**
 * Nothing to show, said kindly.
 * @param {string} name
 * @param {string} text
 * @param {string} [more]
 * @param {...Child} rest
 */
export function empty(name, text, more, ...rest) {
  return h(
    "div.empty",
    null,
    h("div.empty-mark", null, icon(name)),
    h("p.empty-text", null, text),
    more && h("p.muted", null, more),
    rest,
  );
}

/**
 * A tap that the server has not confirmed yet, in words.
 * @param {Act} act
 */
export function acting(act) {
  if (act.state === "sending" && act.tries <= 1) return t(`acting.${act.kind}`);
  return t(act.state === "stuck" ? "acting.stuck" : "acting.waits", { time: clock(act.tappedAt) });
}

/** @param {Act} act */
export function actingNote(act) {
  const quick = act.state === "sending" && act.tries <= 1;
  return h(
    "p.acting",
    null,
    quick ? h("span.spinner", { "aria-hidden": "true" }) : icon("wifi_off"),
    h("span", null, acting(act)),
  );
}

/** @param {Place} place */
export function mapsButton(place) {
  const outside = current().maps === "phone" ? {} : { target: "_blank", rel: "noopener noreferrer" };
  return h(
    "a.button",
    { href: mapLink(place), ...outside },
    icon("maps", "turns"),
    h("span", null, t("order.navigate")),
  );
}

/**
 * One of several, as large tiles or lines; a radio group for those who cannot see that.
 * @param {string} name
 * @param {string} legend
 * @param {{ value: string, text: Child, icon?: string, lang?: string }[]} options
 * @param {string} chosen
 * @param {(value: string) => void} choose
 * @param {string} [kind]
 */
export function choices(name, legend, options, chosen, choose, kind = "lines") {
  return h(
    "fieldset.choices",
    { class: kind },
    h("legend", null, legend),
    options.map((option) =>
      h(
        "label.choice",
        { key: option.value, class: option.value === chosen ? "chosen" : "" },
        h("input", {
          type: "radio",
          name,
          value: option.value,
          checked: option.value === chosen,
          onchange: () => choose(option.value),
        }),
        option.icon && icon(option.icon),
        h("span", { lang: option.lang }, option.text),
      ),
    ),
  );
}

/**
 * A labelled field with its hint and its error, tied together.
 * @param {string} id
 * @param {string} label
 * @param {Record<string, any>} props
 * @param {{ hint?: string, error?: string, after?: Child }} [more]
 */
export function field(id, label, props, { hint = "", error = "", after = null } = {}) {
  const told = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return h(
    "div.field",
    { class: error ? "wrong" : "" },
    h("label", { for: id }, label),
    h(
      "div.field-row",
      null,
      h(props.rows ? "textarea" : "input", {
        id,
        "aria-describedby": told || null,
        "aria-invalid": error ? "true" : null,
        ...props,
      }),
      after,
    ),
    hint && h("p.hint", { id: `${id}-hint` }, hint),
    error && h("p.error", { id: `${id}-error` }, icon("alert"), h("span", null, error)),
  );
}

/**
 * @param {string} id
 * @param {string} label
 * @param {boolean} on
 * @param {(on: boolean) => void} change
 * @param {{ hint?: string, disabled?: boolean }} [more]
 */
export function toggle(id, label, on, change, { hint = "", disabled = false } = {}) {
  return h(
    "div.toggle",
    null,
    h(
      "div",
      null,
      h("span.toggle-label", { id: `${id}-label` }, label),
      hint && h("p.hint", { id: `${id}-hint` }, hint),
    ),
    h("button.switch", {
      type: "button",
      role: "switch",
      id,
      "aria-checked": String(on),
      "aria-labelledby": `${id}-label`,
      "aria-describedby": hint ? `${id}-hint` : null,
      disabled,
      onclick: () => change(!on),
    }),
  );
}

/**
 * A question that must be answered first.
 * @param {{ title: string, text: Child[], yes: string, no: string, tone?: string }} words
 * @param {() => void} yes
 * @param {() => void} no
 */
export function question(words, yes, no) {
  return h(
    "dialog.question",
    {
      "aria-labelledby": "question-title",
      hook: { mount: (/** @type {HTMLDialogElement} */ dialog) => dialog.showModal() },
      oncancel: (/** @type {Event} */ event) => {
        event.preventDefault();
        no();
      },
    },
    h("h2", { id: "question-title" }, words.title),
    words.text,
    h(
      "div.question-acts",
      null,
      h("button.button", { type: "button", onclick: no }, words.no),
      h("button.button", { type: "button", class: words.tone ?? "primary", onclick: yes }, words.yes),
    ),
  );
}

/** Two lines that may be in another script than the rest. @param {Place} place */
export function address(place) {
  return h("bdi", { dir: "auto" }, place.address || apart(`${place.lat.toFixed(4)}, ${place.lng.toFixed(4)}`));
}
