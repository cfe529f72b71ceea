// What a dispatcher can do: who may do it, when it makes sense, how it is sent, and what became of each row.

import { newKey } from "./api.js";
import { label } from "./format.js";
import { FINAL } from "./store.js";
import { PASSING } from "./words.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./store.js").Order} Order
 * @typedef {"assign" | "assign_nearest" | "reassign" | "unassign" | "reoffer" | "extend" | "pin" | "unpin" | "cancel" | "duty" | "message"} Act
 * @typedef {{order: string, version: number} | {driver: number}} ActRow a row as the dispatcher saw it
 * @typedef {{driver?: number, seconds?: number, reason?: string, text?: string, key?: string, is_online?: boolean}} Details
 * @typedef {{order?: string, driver?: number, ok: boolean, document?: any, undo?: {id: string, until: string} | null,
 *   problem?: import("./api.js").ProblemDocument}} Result
 * @typedef {{act: Act, details: Details, rows: ActRow[], results: Result[]}} Outcome
 * @typedef {ReturnType<typeof createActs>} Acts
 */

/** What the server takes at once. */
const ROWS_AT_ONCE = 200;

/** @type {Record<Act, {ability: keyof import("./settings.js").Settings["can"], key: string, verb: string, done: string}>} */
export const ACTS = {
  assign: { ability: "assign", key: "a", verb: "Assign", done: "assigned" },
  assign_nearest: { ability: "assign", key: "", verb: "Assign nearest", done: "assigned" },
  reassign: { ability: "assign", key: "a", verb: "Reassign", done: "reassigned" },
  unassign: { ability: "assign", key: "u", verb: "Unassign", done: "taken back" },
  reoffer: { ability: "offer", key: "r", verb: "Re-offer", done: "offered again" },
  extend: { ability: "offer", key: "e", verb: "Extend", done: "extended" },
  pin: { ability: "assign", key: "p", verb: "Pin", done: "kept out of auto-assignment" },
  unpin: { ability: "assign", key: "p", verb: "Unpin", done: "left to auto-assignment again" },
  cancel: { ability: "cancel", key: "x", verb: "Cancel", done: "cancelled" },
  duty: { ability: "duty", key: "o", verb: "Duty", done: "changed" },
  message: { ability: "message", key: "m", verb: "Message", done: "messaged" },
};

/** Why an act makes no sense for an order as it is; empty if it does. @param {Act} act @param {Order} order */
export function unfit(act, order) {
  if (FINAL.has(order.status)) return `It is ${order.status} already.`;
  if (act === "cancel") return "";
  if (act === "reassign") return order.status === "assigned" ? "" : "Nobody holds it that it could be taken from.";
  if (act === "unassign") {
    if (order.status === "picked_up") return "It is picked up already.";
    return order.status === "assigned" ? "" : "Nobody holds it.";
  }
  if (order.status !== "pending") return "A driver holds it already.";
  if (act === "pin" && order.pinned) return "It is pinned already.";
  if (act === "unpin" && !order.pinned) return "It is not pinned.";
  if (act === "extend" && order.expired) return "It has expired: re-offer it instead.";
  return "";
}

/** @param {ActRow} row */
export const keyOf = (row) => ("order" in row ? row.order : `driver:${row.driver}`);

/**
 * @param {{
 *   store: Store, api: import("./api.js").Api, can: import("./settings.js").Settings["can"],
 *   onOutcome: (outcome: Outcome) => void,
 *   onAsk: (act: Act, rows: ActRow[]) => void,
 * }} context
 */
