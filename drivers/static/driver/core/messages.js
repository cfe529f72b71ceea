// What the dispatchers write to the driver.

import { ask, problemOf } from "./api.js";
import * as session from "./session.js";

/** @typedef {import("./types.js").Message} Message */

/** @param {{changed: () => void, say: (notice: Omit<import("./types.js").Notice, "id" | "at">) => void}} options */
export function createMessages({ changed, say }) {
  /** @type {Map<Message["id"], Message>} */
  let known = new Map();
  /** A server without messages says so once. */
  let isThere = true;

  async function load() {
    const token = (await session.current())?.token;
    if (!token || !isThere) return;
    const before = new Set(known.keys());
    const answer = await ask("driver/messages/", { token });
    if (answer.kind === "refused" && answer.problem.status === 404) isThere = false;
    if (answer.kind !== "ok" || (await session.current())?.token !== token) return;
    const list = /** @type {Message[]} */ (Array.isArray(answer.data) ? answer.data : (answer.data.results ?? []));
    // What arrived meanwhile need not be in it.
    const since = [...known.values()].filter((message) => !before.has(message.id));
    const mine = known;
    known = new Map([...since, ...list].map((message) => [message.id, asRead(message, mine)]));
    changed();
  }

  /**
   * Unread ones, by push or with a whole truth.
   * @param {Message[]} messages
   * @param {boolean} areNews the driver is to be told of those that were not known
   */
  function took(messages, areNews) {
    for (const message of messages) {
      if (areNews && !known.has(message.id)) {
        const data = { id: message.id, text: message.text, from: message.from };
        say({ tone: "info", code: "message", data });
      }
      known.set(message.id, asRead(message, known));
    }
    if (messages.length) changed();
  }

  /** @param {Message["id"]} id */
  async function read(id) {
    const token = (await session.current())?.token ?? null;
    const answer = await ask(`driver/messages/${encodeURIComponent(id)}/read/`, { method: "POST", token, json: {} });
    if (answer.kind !== "ok") throw problemOf(answer);
    const message = known.get(id);
    if (message) known.set(id, { ...message, read_at: message.read_at ?? new Date().toISOString() });
    changed();
  }

  /** Newest first. */
  const all = () => [...known.values()].sort((a, b) => b.at.localeCompare(a.at));

  return { load, took, read, all, clear: () => known.clear() };
}

/**
 * What was read here stays read: the answer may have been on its way before the server knew.
 * @param {Message} message
 * @param {Map<Message["id"], Message>} known
 * @returns {Message}
 */
function asRead(message, known) {
  return { ...message, read_at: message.read_at ?? known.get(message.id)?.read_at ?? null };
}
