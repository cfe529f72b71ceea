// Who is signed in on this phone: one driver for all tabs and the service worker. Where the phone has no storage, for
// this page only.

import { change, read } from "./database.js";

/** @typedef {import("./database.js").SessionRecord} SessionRecord */
/** @typedef {import("./types.js").Driver} Driver */
/** @typedef {import("./types.js").State["signedOutWhy"]} Why */

/** What only this page knows, because it could not be stored. @type {SessionRecord | null} */
let unstored = null;

/**
 * Who is, or was last, signed in. Without a `token` nobody is.
 * @returns {Promise<SessionRecord | null>}
 */
export async function current() {
  if (unstored) return unstored;
  try {
    return (await read(["session"], (tx) => tx.objectStore("session").get("current"))) ?? null;
  } catch {
    return null;
  }
}

/**
 * @param {(record: SessionRecord | null) => SessionRecord | null} edit null: leave it as it is
 * @returns {Promise<SessionRecord | null>} as it is now
 */
async function edit(edit) {
  if (unstored) {
    unstored = edit(unstored) ?? unstored;
    return unstored;
  }
  /** @type {SessionRecord | null} */
  let wanted = null;
  try {
    return await change(["session"], async (tx) => {
      const store = tx.objectStore("session");
      const record = (await store.get("current")) ?? null;
      wanted = edit(record);
      if (wanted) await store.put(wanted);
      return wanted ?? record;
    });
  } catch {
    // What could not be stored begins with what was: a phone that cannot write any more can often still read.
    const stored = wanted ? null : await current();
    // Another edit that could not be stored either may have come first: this one goes on from there.
    unstored = unstored ? (edit(unstored) ?? unstored) : (wanted ?? edit(stored));
    return unstored;
  }
}

/**
 * @param {{driver: Driver, token: string, wanted: boolean}} who
 * @returns {Promise<SessionRecord | null>}
 */
export function begin({ driver, token, wanted }) {
  return edit(() => ({ key: "current", driver, token, why: null, wanted, pending: false }));
}

/**
 * The token is no longer good. Nothing happens if another one has taken its place meanwhile. Taps stay where they are.
 * @param {string} token
 * @param {Why} why null: by the driver's own wish
 */
export function end(token, why) {
  return edit((record) =>
    record?.token === token ? { ...record, token: null, why, wanted: false, pending: false } : null,
  );
}

/**
 * What the driver tapped, still to be told to the server (`pending`), or what the server said.
 * @param {number} driverId
 * @param {{wanted: boolean, pending: boolean}} duty
 */
export function setDuty(driverId, duty) {
  return edit((record) => (record?.token && record.driver.id === driverId ? { ...record, ...duty } : null));
}

/**
 * The server's word on the duty. Nothing happens if the driver has tapped meanwhile, also in another tab: that tap is
 * newer than what was asked.
 * @param {SessionRecord} asked as it was when the server was asked
 * @param {boolean} is on duty
 * @returns {Promise<boolean>} whether the word still counted
 */
export async function settleDuty({ token, wanted, pending }, is) {
  let counts = false;
  await edit((record) => {
    counts = Boolean(token) && record?.token === token && record.wanted === wanted && record.pending === pending;
    return record && counts && (pending || wanted !== is) ? { ...record, wanted: is, pending: false } : null;
  });
  return counts;
}

/**
 * @param {Driver} driver
 */
export function setDriver(driver) {
  return edit((record) => (record?.driver.id === driver.id ? { ...record, driver } : null));
}

/** Tokens that were signed out of and of which the server has to be told. @returns {Promise<string[]>} */
export async function leaving() {
  try {
    return (await read(["leaving"], (tx) => tx.objectStore("leaving").getAll())).map((row) => row.token);
  } catch {
    return [];
  }
}

/** @param {string} token */
export async function leave(token) {
  try {
    await change(["leaving"], (tx) => tx.objectStore("leaving").put({ token }));
  } catch {
    // It runs out by itself; whoever cares revokes it in the back office.
  }
}

/** @param {string} token */
export async function left(token) {
  try {
    await change(["leaving"], (tx) => tx.objectStore("leaving").delete(token));
  } catch {
    // Telling the server again does no harm.
  }
}
