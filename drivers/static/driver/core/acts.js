// One tap as it is kept, and what can be said of it without asking anybody.

/** @typedef {import("./types.js").Act} Act */
/** @typedef {import("./types.js").Verb} Verb */
/** @typedef {import("./types.js").Notice} Notice */
/** @typedef {import("./database.js").ActRecord} ActRecord */

/** Shown as stuck from this many tries on; tried ever after. */
const STUCK_TRIES = 6;

/**
 * As the screens show it.
 * @param {ActRecord} act
 * @param {boolean} isSignedIn
 * @param {boolean} isSending
 * @returns {Act}
 */
export function shown(act, isSignedIn, isSending) {
  const isStuck = !isSignedIn || act.tries >= STUCK_TRIES;
  return {
    action_id: act.action_id,
    kind: act.kind,
    order: act.order,
    tappedAt: act.tapped_at,
    tries: act.tries,
    state: isSending ? "sending" : isStuck ? "stuck" : "waiting",
    lastProblem: act.problem,
    stored: act.seq !== undefined,
  };
}

/**
 * @param {number} driverId
 * @param {"act" | "proof"} lane
 * @param {Verb | "proof"} kind
 * @param {string} order
 * @param {Record<string, any>} body
 * @param {number} now
 * @returns {ActRecord}
 */
export function record(driverId, lane, kind, order, body, now) {
  return {
    action_id: crypto.randomUUID(),
    turn: 0,
    driver_id: driverId,
    lane,
    kind,
    order,
    body,
    tapped_at: now,
    tries: 0,
    retry_at: 0,
    retry_since: now,
    firm: false,
    problem: null,
  };
}

/**
 * A second tap on the same button, here or in another tab, is the same tap; with another reason or PIN it is not.
 * @param {ActRecord} one
 * @param {ActRecord} other
 */
export function isSame(one, other) {
  if (one.action_id === other.action_id) return true;
  const isTwin = one.driver_id === other.driver_id && one.order === other.order && one.kind === other.kind;
  return isTwin && one.lane === "act" && JSON.stringify(one.body) === JSON.stringify(other.body);
}

/**
 * The turn of what is tapped now, after all of these.
 * @param {ActRecord[]} acts
 */
export function nextTurn(acts) {
  return acts.reduce((turn, act) => Math.max(turn, act.turn + 1), Date.now());
}

/**
 * @param {ActRecord} act
 * @param {ActRecord} proof
 */
export function isBefore(act, proof) {
  return act.order === proof.order && act.turn < proof.turn;
}

/**
 * @param {ActRecord} act
 * @param {boolean} eager
 */
export function isDue(act, eager) {
  const now = Date.now();
  // A clock that was set back must not hold a tap for hours.
  return now >= act.retry_at || now < act.retry_since || (eager && !act.firm);
}

/**
 * @param {Notice} notice
 * @param {ActRecord} act
 */
export function isRefusalBefore(notice, act) {
  return (
    notice.tone === "bad" && notice.order === act.order && notice.at >= act.tapped_at && notice.id !== act.action_id
  );
}
