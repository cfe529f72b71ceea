/**
 * The feed as places that stay where they are.
 *
 * A card never moves under a thumb that is on its way: an order that went leaves its place behind, with the reason, and the
 * next offer takes it; only places at the end disappear by themselves. So nobody ever accepts another order than the one they
 * aimed at, and nothing in the feed ever jumps.
 */

/** @typedef {import("../core/types.js").Offer} Offer */
/** @typedef {import("../core/types.js").State} State */

/**
 * @typedef {{
 *   order: string, offer: Offer, since: number, seconds: number,
 *   state: "open" | "gone" | "won", reason: string, ago: number | null, goneAt: number,
 * }} Slot
 * `seconds`: what was left when it came, a full ring. `ago`: seconds between what happened and the tap.
 */

/** How long a place is left alone after its order went: long enough to read why, and not to hit the next one by mistake. */
export const REST_MS = 2_500;
/** How long the last places are kept for reading. */
export const LINGER_MS = 12_000;
/** A full ring is at least this long, so that one that comes with few seconds left looks like it. */
const SHORTEST_RING_S = 60;
const REASONS = new Set([
  "order_taken",
  "order_expired",
  "order_cancelled",
  "not_offered",
  "driver_at_capacity",
  "driver_offline",
]);

/**
 * The places as they are now, from those that were and what is true.
 * @param {readonly Slot[]} before
 * @param {State} state
 * @param {number} now
 * @returns {Slot[]}
 */
export function settle(before, state, now) {
  const offers = new Map(state.offers.map((offer) => [offer.order, offer]));
  const slots = before.map((slot) => {
    const offer = offers.get(slot.order);
    offers.delete(slot.order);
    return offer ? { ...slot, offer, state: /** @type {const} */ ("open") } : gone(slot, state, now);
  });
  for (const offer of offers.values()) {
    const fresh = open(offer, state, now);
    const free = slots.findIndex((slot) => slot.state !== "open" && now - slot.goneAt >= REST_MS);
    if (free >= 0) slots[free] = fresh;
    else slots.push(fresh);
  }
  for (let last = slots.at(-1); last && last.state !== "open" && now - last.goneAt >= LINGER_MS; last = slots.at(-1)) {
    slots.pop();
  }
  return slots;
}

/**
 * @param {Offer} offer
 * @param {State} state
 * @param {number} now
 * @returns {Slot}
 */
function open(offer, state, now) {
  const left = (Date.parse(offer.expires_at) - now - state.clockOffsetMs) / 1000;
  return {
    order: offer.order,
    offer,
    since: now,
    seconds: Math.max(left, SHORTEST_RING_S),
    state: "open",
    reason: "",
    ago: null,
    goneAt: 0,
  };
}

/**
 * @param {Slot} slot
 * @param {State} state
 * @param {number} now
 * @returns {Slot}
 */
function gone(slot, state, now) {
  const goneAt = slot.state === "open" ? now : slot.goneAt;
  if (state.active.some((order) => order.id === slot.order)) return { ...slot, state: "won", reason: "", goneAt };
  if (slot.state === "won") return slot;
  // The reason may come after the card went: look again each time.
  const told = state.notices.find(
    (notice) => notice.order === slot.order && (REASONS.has(notice.code) || notice.code === "declined"),
  );
  if (told) {
    const ago = Number(told.data.seconds ?? Number.NaN);
    return { ...slot, state: "gone", reason: told.code, ago: Number.isFinite(ago) ? ago : null, goneAt };
  }
  if (slot.reason) return { ...slot, state: "gone", goneAt };
  const over = Date.parse(slot.offer.expires_at) <= now + state.clockOffsetMs;
  const declined = state.waiting.some((act) => act.order === slot.order && act.kind === "decline");
  const reason = declined ? "declined" : over ? "order_expired" : "closed";
  return { ...slot, state: "gone", reason, goneAt };
}
