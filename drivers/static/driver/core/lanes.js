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
