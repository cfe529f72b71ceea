// Who may send now: one tab or worker of this phone for each lane, by a Web Lock. The acts of an order are a lane, and so are
// all pictures together.

/** @typedef {import("./database.js").ActRecord} ActRecord */

/**
 * With the lane's lock, which one page or worker of this phone has at a time.
 * @param {string} lane
 * @param {() => Promise<void>} work
 * @returns {Promise<void>}
 */
export async function alone(lane, work) {
  let isMine = false;
  try {
    await navigator.locks.request(`baton-driver:${lane}`, () => {
      isMine = true;
      return work();
    });
  } catch (error) {
    if (isMine) throw error;
    // No locks here (an old browser, or no storage at all): the server's receipts have to do.
    await work();
  }
}

/** @param {ActRecord} act */
export function laneOf(act) {
  return act.lane === "proof" ? "proofs" : `order:${act.order}`;
}

// A tap that could not be stored is known to its own tab only, and yet what was tapped later in another one must not be sent
// before it. So its tab holds a lock whose name says which order and which turn, for as long as it waits.

const UNSTORED = "baton-driver:unstored:";

/**
 * Let the other tabs know of a tap that they cannot see. Returns how to take it back; the browser does, if the tab dies.
 * @param {ActRecord} act
 * @returns {Promise<() => void>}
 */
export function announced(act) {
  return new Promise((known) => {
    const nothing = () => {};
    try {
      const name = `${UNSTORED}${act.order}:${act.turn}:${act.action_id}`;
      const hold = () => new Promise((release) => known(() => release(undefined)));
      navigator.locks.request(name, hold).catch(() => known(nothing));
    } catch {
      known(nothing);
    }
  });
}

/**
 * Whether another tab holds an unstored tap on the same order that came before this one.
 * @param {ActRecord} act
 * @param {ActRecord[]} own this tab's unstored ones
 */
export async function isBehindAnother(act, own) {
  try {
    const { held = [] } = await navigator.locks.query();
    const prefix = `${UNSTORED}${act.order}:`;
    return held.some(({ name = "" }) => {
      const [turn, id] = name.startsWith(prefix) ? name.slice(prefix.length).split(":") : [];
      return id !== undefined && Number(turn) < act.turn && !own.some((one) => one.action_id === id);
    });
  } catch {
    return false;
  }
}
