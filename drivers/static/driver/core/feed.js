// The truth and how it is kept up to date: whole truths over HTTP and the socket, pushes, answers to taps, heartbeats that
// say whether something was missed.

import { ask } from "./api.js";
import { createKeeper } from "./keeper.js";
import { RULES } from "./rules.js";
import * as session from "./session.js";
import { createTruth } from "./truth.js";

/** @typedef {import("./types.js").Notice} Notice */
/** @typedef {import("./truth.js").Whole} Whole */
/** @typedef {import("./outbox.js").Settled} Settled */

/** How often in a row a whole truth is asked for again because something else arrived meanwhile. */
const AGAIN_AT_MOST = 3;
const AGAIN_MS = 300;
const ENDS = new Set(["deliver", "fail", "release"]);

/**
 * @param {{
 *   clock: ReturnType<typeof import("./clock.js").createClock>,
 *   changed: () => void,
 *   waiting: () => import("./database.js").ActRecord[],
 *   say: (notice: Omit<Notice, "id" | "at">) => void,
 *   signedOut: (token: string, why: "revoked" | "suspended") => void,
 *   dutyLost: () => void,
 *   unread: (messages: import("./types.js").Message[], areNews: boolean) => void,
 * }} options `dutyLost`: the server withdrew offers because the driver is off duty. `unread`: what a whole truth says that
 *   dispatchers wrote
 */
