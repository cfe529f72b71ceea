// What each act is to the server, and what becomes of the card when the server says no. The server decides every
// conflict; these are the app's manners when it has.
//
// | act | shown until answered | yes | no |
// |---|---|---|---|
// | accept | card waits, also past its countdown | the order is active | card leaves with the receipt's reason |
// | decline | card is gone | stays gone | stays gone; said only if the order is the driver's meanwhile |
// | pick_up | order waits | picked up | reason; the order as the server has it |
// | deliver | order waits | order leaves, with thanks | reason; the order as the server has it |
// | fail | order waits | order leaves | reason; the order as the server has it |
// | release | order waits | order leaves | reason; the order as the server has it |
// | proof | "photo waits" | sent | reason |
//
// An act behind a refused one is sent all the same: only the server knows what it is worth by now (an accept that was
// refused as not offered, and then the dispatcher assigned the order by hand). Its refusal is marked `follows`, so that
// the driver reads one bad message and not three.

/** @typedef {import("./types.js").Verb} Verb */
/** @typedef {import("./types.js").Problem} Problem */
/** @typedef {import("./types.js").Notice} Notice */
/** @typedef {import("./database.js").ActRecord} ActRecord */
/** @typedef {{kind: "ok", data: any} | {kind: "refused", problem: Problem}} Final */

/**
 * path: of the address. done: the good notice's code. onNo: what becomes of the card, `leaves` or the `truth` (a sync).
 * quiet: refusals that the driver need not hear of, because what was wanted is so anyway.
 * @type {Record<Verb | "proof", {path: string, done: string, onNo: "leaves" | "truth" | "nothing", quiet: string[]}>}
 */
export const RULES = {
  accept: { path: "accept", done: "accepted", onNo: "leaves", quiet: [] },
  decline: {
    path: "decline",
    done: "declined",
    onNo: "leaves",
    quiet: ["not_found", "order_expired", "order_cancelled"],
  },
  pick_up: { path: "pick-up", done: "picked_up", onNo: "truth", quiet: [] },
  deliver: { path: "deliver", done: "delivered", onNo: "truth", quiet: [] },
  fail: { path: "fail", done: "failed", onNo: "truth", quiet: [] },
  release: { path: "release", done: "released", onNo: "truth", quiet: [] },
  proof: { path: "proofs", done: "proof_sent", onNo: "nothing", quiet: [] },
};

/**
 * What the driver is told of an answer; null: nothing.
 * @param {ActRecord} act
 * @param {Final} answer
 * @param {boolean} follows an earlier act for the order was refused, too
 * @param {number} now
 * @returns {Notice | null}
 */
export function noticeOf(act, answer, follows, now) {
  const rule = RULES[act.kind];
  const base = { id: act.action_id, at: now, order: act.order };
  if (answer.kind === "ok") {
    const late = Math.max(0, Math.round((now - act.tapped_at) / 1000));
    return { ...base, tone: "good", code: rule.done, data: { kind: act.kind, late } };
  }
  const { problem } = answer;
  if (rule.quiet.includes(problem.code)) return null;
  const data = { kind: act.kind, problem, seconds: problem.seconds_ago ?? null, ...(follows ? { follows: true } : {}) };
  return { ...base, tone: "bad", code: problem.code, data };
}

/**
 * What other tabs can be told of.
 * @param {Final} answer
 * @returns {Final}
 */
export function plain(answer) {
  return answer.kind === "ok" ? { kind: "ok", data: answer.data } : { kind: "refused", problem: answer.problem };
}
