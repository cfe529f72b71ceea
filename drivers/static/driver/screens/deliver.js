/** Handing over: the proof, and the tap that ends the order. */

import { h } from "./dom.js";
import { number, t } from "./i18n.js";
import { icon } from "./icons.js";
import { address, choices, empty, field, title } from "./parts.js";
import { downsized } from "./photo.js";
import { once } from "./scene.js";
import { isSigned, noInk, paint, pictureOf, signOn } from "./signature.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("../core/types.js").Proof} Proof */
/** @typedef {Proof["kind"]} Kind */

/** @type {[Kind, string][]} */
const KINDS = [
  ["photo", "camera"],
  ["signature", "sign"],
  ["name", "person"],
  ["pin", "pin"],
  ["none", "none"],
];
const PIN = /^\d{4,8}$/;

/**
 * @typedef {{
 *   kind: Kind, recipient: string, note: string, pin: string, error: string,
 *   photo: { blob: Blob, canvas: HTMLCanvasElement } | null, busy: boolean, ink: import("./signature.js").Ink, wrongPins: number,
 * }} Draft
 */

/** @param {Scene} scene */
export function deliver(scene) {
  const id = scene.route.order;
  const back = `#/order/${id}`;
  const order = scene.state.active.find((candidate) => candidate.id === id);
  if (!order?.dropoff || order.act)
    return h("div.screen", null, title(t("deliver.title"), back), empty("orders", t("order.gone")));
  /** @type {Draft} */
  const draft = scene.draft(`deliver/${id}`, {
    // The receiver who was given a PIN expects to be asked for it.
    kind: order.contact?.has_pin ? "pin" : "photo",
    recipient: "",
    note: "",
    pin: "",
    error: "",
    photo: null,
    busy: false,
    ink: noInk(),
    wrongPins: 0,
  });
  const set = (/** @type {Partial<Draft>} */ changes) => {
    Object.assign(draft, { error: "" }, changes);
    scene.redraw();
  };
  return h(
    "form.screen",
    {
      key: `deliver/${id}`,
      novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void submit(scene, id, draft, set);
      },
    },
    title(t("deliver.title"), back),
    h("p.where", null, icon("dropoff"), address(order.dropoff)),
    choices(
      "proof",
      t("deliver.how"),
      KINDS.map(([value, picture]) => ({ value, text: t(`deliver.${value}`), icon: picture })),
      draft.kind,
      (value) => set({ kind: /** @type {Kind} */ (value) }),
      "tiles",
    ),
    h("div", { key: draft.kind }, proofOf(draft, set)),
    draft.kind !== "pin" &&
      text("recipient", t("deliver.recipient"), draft, 120, draft.kind !== "name", {
        autocomplete: "off",
        error: draft.kind === "name" ? draft.error : "",
      }),
    text("note", t("deliver.note"), draft, 300, true, { hint: t("deliver.note_hint") }),
    h(
      "div",
      { role: "alert" },
      draft.error && draft.kind !== "name" && draft.kind !== "pin" && h("p.note.bad", null, icon("alert"), draft.error),
    ),
    h(
      "div.dock",
      null,
      scene.state.link.state !== "live" && h("p.muted.small", null, t("deliver.offline")),
      h(
        "button.button.go.big",
        { type: "submit", disabled: draft.busy },
        icon("check"),
        h("span", null, t("deliver.submit")),
      ),
    ),
  );
}

/**
 * @param {Draft} draft
 * @param {(changes: Partial<Draft>) => void} set
 */
function proofOf(draft, set) {
  switch (draft.kind) {
    case "photo":
      return photo(draft, set);
    case "signature":
      return signature(draft, set);
    case "pin":
      return field(
        "pin",
        t("deliver.pin_label"),
        {
          inputmode: "numeric",
          autocomplete: "off",
          maxlength: 8,
          dir: "ltr",
          class: "pin",
          value: draft.pin,
          oninput: (/** @type {any} */ event) => {
            draft.pin = event.target.value;
          },
        },
        { hint: t("deliver.pin_hint"), error: draft.error },
      );
    default:
      return null;
  }
}

/**
 * @param {Draft} draft
 * @param {(changes: Partial<Draft>) => void} set
 */
