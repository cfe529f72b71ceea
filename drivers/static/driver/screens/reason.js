/** Saying why: an order that could not be handed over, or is given back. */

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { choices, empty, field, title } from "./parts.js";
import { once } from "./scene.js";

/** @typedef {import("./scene.js").Scene} Scene */

/** Sent as they stand here, in English: dispatchers and shops read them, whatever the driver's language. */
const SENT = {
  nobody: "Nobody there",
  refused: "Customer refused it",
  address: "Address is wrong",
  damaged: "Damaged",
  closed: "Pickup is closed",
  not_ready: "Order is not ready",
  too_far: "Too far away",
  vehicle: "Trouble with the vehicle",
  unwell: "Driver cannot go on",
};
/** @typedef {keyof typeof SENT} Known */
/** @type {Record<"fail" | "release", Known[]>} */
const OFFERED = {
  fail: ["nobody", "refused", "address", "damaged"],
  release: ["closed", "not_ready", "too_far", "vehicle", "unwell"],
};
/** Characters that the server takes. */
const LONGEST = 300;

/**
 * @param {Scene} scene
 * @param {"fail" | "release"} kind
 */
export function reason(scene, kind) {
  const id = scene.route.order;
  const back = `#/order/${id}`;
  const order = scene.state.active.find((candidate) => candidate.id === id);
  if (!order || order.act)
    return h("div.screen", null, title(t(`reason.${kind}_title`), back), empty("orders", t("order.gone")));
  const draft = scene.draft(`${kind}/${id}`, { reason: "", text: "", tried: false });
  const other = draft.reason === "other";
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    draft.tried = true;
    const text = other ? draft.text.trim() : (SENT[/** @type {Known} */ (draft.reason)] ?? "");
    if (!text) {
      scene.redraw();
      return;
    }
    once(() => {
      void scene.actions[kind](id, text);
      scene.drop(`${kind}/${id}`);
      scene.go(kind === "fail" ? "#/orders" : "#/offers");
    });
  };
  return h(
    "form.screen",
    { key: `${kind}/${id}`, onsubmit: submit, novalidate: true },
    title(t(`reason.${kind}_title`), back),
    choices(
      "reason",
      t(`reason.${kind}_lead`),
      [...OFFERED[kind], "other"].map((value) => ({ value, text: t(`reason.${value}`) })),
      draft.reason,
      (value) => {
        draft.reason = value;
        scene.redraw();
      },
    ),
    other &&
      field(
        "reason-text",
        t("reason.text"),
        {
          rows: 2,
          maxlength: LONGEST,
          dir: "auto",
          value: draft.text,
          oninput: (/** @type {any} */ event) => {
            draft.text = event.target.value;
          },
        },
        { error: draft.tried && !draft.text.trim() ? t("reason.text_missing") : "" },
      ),
    h("div", { role: "alert" }, draft.tried && !draft.reason && h("p.note.bad", null, t("reason.missing"))),
    h("div.dock", null, h("button.button.danger.big", { type: "submit" }, t(`reason.${kind}_submit`))),
  );
}
