/** What the dispatcher wrote, newest first. Being on screen is being read. */

import { h } from "./dom.js";
import { apart, moment, t } from "./i18n.js";
import { empty, title } from "./parts.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("../core/types.js").Message} Message */

/** @param {Scene} scene */
export function messages(scene) {
  const told = scene.state.messages.toSorted((one, other) => Date.parse(other.at) - Date.parse(one.at));
  return h(
    "div.screen",
    null,
    title(t("messages.title")),
    told.length === 0
      ? empty("messages", t("messages.none"), t("messages.none_more"))
      : h(
          "ul.letters",
          null,
          told.map((message) => letter(scene, message)),
        ),
  );
}

/**
 * @param {Scene} scene
 * @param {Message} message
 */
function letter(scene, message) {
  const read = () => {
    // Refused or without network, it stays unread and is said again next time.
    if (!message.read_at) scene.actions.readMessage(message.id).catch(() => {});
  };
  return h(
    "li.card.letter",
    { key: message.id, class: message.read_at ? "" : "unread", hook: { mount: read } },
    h(
      "p.letter-head",
      null,
      h("span", null, t("messages.from", { from: apart(message.from) })),
      h("time.muted", { datetime: message.at }, moment(message.at, scene.now)),
    ),
    h("p", { dir: "auto" }, message.text),
  );
}