export function createActs({ store, api, can, onOutcome, onAsk }) {
  /** Why nothing can be done at all just now; empty if it can. */
  function blocked() {
    const { state, lagMs } = store.link;
    if (state === "live") return "";
    if (state === "behind")
      return `The board is ${Math.round(lagMs / 1000)} s behind. Acts wait until it is live again.`;
    if (state === "signed_out") return "You are signed out.";
    return "The board is not connected. Acts wait until it is live again.";
  }

  /** Rows as they are seen now. @param {Iterable<string>} orders @returns {ActRow[]} */
  const seen = (orders) =>
    [...orders].flatMap((id) => {
      const order = store.orders.get(id);
      return order ? [{ order: id, version: order.version }] : [];
    });

  /** May this user do it at all? If not, its button is not there. @param {Act} act */
  const allowed = (act) => can[ACTS[act].ability];

  /** Why this act cannot be done for any of the rows; empty if it can for at least one. @param {Act} act @param {ActRow[]} rows */
  function why(act, rows) {
    if (!allowed(act)) return "You may not do this.";
    const still = blocked();
    if (still) return still;
    if (rows.every((row) => store.busy.has(keyOf(row)))) return "One moment: the last act is still under way.";
    let reason = "";
    for (const row of rows) {
      const order = "order" in row ? store.orders.get(row.order) : undefined;
      reason = order ? unfit(act, order) : "";
      // To assign what is held is to reassign it.
      if (reason && order && act === "assign") reason = unfit("reassign", order);
      if (!reason) return "";
    }
    return reason || (rows.length ? "" : "No order is chosen.");
  }

  /**
   * Do it, and say what became of each row, in the order given. Never throws: what fails is a result, too.
   * @param {Act} act
   * @param {ActRow[]} rows as the dispatcher saw them
   * @param {Details} [given]
   * @param {{quiet?: boolean}} [options] quiet: whoever asked shows the outcome
   * @returns {Promise<Result[]>}
   */
  async function run(act, rows, given = {}, { quiet = false } = {}) {
    // A message has no version: its key is what keeps it from being sent twice when it is tried again.
    const details = act === "message" ? { key: newKey(), ...given } : given;
    const stop = allowed(act) ? blocked() : "You may not do this.";
    /** @type {Map<string, Result>} */
    const results = new Map();
    /** @type {Map<Act, ActRow[]>} */
    const sent = new Map();
    for (const row of rows) {
      const key = keyOf(row);
      const order = "order" in row ? store.orders.get(row.order) : undefined;
      const actual = act === "assign" && order?.status === "assigned" ? "reassign" : act;
      const wrong = stop || (store.busy.has(key) ? "The last act is still under way." : "");
      if (wrong) {
        results.set(key, refused(row, { status: 0, code: "not_now", detail: wrong }));
        continue;
      }
      const batch = sent.get(actual);
      if (batch) batch.push(row);
      else sent.set(actual, [row]);
    }
    for (const [actual, batch] of sent) {
      const keys = batch.map(keyOf);
      store.setBusy(keys, true);
      try {
        for (let start = 0; start < batch.length; start += ROWS_AT_ONCE) {
          const chunk = batch.slice(start, start + ROWS_AT_ONCE);
          for (const result of await post(actual, chunk, details)) {
            results.set(result.order ?? `driver:${result.driver}`, result);
            learn(result);
          }
        }
      } finally {
        store.setBusy(keys, false);
      }
    }
    const inOrder = rows.map(
      (row) =>
        results.get(keyOf(row)) ?? refused(row, { status: 0, code: "unreachable", detail: "No result came back." }),
    );
    if (!quiet) onOutcome({ act, details, rows, results: inOrder });
    return inOrder;
  }

  /** @param {ActRow} row @param {import("./api.js").ProblemDocument} problem @returns {Result} */
  const refused = (row, problem) => ({ ...("order" in row ? { order: row.order } : row), ok: false, problem });

  /** @param {Act} act @param {ActRow[]} rows @param {Details} details @returns {Promise<Result[]>} */
  async function post(act, rows, details) {
    try {
      return (await api.post("board/acts/", { act, rows, ...details })).results;
    } catch (/** @type {any} */ error) {
      // The whole request was refused, or nobody answered: the same for every row.
      const problem = error.document ?? { status: 0, code: "internal", detail: String(error) };
      return rows.map((row) => refused(row, problem));
    }
  }

  /** The answer may be quicker than the push, and a conflict brings the newer version. @param {Result} result */
  function learn(result) {
    const order = result.ok ? result.document : result.problem?.current;
    if (result.order && order?.version) store.apply({ type: "order", order });
  }

  return {
    ACTS,
    blocked,
    allowed,
    why,
    seen,
    run,

    /** Open the dialog of an act, or do it at once if there is nothing to ask. @param {Act} act @param {ActRow[]} rows */
    ask(act, rows) {
      onAsk(act, rows);
    },

    /** Take acts back. @param {string[]} undos @returns {Promise<Array<{ok: boolean, problem?: any}>>} */
    async undo(undos) {
      const results = [];
      for (const undo of undos) {
        try {
          const answer = await api.post("board/undo/", { undo });
          store.apply({ type: "order", order: answer });
          results.push({ ok: true });
        } catch (/** @type {any} */ error) {
          results.push({ ok: false, problem: error.document });
          if (error.document?.current) store.apply({ type: "order", order: error.document.current });
        }
      }
      return results;
    },

    /** Whoever holds these orders, each once. @param {Iterable<string>} orders @returns {ActRow[]} */
    holders(orders) {
      const ids = new Set([...orders].flatMap((id) => store.orders.get(id)?.driver ?? []));
      return [...ids].map((driver) => ({ driver }));
    },

    /**
     * Those of an outcome that failed, as they are now, to be tried again. Those without an answer as they were: if it was
     * done after all, the server says so instead of doing it twice.
     * @param {Outcome} outcome @returns {ActRow[]}
     */
    again({ act, rows, results }) {
      const failed = rows.filter((_, index) => !results[index]?.ok);
      const unanswered = new Set(rows.filter((_, index) => results[index]?.problem?.code === "unreachable"));
      /** @param {Order | undefined} order */
      const fits = (order) => order && (!unfit(act, order) || (act === "assign" && !unfit("reassign", order)));
      return [
        ...failed.filter((row) => "driver" in row),
        ...failed.flatMap((row) => {
          if (!("order" in row) || !fits(store.orders.get(row.order))) return [];
          return unanswered.has(row) ? [row] : seen([row.order]);
        }),
      ];
    },

    /** Whether the same may simply be tried again. @param {Result} result */
    isPassing: (result) => PASSING.has(result.problem?.code ?? ""),

    /** @param {ActRow | Result} row */
    called(row) {
      if ("order" in row && row.order) return label(store.orders.get(row.order) ?? { id: row.order });
      const id = /** @type {any} */ (row).driver;
      return store.drivers.get(id)?.name ?? `driver ${id}`;
    },
  };
}
