// What the driver has to read: kept until it was read, so that a tab that dies takes no bad news with it.

import { change, read } from "./database.js";

/** @typedef {import("./types.js").Notice} Notice */
/** @typedef {Notice & {driver_id: number}} Kept */

/** Good news is old news soon; bad news is kept for a day. */
const KEPT_MS = { good: 10 * 60_000, info: 24 * 3600_000, bad: 24 * 3600_000 };
const AT_MOST = 50;

/** @param {() => void} changed */
export function createNotices(changed) {
  /** Of the database. @type {Notice[]} */
  let kept = [];
  /** Of this page only. @type {Map<string, Notice>} */
  const said = new Map();
  /** What became of taps, of every driver of this page: the database may not have had room for it. @type {Map<string, Kept>} */
  const outcomes = new Map();

  let driverId = 0;

  /** Whose they are: nobody reads another's, and whoever comes back finds theirs. @param {number} driver */
  async function of(driver) {
    if (driver === driverId) return;
    driverId = driver;
    kept = [];
    said.clear();
    await load();
  }

  async function load() {
    try {
      const all = await read(["notices"], (tx) => tx.objectStore("notices").getAll());
      kept = all.filter((notice) => notice.driver_id === driverId);
    } catch {
      // Those that were read before are still shown.
    }
    changed();
  }

  /** Forget what is old. */
  async function tidy() {
    const now = Date.now();
    try {
      await change(["notices"], async (tx) => {
        const all = (await tx.objectStore("notices").getAll()).sort((a, b) => b.at - a.at);
        for (const [place, notice] of all.entries()) {
          const isOld = now - notice.at > KEPT_MS[notice.tone] || place >= AT_MOST;
          if (isOld) await tx.objectStore("notices").delete(notice.id);
        }
      });
    } catch {
      // The next start will do.
    }
    await load();
  }

  /** Said to this page only. @param {Omit<Notice, "id" | "at">} notice */
  function say(notice) {
    const id = crypto.randomUUID();
    said.set(id, { id, at: Date.now(), ...notice });
    changed();
  }

  /**
   * What became of a driver's tap; who is signed in now may be another.
   * @param {Notice} notice
   * @param {number} driver
   */
  function show(notice, driver) {
    outcomes.set(notice.id, { ...notice, driver_id: driver });
    changed();
  }

  /** @param {string} id */
  async function dismiss(id) {
    said.delete(id);
    outcomes.delete(id);
    kept = kept.filter((notice) => notice.id !== id);
    changed();
    try {
      await change(["notices"], (tx) => tx.objectStore("notices").delete(id));
    } catch {
      // It comes back with the next start.
    }
  }

  /** Newest first. @returns {Notice[]} */
  const all = () => {
    const mine = [...outcomes.values()].filter((notice) => notice.driver_id === driverId);
    const together = new Map([...said.values(), ...mine, ...kept].map((notice) => [notice.id, notice]));
    return [...together.values()].sort((a, b) => b.at - a.at);
  };

  return { of, load, tidy, say, show, dismiss, all };
}
