// A button for an act: absent without the permission, and when it cannot be pressed it says why.

import { h, mark } from "./dom.js";

/**
 * @typedef {import("./acts.js").Acts} Acts
 * @typedef {import("./acts.js").Act} Act
 * @typedef {import("./acts.js").ActRow} ActRow
 */

/** @param {Acts} acts @param {Act} act @param {() => ActRow[]} rows as they are when it is pressed */
export function actButton(acts, act, rows) {
  if (!acts.allowed(act)) return null;
  const { verb, key } = acts.ACTS[act];
  const button = h(
    "button",
    { type: "button", class: `act act-${act}`, "data-act": act },
    h("span", { class: "verb" }, verb),
    key && h("kbd", { "aria-hidden": "true" }, key),
  );
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") acts.ask(act, rows());
  });
  return button;
}

/** It stays in reach of the keyboard, so that everybody can read why. @param {HTMLElement} button @param {string} why empty: it can be pressed */
export function setWhy(button, why) {
  mark(button, "aria-disabled", why ? "true" : null);
  mark(button, "title", why || null);
  mark(button, "aria-description", why || null);
}
