// The new order: one short form. Who would be offered it is seen at once, and a second click never makes a second order.

import { createApi, newKey } from "../api.js";
import { h, mark, say } from "../dom.js";
import { createPreview, PREVIEWED } from "./offerpreview.js";
import { placeField } from "./placefield.js";

/** @typedef {import("../map/nearest.js").Near} Near */

const PREVIEW_MS = 200;
const PREVIEW_AGAIN_MS = 5000;
const VEHICLES = [
  ["", "Any vehicle"],
  ["bicycle", "Bicycle"],
  ["motorbike", "Motorbike"],
  ["car", "Car"],
  ["van", "Van"],
];

/**
 * @param {HTMLDialogElement} dialog opened with `showModal()` by whoever has the button
 * @param {{
 *   store: import("../store.js").Store, settings: import("../settings.js").Settings,
 *   map: import("../map/map.js").BoardMap | null,
 * }} context
 */
export function mountNewOrder(dialog, { store, settings, map }) {
  const api = createApi(settings.urls.api);
  /** Closed only for a moment, to click on the map. */
  let showing = false;
  let sending = false;
  /** The key belongs to what the form said: the same again is the same order, anything else another one. */
  let sent = { form: "", order: /** @type {object} */ ({}), key: "" };
  let timer = 0;
  let asked = 0;

  /** @param {"pickup" | "dropoff"} which */
  const onMap = (which) => (map ? () => void showOnMap(which) : null);
  const pickup = placeField({ label: "Pickup", name: "pickup", api, onChange: changed, onMap: onMap("pickup") });
  const dropoff = placeField({ label: "Drop-off", name: "dropoff", api, onChange: changed, onMap: onMap("dropoff") });

  /** @type {Map<string, {element: HTMLElement, input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement, told: HTMLElement}>} */
  const inputs = new Map();
  /**
   * @template {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} T
   * @param {string} name as the server calls it
   * @param {string} text
   * @param {T} input
   * @returns {HTMLElement}
   */
  function field(name, text, input) {
    const id = `new-${name.replace(".", "-")}`;
    const told = h("p", { class: "field-told", id: `${id}-told` });
    input.id = id;
    input.name = name;
    mark(input, "aria-describedby", told.id);
    input.addEventListener("input", () => fail(name, ""));
    const element = h("div", { class: "field" }, h("label", { for: id }, text), input, told);
    inputs.set(name, { element, input, told });
    return element;
  }

  const line = (/** @type {number} */ longest, more = {}) =>
    h("input", { type: "text", maxlength: longest, autocomplete: "off", ...more });
  const vehicle = h(
    "select",
    { onchange: changed },
    VEHICLES.map(([value, text]) => h("option", { value }, text)),
  );
  const notes = h("textarea", { rows: "2", maxlength: "1000" });
  const problem = h("p", { class: "form-problem", role: "alert", hidden: true });
  const preview = createPreview(settings.radius_km);
  const place = h("button", { type: "submit", class: "button default" }, "Place order");
  const another = h("button", { type: "submit", class: "button quiet", value: "another" }, "Place, and write another");
  const form = h(
    "form",
    { class: "new-order-form", novalidate: true, onsubmit: submit },
    h(
      "header",
      { class: "new-order-head" },
      h("h2", null, "New order"),
      h("button", { type: "button", class: "near-close", "aria-label": "Close", onclick: () => dialog.close() }, "✕"),
    ),
    h(
      "div",
      { class: "new-order-body" },
      problem,
      pickup.element,
      dropoff.element,
      h(
        "div",
        { class: "field-pair" },
        field("contact.name", "Customer", line(100)),
        field("contact.phone", "Phone", line(32, { type: "tel" })),
      ),
      field("contact.notes", "Notes for the driver", notes),
      h(
        "div",
        { class: "field-pair" },
        field("vehicle", "Vehicle", vehicle),
        field("reference", "Reference", line(100)),
      ),
      h(
        "details",
        { class: "new-order-more" },
        h("summary", null, "Payout, priority, later"),
        h(
          "div",
          { class: "field-pair" },
          field("payout", "Payout", line(12, { inputmode: "decimal", placeholder: "0.00" })),
          field(
            "priority",
            "Priority",
            h(
              "select",
              null,
              Array.from({ length: 10 }, (_, number) =>
                h("option", { value: number }, number ? String(number) : "0 (usual)"),
              ),
            ),
          ),
        ),
        h(
          "div",
          { class: "field-pair" },
          field("release_at", "Offer from (empty: now)", h("input", { type: "datetime-local" })),
          field("minutes", "Expires after, minutes", line(5, { inputmode: "numeric", placeholder: "as usual" })),
        ),
      ),
      preview.element,
    ),
    h("footer", { class: "new-order-foot" }, place, another),
  );
  dialog.append(form);
  mark(dialog, "aria-label", "New order");

  /** @param {string} name */
  const value = (name) => inputs.get(name)?.input.value.trim() ?? "";

  /** @param {string} name @param {string} text */
  function fail(name, text) {
    const known = inputs.get(name);
    if (!known) return;
    say(known.told, text);
    known.element.classList.toggle("has-error", Boolean(text));
    mark(known.input, "aria-invalid", text ? "true" : null);
  }

  // --- Who would be offered it ----------------------------------------------------------------------------------------

  function changed() {
    drawDraft(null);
    clearTimeout(timer);
    timer = setTimeout(look, PREVIEW_MS);
  }

  /** @param {Near[] | null} near */
  function drawDraft(near) {
    if (!dialog.open && !showing) return;
    map?.draft({
      pickup: pickup.value,
      dropoff: dropoff.value,
      ...(near ? { drivers: near.map((one) => one.driver) } : {}),
    });
  }

  async function look() {
    clearTimeout(timer);
    asked += 1;
    const mine = asked;
    const from = pickup.value;
    if (!from || !dialog.open) {
      preview.tell(null);
      return;
    }
    try {
      const answer = await api.get("board/candidates/", {
        lat: from.lat,
        lng: from.lng,
        radius_km: settings.radius_km,
        ...(vehicle.value ? { vehicle: vehicle.value } : {}),
      });
      if (mine !== asked) return;
      preview.tell(answer.results, answer.ruled_out?.length ?? 0);
      drawDraft(answer.results.slice(0, PREVIEWED));
    } catch {
      if (mine === asked) preview.fail();
    }
    if (mine === asked && dialog.open) timer = setTimeout(look, PREVIEW_AGAIN_MS);
  }

  /** @param {"pickup" | "dropoff"} which */
  async function showOnMap(which) {
    if (!map) return;
    showing = true;
    dialog.close();
    const shown = await map.pick(which === "pickup" ? "the pickup" : "the drop-off");
    showing = false;
    dialog.showModal();
    const chosen = which === "pickup" ? pickup : dropoff;
    if (shown) chosen.set(shown);
    (shown && which === "pickup" && !dropoff.value ? dropoff : chosen).input.focus();
    changed();
  }

  // --- Sending --------------------------------------------------------------------------------------------------------

  /** What the form says, as the server wants it; only what was given. @param {number} now server's time, milliseconds */
  function written(now) {
    const release = value("release_at");
    const minutes = Number(value("minutes"));
    const from = release ? new Date(release).getTime() : now;
    return {
      pickup: pickup.value,
      dropoff: dropoff.value,
      contact: { name: value("contact.name"), phone: value("contact.phone"), notes: value("contact.notes") },
      ...(value("reference") ? { reference: value("reference") } : {}),
      ...(vehicle.value ? { vehicle: vehicle.value } : {}),
      ...(value("payout") ? { payout: value("payout").replace(",", ".") } : {}),
      ...(value("priority") !== "0" ? { priority: Number(value("priority")) } : {}),
      ...(release ? { release_at: new Date(release).toISOString() } : {}),
      ...(minutes > 0
        ? { expires_at: new Date(Math.ceil((from + minutes * 60_000) / 60_000) * 60_000).toISOString() }
        : {}),
    };
  }

  /** What is missing, said before the server has to; the first such field. */
  function incomplete() {
    /** @type {HTMLElement | null} */
    let first = null;
    for (const [where, word] of /** @type {const} */ ([
      [pickup, "pickup"],
      [dropoff, "drop-off"],
    ])) {
      if (where.value) continue;
      where.fail(where.isUnread ? "Choose one of the places, or write coordinates." : `Where is the ${word}?`);
      first ??= where.input;
    }
    for (const [name, text] of /** @type {const} */ ([
      ["contact.name", "Who is it for?"],
      ["contact.phone", "The driver needs a number to call."],
    ])) {
      if (value(name)) continue;
      fail(name, text);
      first ??= inputs.get(name)?.input ?? null;
    }
    if (value("minutes") && !(Number(value("minutes")) > 0)) {
      fail("minutes", "A number of minutes.");
      first ??= inputs.get("minutes")?.input ?? null;
    }
    return first;
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    if (sending) return;
    say(problem, "");
    problem.hidden = true;
    const missing = incomplete();
    if (missing) {
      missing.closest("details")?.setAttribute("open", "");
      missing.focus();
      return;
    }
    // Sent again it is the same order, its deadline too, however much later.
    const said = JSON.stringify(written(0));
    if (said !== sent.form) sent = { form: said, order: written(store.now()), key: newKey() };
    const wantsAnother = /** @type {HTMLButtonElement | null} */ (event.submitter)?.value === "another";
    sending = true;
    for (const button of [place, another]) mark(button, "aria-disabled", "true");
    try {
      const placed = await api.post("orders/", sent.order, { "Idempotency-Key": sent.key });
      done(placed, wantsAnother);
    } catch (/** @type {any} */ error) {
      // Refused for good: the next try counts from its own time.
      if (error.document?.status >= 400 && error.document.status < 500) forget();
      refused(error.document ?? { detail: String(error), code: "internal" });
    } finally {
      sending = false;
      for (const button of [place, another]) mark(button, "aria-disabled", null);
    }
  }

  function forget() {
    sent = { form: "", order: {}, key: "" };
  }

  /** @param {any} placed @param {boolean} wantsAnother */
  function done(placed, wantsAnother) {
    forget();
    store.apply({ type: "order", order: placed });
    dropoff.clear();
    if (!wantsAnother) pickup.clear();
    for (const { input } of inputs.values()) {
      if (input instanceof HTMLSelectElement) input.selectedIndex = 0;
      else input.value = "";
    }
    if (wantsAnother) {
      changed();
      dropoff.input.focus();
    } else {
      dialog.close();
      store.select({ order: placed.id });
    }
  }

  /** @param {import("../api.js").ProblemDocument} why */
  function refused(why) {
    const left = [];
    /** @type {HTMLElement | null} */
    let first = null;
    for (const [name, texts] of Object.entries(why.errors ?? {})) {
      const text = texts.join(" ");
      const where = name.startsWith("pickup") ? pickup : name.startsWith("dropoff") ? dropoff : null;
      if (where) where.fail(text);
      else fail(name === "expires_at" ? "minutes" : name, text);
      const input = where?.input ?? inputs.get(name === "expires_at" ? "minutes" : name)?.input;
      if (!input) left.push(`${name}: ${text}`);
      else {
        input.closest("details")?.setAttribute("open", "");
        first ??= input;
      }
    }
    if (left.length || !why.errors) {
      say(problem, [why.errors ? "" : why.detail, ...left].filter(Boolean).join(" "));
      problem.hidden = false;
    }
    first?.focus();
  }

  // --- Open and closed ------------------------------------------------------------------------------------------------

  dialog.addEventListener("close", () => {
    if (showing) return;
    clearTimeout(timer);
    asked += 1;
    map?.draft(null);
  });
  dialog.addEventListener("toggle", () => {
    if (dialog.open) changed();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(place);
  });

  return {
    /** Open it with a pickup, as after a click on the map. @param {{lat: number, lng: number}} [at] */
    open(at) {
      if (!dialog.open) dialog.showModal();
      if (at) pickup.set(at);
      (at ? dropoff : pickup).input.focus();
    },
  };
}
