// The last truth on disk, so that the app shows something honest ("as of") when it starts without network.

import { change, read } from "./database.js";

/** @typedef {import("./database.js").TruthRecord} TruthRecord */

const DELAY_MS = 500;

export function createKeeper() {
  let timer = 0;
  /** @type {TruthRecord | null} */
  let next = null;

  /**
   * Of this driver; null if there is none.
   * @param {number} driverId
   * @returns {Promise<TruthRecord | null>}
   */
  async function load(driverId) {
    try {
      const record = await read(["truth"], (tx) => tx.objectStore("truth").get("last"));
      return record?.driver_id === driverId ? record : null;
    } catch {
      return null;
    }
  }

  /** In a moment. What another tab was told later is left alone. @param {Omit<TruthRecord, "key">} record */
  function keep(record) {
    next = { key: "last", ...record };
    timer ||= Number(setTimeout(write, DELAY_MS));
  }

  async function write() {
    const record = next;
    timer = 0;
    next = null;
    if (!record) return;
    try {
      await change(["truth"], async (tx) => {
        const there = await tx.objectStore("truth").get("last");
        if (there?.driver_id === record.driver_id && there.asOf > record.asOf) return;
        await tx.objectStore("truth").put(record);
      });
    } catch {
      // Without it the app starts empty and asks.
    }
  }

  /** Customers' names and addresses have no business on the phone of somebody who is signed out. */
  async function forget() {
    clearTimeout(timer);
    timer = 0;
    next = null;
    try {
      await change(["truth"], (tx) => tx.objectStore("truth").clear());
    } catch {
      // Overwritten by the next truth.
    }
  }

  return { load, keep, forget };
}
