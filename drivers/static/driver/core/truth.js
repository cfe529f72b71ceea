// What the server last said of this driver's offers and orders, put together from whole truths (sync, snapshot), pushes
// and answers to acts, which arrive in any order.
//
// Every piece has the order's version, and an older one never overwrites a newer one. Versions do not say whether
// something that is missing from a whole truth has gone or had not come yet; for that, everything gets a running number
// when it arrives. What arrived before a whole truth was asked for is judged by it. What arrived in between stays, and the
// caller is told to ask again: the next whole truth settles it.

/** @typedef {import("./types.js").ApiOffer} ApiOffer */
/** @typedef {import("./types.js").ApiOrder} ApiOrder */
/** @typedef {{server_time?: string, offers: ApiOffer[], active: ApiOrder[], messages?: import("./types.js").Message[]}} Whole */
/** @typedef {{version: number, mark: number, offer: ApiOffer | null, active: ApiOrder | null}} Known neither offer nor active: it has gone */
/** @typedef {{active: [string, number][], open_offers: number}} Beat */

/** Orders remembered as gone, so that a late push does not bring them back. */
const REMEMBERED = 500;
const HELD = new Set(["assigned", "picked_up"]);

export function createTruth() {
  /** In the order of arrival. @type {Map<string, Known>} */
  let known = new Map();
  let mark = 0;
  /** The last whole truth: when it was put in, and when the server read it. @type {{mark: number, readAt: number} | null} */
  let last = null;
  /** The order in which the server listed the offers: nearest first. @type {Map<string, number>} */
  let rank = new Map();

  /** Call before asking for a whole truth; give it to `whole` with the answer. */
  const begin = () => mark;

  /**
   * Everything, as the server read it after `begun`. False: ask again, something else arrived meanwhile.
   * @param {Whole} whole
   * @param {number} begun
   * @param {{readAt?: number}} [how] NaN: nobody knows when it was read, only that it was after `begun`
   * @returns {boolean}
   */
  function whole(whole, begun, { readAt = Date.parse(whole.server_time ?? "") } = {}) {
    // Another one overtook this one on the way; the later reading counts.
    if (last && last.mark > begun && !(readAt >= last.readAt)) return !Number.isNaN(readAt);
    let isSettled = true;
    /** @type {Map<string, Known>} */
    const told = new Map();
    for (const offer of whole.offers) told.set(offer.order, { version: offer.version, mark, offer, active: null });
    for (const order of whole.active) told.set(order.id, { version: order.version, mark, offer: null, active: order });
    for (const [id, was] of known) {
      const is = told.get(id);
      const isRecent = was.mark > begun;
      const isGone = !was.offer && !was.active;
      if (is ? isJudged(is, was, isRecent) : !isRecent) {
        if (!is) told.set(id, { version: was.version, mark: was.mark, offer: null, active: null });
        continue;
      }
      told.set(id, was);
      // Told newer things meanwhile: fine. Otherwise nobody can tell which of the two came first.
      const isNewer = is !== undefined && was.version > is.version && isRecent;
      if (!isNewer && (is || !isGone)) isSettled = false;
    }
    rank = new Map(whole.offers.map((offer, place) => [offer.order, place]));
    known = told;
    mark += 1;
    last = { mark, readAt: Number.isNaN(readAt) ? (last?.readAt ?? 0) : readAt };
    forget();
    return isSettled;
  }

  /**
   * One order, as a push or an answer tells it. False: it is old news.
   * @param {string} id
   * @param {number} version
   * @param {{offer?: ApiOffer, active?: ApiOrder}} is neither: it has gone
   */
  function one(id, version, { offer, active }) {
    const was = known.get(id);
    if (was && was.version > version) return false;
    // An offer that was told before the order became ours.
    if (was?.active && offer && was.version === version) return false;
    mark += 1;
    known.delete(id);
    known.set(id, { version, mark, offer: offer ?? null, active: active ?? null });
    forget();
    return true;
  }

  /**
   * An order of the driver's own, held or not any more.
   * @param {ApiOrder} order
   * @param {number} driverId
   */
  function order(order, driverId) {
    const isHeld = HELD.has(order.status) && order.driver === driverId;
    const was = known.get(order.id);
    // While it is on offer to the driver its changes are told as `offer` and `offer_closed`.
    if (!isHeld && was?.offer && order.status === "pending" && !order.expired) return false;
    return one(order.id, order.version, isHeld ? { active: order } : {});
  }

  /**
   * An offer that is not open to this driver any more. An order that they hold meanwhile is another matter.
   * @param {string} id
   * @param {number} version
   */
  function closed(id, version) {
    const was = known.get(id);
    return was?.active && was.version >= version ? false : one(id, version, {});
  }

  /**
   * Not for this driver any more, whatever the version: the server has just said so in answer to a tap.
   * @param {string} id
   */
  const gone = (id) => one(id, known.get(id)?.version ?? 0, {});

  function forget() {
    let excess = known.size - REMEMBERED;
    for (const [id, is] of known) {
      if (excess <= 0) return;
      if (is.offer || is.active) continue;
      known.delete(id);
      excess -= 1;
    }
  }

  /** @param {string} id */
  const version = (id) => known.get(id)?.version ?? 0;
  /** @param {string} id */
  const active = (id) => known.get(id)?.active ?? null;
  /** Nearest first; those that came by push follow. @returns {ApiOffer[]} */
  const offers = () => {
    const open = [...known.values()].flatMap((is) => (is.offer ? [is.offer] : []));
    return open.sort((a, b) => a.distance_m - b.distance_m || (rank.get(a.order) ?? 0) - (rank.get(b.order) ?? 0));
  };
  /** Oldest first. @returns {ApiOrder[]} */
  const held = () => {
    const mine = [...known.values()].flatMap((is) => (is.active ? [is.active] : []));
    return mine.sort((a, b) => (a.assigned_at ?? "").localeCompare(b.assigned_at ?? "") || a.id.localeCompare(b.id));
  };

  /**
   * Whether a heartbeat's answer is what is known here.
   * @param {Beat} beat
   * @param {number} serverNow milliseconds
   */
  function agrees(beat, serverNow) {
    const mine = held();
    const open = offers().filter((offer) => Date.parse(offer.expires_at) > serverNow);
    return (
      open.length === beat.open_offers &&
      mine.length === beat.active.length &&
      beat.active.every(([id, version]) => known.get(id)?.active?.version === version)
    );
  }

  function clear() {
    known = new Map();
    rank = new Map();
    last = null;
    mark += 1;
  }

  return { begin, whole, one, order, closed, gone, version, active, offers, held, agrees, clear };
}

/**
 * Whether what a whole truth says of an order takes the place of what was known.
 * @param {Known} is
 * @param {Known} was
 * @param {boolean} isRecent it came after the whole truth was asked for
 */
function isJudged(is, was, isRecent) {
  if (is.version !== was.version) return is.version > was.version;
  return !isRecent || (!is.offer === !was.offer && !is.active === !was.active);
}
