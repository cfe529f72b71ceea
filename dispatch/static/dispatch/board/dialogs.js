// The questions that an act asks before it is done: a reason, how long, what to say. Each remembers the rows as they were
// when it was opened: if an order moves on meanwhile, the server refuses and the board says who did what.

import { h } from "./dom.js";
import { plural } from "./format.js";

/**
 * @typedef {import("./acts.js").Acts} Acts
 * @typedef {import("./acts.js").Act} Act
 * @typedef {import("./acts.js").ActRow} ActRow
 * @typedef {import("./acts.js").Details} Details
 */

const REASONS = ["Customer cancelled", "No driver found", "Duplicate order", "Wrong address", "Shop closed"];
/** Minutes. */
const EXTENSIONS = [2, 5, 10, 30];

/**
 * A modal dialog: Esc and the cross close it, the focus goes back to where it was.
 * @param {HTMLElement} parent
 * @param {string} title
 * @param {string} className
 */
export function openDialog(parent, title, className) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const heading = h("h2", { id: "dialog-title" }, title);
  const body = h("div", { class: "dialog-body" });
  const close = h(
    "button",
    { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() },
    "×",
  );
  const dialog = h(
    "dialog",
    { class: className, "aria-labelledby": "dialog-title" },
    h("header", null, heading, close),
    body,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus({ preventScroll: true });
  });
  parent.append(dialog);
  dialog.showModal();
  return { dialog, body };
}

/** Buttons that fill in what is asked most. @param {HTMLInputElement} input @param {string[][]} choices text and value */
function quickly(input, choices) {
  const buttons = choices.map(([text, value]) => {
    const choose = () => {
      input.value = value ?? "";
      input.focus();
    };
    return h("button", { type: "button", onclick: choose }, text);
  });
  return h("div", { class: "quick" }, buttons);
}

/** @typedef {ReturnType<typeof createDialogs>} Dialogs */

/**
 * @param {HTMLElement} parent
 * @param {{acts: () => Acts}} context
 */
export function createDialogs(parent, context) {
  /** What the rows are called, in a few words. @param {ActRow[]} rows */
  function names(rows) {
    const acts = context.acts();
    const [first] = rows;
    if (rows.length === 1 && first) return acts.called(first);
    return plural(rows.length, rows.every((row) => "driver" in row) ? "driver" : "order");
  }

  /**
   * A form with its button; sending closes it.
   * @param {string} title @param {string} button @param {HTMLElement[]} fields @param {() => void} send
   * @param {string} [className]
   */
  function form(title, button, fields, send, className = "") {
    const { dialog, body } = openDialog(parent, title, `ask ${className}`);
    const why = h("p", { class: "why", role: "status" });
    const submit = h("button", { type: "submit", class: "primary" }, button);
    const sheet = h(
      "form",
      { method: "dialog" },
      ...fields,
      why,
      h("div", { class: "buttons" }, submit, h("button", { type: "button", onclick: () => dialog.close() }, "Back")),
    );
    sheet.addEventListener("submit", (event) => {
      event.preventDefault();
      const still = context.acts().blocked();
      if (still) {
        why.textContent = still;
        return;
      }
      dialog.close();
      send();
    });
    body.append(sheet);
    /** @type {HTMLElement | null} */ (sheet.querySelector("[data-first]"))?.focus();
  }

  /** @param {ActRow[]} rows */
  function cancel(rows) {
    const reason = h("input", {
      type: "text",
      name: "reason",
      maxlength: 300,
      required: true,
      list: "cancel-reasons",
      "data-first": true,
    });
    const choices = h(
      "datalist",
      { id: "cancel-reasons" },
      REASONS.map((value) => h("option", { value })),
    );
    const quick = quickly(
      reason,
      REASONS.map((text) => [text, text]),
    );
    form(
      `Cancel ${names(rows)}?`,
      rows.length === 1 ? "Cancel order" : `Cancel ${plural(rows.length, "order")}`,
      [h("label", null, "Reason", reason), choices, quick],
      () => void context.acts().run("cancel", rows, { reason: reason.value.trim() }),
      "danger",
    );
  }

  /** @param {ActRow[]} rows */
  function extend(rows) {
    const minutes = h("input", {
      type: "number",
      name: "minutes",
      min: 1,
      max: 10_080,
      value: 5,
      required: true,
      "data-first": true,
    });
    const quick = quickly(
      minutes,
      EXTENSIONS.map((value) => [`${value} min`, String(value)]),
    );
    form(
      `Give drivers more time for ${names(rows)}`,
      "Extend",
      [h("label", null, "Minutes", minutes), quick],
      () => void context.acts().run("extend", rows, { seconds: Number(minutes.value) * 60 }),
    );
  }

  /** @param {ActRow[]} rows */
  function message(rows) {
    const text = h("textarea", { name: "text", rows: 4, maxlength: 500, required: true, "data-first": true });
    // Enter sends, as people know it from every chat; Shift+Enter is a new line.
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        text.form?.requestSubmit();
      }
    });
    form(
      `Message to ${names(rows)}`,
      "Send",
      [h("label", null, "Message", text)],
      () => void context.acts().run("message", rows, { text: text.value.trim() }),
    );
  }

  /** @param {ActRow[]} rows */
  function duty(rows) {
    const on = h("input", { type: "radio", name: "duty", value: "on" });
    const off = h("input", { type: "radio", name: "duty", value: "off", checked: true, "data-first": true });
    form(
      `Duty of ${names(rows)}`,
      "Change",
      [
        h(
          "fieldset",
          { class: "choice" },
          h("legend", null, "They may be offered orders"),
          h("label", null, off, "off duty: no new orders; what they hold stays theirs"),
          h("label", null, on, "on duty"),
        ),
      ],
      () => void context.acts().run("duty", rows, { is_online: on.checked }),
    );
  }

  return { duty, names, cancel, extend, message, form };
}