export function createFeed({ clock, changed, waiting, say, signedOut, dutyLost, unread }) {
  const truth = createTruth();
  const keeper = createKeeper();
  /** The last sync with its name, which 304 refers to. @type {{tag: string, body: Whole} | null} */
  let named = null;
  let driverId = 0;
  /** @type {number | null} */
  let asOf = null;
  /** Before the first word from the server nothing is news. */
  let isNew = true;
  let socketBegun = 0;
  /** @type {Promise<void> | null} */
  let syncing = null;
  let isAskedAgain = false;
  let agains = 0;
  let timer = 0;
  /** Orders that this driver's own taps took, and ended. @type {Set<string>} */
  const taken = new Set();
  /** @type {Set<string>} */
  const ended = new Set();

  /** @param {number} driver */
  async function start(driver) {
    reset();
    driverId = driver;
    const record = await keeper.load(driver);
    if (!record || driverId !== driver || asOf !== null) return;
    truth.whole(record, truth.begin());
    asOf = record.asOf;
    changed();
  }

  function reset() {
    clearTimeout(timer);
    truth.clear();
    named = null;
    driverId = 0;
    asOf = null;
    isNew = true;
    taken.clear();
    ended.clear();
  }

  /**
   * Let something change the truth, and tell the driver of orders that came or went without a tap.
   * @param {() => void} work
   * @param {Record<string, string>} [reasons] order id → why it goes
   */
  function apply(work, reasons = {}) {
    const before = new Set(truth.held().map((order) => order.id));
    work();
    const now = truth.held();
    const acts = waiting();
    for (const order of now) {
      const isOwn = taken.has(order.id) || acts.some((act) => act.kind === "accept" && act.order === order.id);
      if (!isNew && !before.has(order.id) && !isOwn)
        say({ tone: "info", code: "order_assigned", order: order.id, data: {} });
      before.delete(order.id);
    }
    for (const id of before) {
      const isOwn = ended.has(id) || acts.some((act) => ENDS.has(act.kind) && act.order === id);
      const data = { reason: reasons[id] ?? "unknown" };
      if (!isNew && !isOwn) say({ tone: "info", code: "order_removed", order: id, data });
    }
    if (asOf !== null) keeper.keep({ driver_id: driverId, asOf, offers: truth.offers(), active: truth.held() });
    changed();
  }

  /**
   * @param {Whole} whole
   * @param {number} begun
   * @param {{readAt?: number}} [how]
   */
  function applyWhole(whole, begun, how) {
    asOf = Date.now();
    unread(whole.messages ?? [], !isNew);
    let isSettled = true;
    apply(() => {
      isSettled = truth.whole(whole, begun, how);
    });
    isNew = false;
    if (isSettled) {
      agains = 0;
    } else if (agains < AGAIN_AT_MOST) {
      agains += 1;
      soon();
    }
  }

  function soon() {
    clearTimeout(timer);
    timer = Number(setTimeout(() => void sync(), AGAIN_MS));
  }

  /** Ask for the whole truth; once more if it is asked for again meanwhile. @returns {Promise<void>} */
  function sync() {
    if (syncing) {
      isAskedAgain = true;
      return syncing;
    }
    syncing = (async () => {
      try {
        do {
          isAskedAgain = false;
          await syncOnce();
        } while (isAskedAgain);
      } finally {
        syncing = null;
      }
    })();
    return syncing;
  }

  async function syncOnce() {
    const record = await session.current();
    const token = record?.token;
    if (!token || record.driver.id !== driverId) return;
    const begun = truth.begin();
    const known = named;
    const answer = await ask("driver/sync/", { token, headers: known ? { "If-None-Match": known.tag } : {} });
    if (answer.kind === "signed_out") return signedOut(token, answer.why);
    if (record.driver.id !== driverId) return;
    if (answer.kind === "ok") {
      clock.heard(answer.data.server_time, answer.sentAt, answer.heardAt);
      const tag = answer.headers.get("ETag");
      named = tag ? { tag, body: answer.data } : null;
      applyWhole(answer.data, begun);
    } else if (answer.kind === "unchanged" && known) {
      // The server's truth is what that name stood for, which need not be what pushes have made of it here since.
      applyWhole(known.body, begun, { readAt: Number.NaN });
    }
  }

  /** A socket is about to be opened: its snapshot is read after this. */
  function opening() {
    socketBegun = truth.begin();
  }

  /** @param {any} frame of the socket */
  function took(frame) {
    if (frame.type === "snapshot") {
      applyWhole(frame, socketBegun);
      socketBegun = truth.begin();
    } else if (frame.type === "offer") {
      apply(() => truth.one(frame.offer.order, frame.version, { offer: frame.offer }));
    } else if (frame.type === "offer_closed") {
      apply(() => truth.closed(frame.order, frame.version));
      if (frame.reason === "driver_offline") dutyLost();
    } else if (frame.type === "order") {
      const isCancelled = frame.order.status === "cancelled";
      apply(() => truth.order(frame.order, driverId), isCancelled ? { [frame.order.id]: "order_cancelled" } : {});
    } else if (frame.type === "order_removed") {
      apply(() => truth.one(frame.order, frame.version, {}), { [frame.order]: frame.reason });
    } else if (frame.type === "resync") {
      void sync();
    }
  }

  /** A heartbeat's answer: ask for the truth when it is another than ours. @param {any} beat */
  function heardBeat(beat) {
    if (asOf === null || truth.agrees(beat, clock.serverNow())) return true;
    void sync();
    return false;
  }

  /** A tap has its answer, from here, another tab or the service worker. @param {Settled} settled */
  function settled({ act, answer }) {
    if (act.driver_id !== driverId || act.kind === "proof") return;
    if (answer.kind === "ok") {
      if (act.kind === "accept") taken.add(act.order);
      if (ENDS.has(act.kind)) ended.add(act.order);
      const { data } = answer;
      apply(() => (data.status ? truth.order(data, driverId) : truth.one(act.order, data.version, {})));
      return;
    }
    if (RULES[act.kind].onNo === "leaves" && !truth.active(act.order)) apply(() => truth.gone(act.order));
    // The server has refused what looked possible here: something was missed.
    void sync();
  }

  return {
    start,
    reset,
    forget: keeper.forget,
    sync,
    opening,
    took,
    heardBeat,
    settled,
    offers: truth.offers,
    held: truth.held,
    asOf: () => asOf,
  };
}