function photo(draft, set) {
  const taken = async (/** @type {any} */ event) => {
    const file = event.target.files?.[0];
    if (!file) return;
    // The same picture chosen again is a change again.
    set({ busy: true });
    try {
      set({ photo: await downsized(file), busy: false });
    } catch {
      set({ photo: null, busy: false, error: t("deliver.photo_bad") });
    }
    event.target.value = "";
  };
  const picture = draft.photo;
  return h(
    "div.photo",
    null,
    picture &&
      h("div.photo-shown", {
        key: `${picture.blob.size}/${picture.canvas.width}`,
        role: "img",
        "aria-label": t("deliver.photo_ready", { size: size(picture.blob) }),
        hook: { mount: (/** @type {HTMLElement} */ element) => element.append(picture.canvas) },
      }),
    h(
      "label.button.camera",
      { class: picture ? "" : "first" },
      icon("camera"),
      h("span", null, t(draft.busy ? "deliver.photo_busy" : picture ? "deliver.retake" : "deliver.take")),
      h("input.sr", { id: "photo", type: "file", accept: "image/*", capture: "environment", onchange: taken }),
    ),
    h("p.hint", { role: "status" }, picture && t("deliver.photo_ready", { size: size(picture.blob) })),
  );
}

/** @param {Blob} blob */
function size(blob) {
  return number(Math.max(1, Math.round(blob.size / 1000)), { style: "unit", unit: "kilobyte", unitDisplay: "short" });
}

/**
 * @param {Draft} draft
 * @param {(changes: Partial<Draft>) => void} set
 */
function signature(draft, set) {
  const canvas = () => /** @type {HTMLCanvasElement | null} */ (document.querySelector("#signature"));
  const repaint = () => {
    const field = canvas();
    if (field) paint(field, draft.ink);
  };
  return h(
    "div.signature",
    null,
    h(
      "div.paper",
      null,
      h("canvas", {
        id: "signature",
        role: "img",
        "aria-label": t("deliver.sign_label"),
        hook: { mount: (/** @type {HTMLCanvasElement} */ element) => signOn(element, draft.ink, () => set({})) },
      }),
      !isSigned(draft.ink) && h("p.paper-hint", { "aria-hidden": "true" }, t("deliver.sign_here")),
    ),
    h(
      "button.button.quiet",
      {
        type: "button",
        onclick: () => {
          draft.ink.strokes.length = 0;
          draft.ink.typed = "";
          repaint();
          set({});
        },
      },
      t("deliver.sign_clear"),
    ),
    field("typed", t("deliver.sign_typed"), {
      dir: "auto",
      autocomplete: "off",
      maxlength: 60,
      value: draft.ink.typed,
      oninput: (/** @type {any} */ event) => {
        draft.ink.typed = event.target.value;
        repaint();
        set({});
      },
    }),
  );
}

/**
 * @param {"recipient" | "note"} name
 * @param {string} label
 * @param {Draft} draft
 * @param {number} maxlength
 * @param {boolean} optional
 * @param {{ hint?: string, error?: string, autocomplete?: string }} more
 */
function text(name, label, draft, maxlength, optional, { hint = "", error = "", autocomplete = "off" }) {
  return field(
    name,
    optional ? `${label} (${t("optional")})` : label,
    {
      key: name,
      dir: "auto",
      maxlength,
      autocomplete,
      value: draft[name],
      oninput: (/** @type {any} */ event) => {
        draft[name] = event.target.value;
      },
    },
    { hint, error },
  );
}

/**
 * What is missing, in words; empty when nothing is.
 * @param {Draft} draft
 */
function missing(draft) {
  if (draft.kind === "photo" && !draft.photo) return t("deliver.photo_missing");
  if (draft.kind === "signature" && !isSigned(draft.ink)) return t("deliver.sign_missing");
  if (draft.kind === "name" && !draft.recipient.trim()) return t("deliver.recipient_missing");
  if (draft.kind === "pin" && !PIN.test(western(draft.pin))) return t("deliver.pin_missing");
  return "";
}

/** Digits as typed on an Arabic or Persian keyboard are the same digits. @param {string} typed */
function western(typed) {
  return typed.trim().replace(/[٠-٩۰-۹]/g, (digit) => String((digit.codePointAt(0) ?? 0) % 16));
}

/**
 * @param {Scene} scene
 * @param {string} id
 * @param {Draft} draft
 * @param {(changes: Partial<Draft>) => void} set
 */
async function submit(scene, id, draft, set) {
  const error = missing(draft);
  if (error) {
    set({ error });
    queueMicrotask(() => document.querySelector(/** @type {any} */ ("[aria-invalid=true]"))?.focus());
    return;
  }
  /** @type {Proof} */
  const proof = { kind: draft.kind };
  if (draft.kind !== "pin" && draft.recipient.trim()) proof.recipient = draft.recipient.trim();
  if (draft.note.trim()) proof.note = draft.note.trim();
  if (draft.kind === "pin") proof.pin = western(draft.pin);
  if (draft.kind === "photo" && draft.photo) proof.photo = draft.photo.blob;
  if (draft.kind === "signature") proof.signature = await pictureOf(draft.ink);
  once(() => {
    void scene.actions.deliver(id, proof);
    // The rest stays until it is done: a wrong PIN brings the driver back here.
    draft.pin = "";
    scene.go(`#/order/${id}`);
  });
}
