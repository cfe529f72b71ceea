// What the phone keeps: one small IndexedDB, shared by all tabs and the service worker.
//
// | store | what | leaves when |
// |---|---|---|
// | `session` | who is signed in, the device's token, the duty that was tapped | signed out (the token), another driver signs in |
// | `leaving` | tokens that were signed out of without network | the server knows |
// | `acts` | taps that the server has not answered, in the order of tapping | answered |
// | `pictures` | photos and signatures, by the `action_id` of their act | answered |
// | `notices` | what became of taps, until the driver has read it | dismissed, or a day |
// | `truth` | what the server last said, "as of" | signed out |
//
// The token is here and not in localStorage because the service worker sends taps, too, and sees only IndexedDB. Against
// a script of somebody else's in the page neither place would help: the strict Content-Security-Policy is what keeps such
// a script out. A token is good for this one device and can be revoked by itself.

import { openDB } from "../../node_modules/idb/build/index.js";

/**
 * @typedef {{
 *   seq?: number, turn: number, action_id: string, driver_id: number, lane: "act" | "proof", kind: import("./types.js").Verb | "proof",
 *   order: string, body: Record<string, any>, tapped_at: number, tries: number,
 *   retry_at: number, retry_since: number, firm: boolean, problem: import("./types.js").Problem | null,
 * }} ActRecord `turn` is the order of tapping: the time, but always later than what was tapped before, whatever became of
 * the phone's clock. No `seq`: it could not be stored. Not before `retry_at` (from `retry_since`), `firm` if the server said so.
 *
 * @typedef {{
 *   key: "current", driver: import("./types.js").Driver, token: string | null, why: import("./types.js").State["signedOutWhy"],
 *   wanted: boolean, pending: boolean,
 * }} SessionRecord `wanted`: on duty; `pending`: the server has not been told yet.
 *
 * @typedef {{action_id: string, bytes: ArrayBuffer, type: string}} PictureRecord
 * @typedef {{
 *   key: "last", driver_id: number, asOf: number,
 *   offers: import("./types.js").ApiOffer[], active: import("./types.js").ApiOrder[],
 * }} TruthRecord
 *
 * @typedef {{
 *   session: {key: string, value: SessionRecord},
 *   leaving: {key: string, value: {token: string}},
 *   acts: {key: number, value: ActRecord, indexes: {action_id: string}},
 *   pictures: {key: string, value: PictureRecord},
 *   notices: {key: string, value: import("./types.js").Notice & {driver_id: number}},
 *   truth: {key: string, value: TruthRecord},
 * }} Schema
 * @typedef {import("../../node_modules/idb/build/index.js").IDBPDatabase<Schema>} Database
 * @typedef {import("../../node_modules/idb/build/index.js").StoreNames<Schema>} Store
 */

export const NAME = "baton-driver";
const VERSION = 1;
/** A browser whose storage hangs is one without storage: the tap goes on its way without. */
const PATIENCE_MS = 4000;

/** @type {Promise<Database> | null} */
let opened = null;

/** @returns {Promise<Database>} */
function open() {
  if (opened) return opened;
  const opening = openDB(NAME, VERSION, {
    upgrade(database) {
      database.createObjectStore("session", { keyPath: "key" });
      database.createObjectStore("leaving", { keyPath: "token" });
      database
        .createObjectStore("acts", { keyPath: "seq", autoIncrement: true })
        .createIndex("action_id", "action_id", { unique: true });
      database.createObjectStore("pictures", { keyPath: "action_id" });
      database.createObjectStore("notices", { keyPath: "id" });
      database.createObjectStore("truth", { keyPath: "key" });
    },
    blocking(_old, _new, event) {
      // A newer version of the app in another tab wants to change the layout.
      /** @type {IDBDatabase} */ (event.target).close();
      opened = null;
    },
    terminated() {
      opened = null;
    },
  });
  opened = /** @type {Promise<Database>} */ (/** @type {unknown} */ (opening));
  opened.catch(() => {
    opened = null;
  });
  return opened;
}

/**
 * `promise`, or an error if it takes longer than anybody waits.
 * @template T
 * @param {Promise<T>} promise
 * @param {number} [ms]
 * @returns {Promise<T>}
 */
export function inTime(promise, ms = PATIENCE_MS) {
  let timer = 0;
  const late = new Promise((_, reject) => {
    timer = Number(setTimeout(() => reject(new DOMException("The storage does not answer.", "TimeoutError")), ms));
  });
  return Promise.race([promise, /** @type {Promise<never>} */ (late)]).finally(() => clearTimeout(timer));
}

/**
 * Read in one transaction. `work` awaits nothing but the database.
 * @template T
 * @param {Store[]} stores
 * @param {(tx: import("../../node_modules/idb/build/index.js").IDBPTransaction<Schema, Store[], "readonly">) => Promise<T>} work
 * @returns {Promise<T>}
 */
export function read(stores, work) {
  return inTime(
    connected(async (database) => {
      const tx = database.transaction(stores, "readonly");
      const [result] = await Promise.all([work(tx), tx.done]);
      return result;
    }),
  );
}

/**
 * Write all or nothing, in one transaction; resolves when the disk has it (`strict`), which is what a tap waits for.
 * `work` awaits nothing but the database. Rejects, with nothing changed, when there is no room or no storage.
 * @template T
 * @param {Store[]} stores
 * @param {(tx: import("../../node_modules/idb/build/index.js").IDBPTransaction<Schema, Store[], "readwrite">) => Promise<T>} work
 * @returns {Promise<T>}
 */
export function change(stores, work) {
  return inTime(
    connected(async (database) => {
      const tx = database.transaction(stores, "readwrite", { durability: "strict" });
      // The transaction's own end is looked at below; until then its failure is not unhandled.
      tx.done.catch(() => {});
      try {
        const result = await work(tx);
        await tx.done;
        return result;
      } catch (error) {
        try {
          tx.abort();
        } catch {
          // It has ended by itself.
        }
        throw tx.error ?? error;
      }
    }),
  );
}

/**
 * @template T
 * @param {(database: Database) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function connected(work) {
  try {
    return await work(await open());
  } catch (error) {
    // The browser closed the connection behind our back (storage pressure, another version): once more with a new one.
    if (!(error instanceof DOMException) || error.name !== "InvalidStateError") throw error;
    opened = null;
    return work(await open());
  }
}

/**
 * @param {unknown} error
 * @returns {"full" | "unavailable"}
 */
export function whatFailed(error) {
  return error instanceof DOMException && error.name === "QuotaExceededError" ? "full" : "unavailable";
}
