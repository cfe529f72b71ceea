// What the board knows: the server's documents, how live they are, and what is selected. Frames go in through `apply`;
// whoever draws subscribes and is told at most once per animation frame what has changed.

import { ms } from "./format.js";

/**
 * @typedef {{lat: number, lng: number, address?: string}} Place
 * @typedef {{
 *   id: string, reference: string, status: import("./format.js").Status, expired: boolean, version: number,
 *   pickup: Place, dropoff: Place, vehicle: string, priority: number, payout: string, currency: string,
 *   driver: number | null, created_at: string, release_at: string, auto_assign_at: string, expires_at: string,
 *   assigned_at: string | null, picked_up_at: string | null, delivered_at: string | null,
 *   cancelled_at: string | null, failed_at: string | null, pinned?: boolean,
 *   offers?: {open: number, declined: number, made: number}, metadata?: Record<string, unknown>,
 * }} Order
 * @typedef {{
 *   id: number, name?: string, vehicle?: string, capacity?: number, suspended?: boolean, load?: number,
 *   is_online?: boolean, last_seen?: string | null, lat?: number | null, lng?: number | null,
 *   heading?: number | null, accuracy_m?: number | null,
 * }} Driver
 * @typedef {{order: string, reason: string, minutes: number, trouble_at?: string, since: string | null,
 *   detail?: {driver?: number, metres?: number, off_duty?: boolean}}} Row
 * @typedef {{id: number, name: string}} Person
 * @typedef {"connecting" | "live" | "behind" | "catching_up" | "reconnecting" | "signed_out" | "refused"} LinkState
 * @typedef {{state: LinkState, lagMs: number, heardAt: number, retryAt: number}} Link
 * @typedef {{orders: Set<string>, order: string | null, driver: number | null}} Selection
 * @typedef {{
 *   orders: Set<string>, drivers: Set<number>, attention: boolean, stats: boolean, link: boolean, selection: boolean,
 *   viewers: boolean, all: boolean,
 * }} Change
 * @typedef {ReturnType<typeof createStore>} Store
 */

/** Milliseconds until a change is drawn that no animation frame has come for: on screen, and while nobody looks. */
const SLOW_FRAME_MS = 50;
const HIDDEN_MS = 500;
/** Finished orders that are kept for the search; twice as many make room. */
const FINISHED_KEPT = 300;
export const HELD = new Set(["assigned", "picked_up"]);
export const FINAL = new Set(["delivered", "cancelled", "failed"]);

/** @returns {Change} */
const nothing = () => ({
  orders: new Set(),
  drivers: new Set(),
  attention: false,
  stats: false,
  link: false,
  selection: false,
  viewers: false,
  all: false,
});

export function createStore() {
  /** @type {Map<string, Order>} */
  const orders = new Map();
  /** @type {Map<number, Driver>} */
  const drivers = new Map();
  /** @type {Map<string, Person[]>} Who else has an order open. */
  const viewers = new Map();
  /** @type {Set<string>} Orders and drivers (`driver:7`) that an act of ours is under way for. */
  const busy = new Set();
  /** @type {Link} `heardAt` and `retryAt` by `performance.now()`. */
  const link = { state: "connecting", lagMs: 0, heardAt: 0, retryAt: 0 };
  /** @type {Selection} */
  const selection = { orders: new Set(), order: null, driver: null };
  /** @type {Set<(change: Change) => void>} */
  const listeners = new Set();
  let finished = 0;
  let change = nothing();
  let scheduled = false;
  let frame = 0;
  let timer = 0;
  /** Drivers of a snapshot that comes in pieces. @type {Set<number> | null} */
  let chunked = null;
  // The server's clock: what to add to performance.now(), and how sure that is (the round trip it was measured with).
  let offset = Date.now() - performance.now();
  let sureness = Number.POSITIVE_INFINITY;

  function flush() {
    if (!scheduled) return;
    scheduled = false;
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    const told = change;
    change = nothing();
    for (const listener of [...listeners]) {
      try {
        listener(told);
      } catch (error) {
        // One part that cannot draw must not make the others stale.
        reportError(error);
      }
    }
  }

  function changed() {
    if (scheduled) return;
    scheduled = true;
    // A hidden page has no animation frames, but its title still counts. One that draws slowly shows in the frame it is
    // working on what would otherwise wait for that frame and come with the next.
    timer = setTimeout(flush, document.hidden ? HIDDEN_MS : SLOW_FRAME_MS);
    if (!document.hidden) frame = requestAnimationFrame(flush);
  }

  /** @param {string | null | undefined} text @param {number} [roundTrip] milliseconds */
  function setClock(text, roundTrip = 1000) {
    const server = ms(text);
    if (Number.isNaN(server)) return;
    const measured = server + roundTrip / 2 - performance.now();
    // A machine that slept has a clock that stood still: then the new measurement counts, however rough.
    if (roundTrip <= sureness || Math.abs(measured - offset) > roundTrip + sureness) {
      offset = measured;
      sureness = roundTrip;
    }
    sureness *= 1.05;
  }

  /** @param {Order} order @returns {boolean} whether it was news */
  function takeOrder(order) {
    const known = orders.get(order.id);
    if (known && known.version >= order.version) return false;
    if (FINAL.has(order.status)) {
      if (!known || !FINAL.has(known.status)) finished += 1;
      // The newest last, so that the oldest are forgotten first.
      orders.delete(order.id);
    }
    // What a push does not say is taken over: the counts of offers come with snapshots and where they are cheap.
    orders.set(order.id, known ? { ...known, ...order } : order);
    change.orders.add(order.id);
    return true;
  }

  function forgetFinished() {
    if (finished <= 2 * FINISHED_KEPT) return;
    for (const [id, order] of orders) {
      if (finished <= FINISHED_KEPT) break;
      if (!FINAL.has(order.status) || selection.order === id) continue;
      orders.delete(id);
      change.orders.add(id);
      finished -= 1;
    }
  }

  /** @param {Driver[]} rows @param {boolean} [replace] whole rows: what is not there is not so */
  function takeDrivers(rows, replace = false) {
    for (const row of rows) {
      const known = drivers.get(row.id);
      if (known && !replace) Object.assign(known, row);
      else drivers.set(row.id, row);
      change.drivers.add(row.id);
    }
  }

  /** @param {{drivers: Driver[], chunk?: number, of?: number, seen?: number[], seen_at?: string}} frame */
  function takeDriverFrame(frame) {
    takeDrivers(frame.drivers ?? [], frame.chunk !== undefined);
    for (const id of frame.seen ?? []) {
      const known = drivers.get(id);
      // Nothing but the age of their position changes: rows say so by the clock.
      if (known) known.last_seen = frame.seen_at ?? known.last_seen ?? null;
    }
    if (frame.chunk === undefined || !chunked) return;
    for (const driver of frame.drivers) chunked.add(driver.id);
    if (frame.chunk < (frame.of ?? 1)) return;
    for (const id of drivers.keys()) if (!chunked.has(id)) drivers.delete(id);
    chunked = null;
    change.all = true;
  }

  /** How many were asked and said no, of orders that are pending. @param {Record<string, Order["offers"]>} counts */
  function takeOffers(counts) {
    for (const [id, offers] of Object.entries(counts)) {
      const known = orders.get(id);
      if (!known) continue;
      orders.set(id, { ...known, offers });
      change.orders.add(id);
    }
  }

  /** @param {any} frame */
  function takeSnapshot(frame) {
    setClock(frame.server_time);
    // What was pushed meanwhile may be newer than what was read: newer versions stay.
    const fresh = new Map();
    for (const order of /** @type {Order[]} */ (frame.orders)) {
      const known = orders.get(order.id);
      fresh.set(order.id, known && known.version > order.version ? known : order);
    }
    orders.clear();
    finished = 0;
    // They come newest first.
    for (const [id, order] of [...fresh].reverse()) {
      orders.set(id, order);
      if (FINAL.has(order.status)) finished += 1;
    }
    if (frame.driver_chunks) {
      // The drivers follow in pieces; those that are in none are gone.
      chunked = new Set();
    } else {
      chunked = null;
      drivers.clear();
      for (const driver of /** @type {Driver[]} */ (frame.drivers)) drivers.set(driver.id, driver);
    }
    store.stats = frame.stats;
    store.attention = frame.attention ?? [];
    viewers.clear();
    for (const [order, people] of Object.entries(frame.viewers ?? {})) viewers.set(order, people);
    for (const id of selection.orders) if (!orders.has(id)) selection.orders.delete(id);
    change.all = true;
  }

  const store = {
    orders,
    drivers,
    viewers,
    busy,
    link,
    selection,
    /** @type {Row[]} */
    attention: [],
    /** @type {Record<string, number>} */
    stats: {},

    /** The server's time in milliseconds. */
    now: () => offset + performance.now(),
    setClock,

    /** Whether drivers of the last snapshot are still on their way. */
    awaitsDrivers: () => chunked !== null,

    /** Whether a driver is on duty and was heard of lately. @param {Driver | undefined} driver @param {number} liveSeconds */
    isLive: (driver, liveSeconds) =>
      Boolean(driver?.is_online) && store.now() - ms(driver?.last_seen) < liveSeconds * 1000,

    /**
     * Take in what the server says. Unknown frames are left alone, older versions too.
     * @param {any} frame
     */
    apply(frame) {
      if (frame.type === "snapshot") takeSnapshot(frame);
      else if (frame.type === "order") {
        takeOrder(frame.order);
        forgetFinished();
      } else if (frame.type === "driver") takeDriverFrame(frame);
      else if (frame.type === "offers") takeOffers(frame.offers);
      else if (frame.type === "stats") {
        store.stats = frame.stats;
        change.stats = true;
      } else if (frame.type === "attention") {
        store.attention = frame.rows;
        change.attention = true;
      } else if (frame.type === "viewers") {
        if (frame.people.length) viewers.set(frame.order, frame.people);
        else viewers.delete(frame.order);
        change.viewers = true;
      } else return;
      changed();
      // Everything anew is drawn in this turn: what follows close behind, twenty thousand drivers, would come before it.
      if (frame.type === "snapshot") flush();
    },

    /** Select: the order or driver whose panel is open (null closes it), and the rows that acts are for. @param {{order?: string | null, driver?: number | null, orders?: Iterable<string>}} what */
    select(what) {
      if (what.order !== undefined) {
        selection.order = what.order;
        if (what.order !== null && what.driver === undefined) selection.driver = null;
      }
      if (what.driver !== undefined) {
        selection.driver = what.driver;
        if (what.driver !== null && what.order === undefined) selection.order = null;
      }
      if (what.orders !== undefined) selection.orders = new Set(what.orders);
      change.selection = true;
      changed();
    },

    /** @param {Partial<Link>} now */
    setLink(now) {
      Object.assign(link, now);
      change.link = true;
      changed();
    },

    /** Rows that an act is under way for; nobody starts a second. @param {Iterable<string>} keys @param {boolean} isBusy */
    setBusy(keys, isBusy) {
      for (const key of keys) {
        if (isBusy) busy.add(key);
        else busy.delete(key);
        if (key.startsWith("driver:")) change.drivers.add(Number(key.slice(7)));
        else change.orders.add(key);
      }
      change.selection = true;
      changed();
    },

    /** Be told of changes, coalesced to one call per animation frame. Returns what ends it. @param {(change: Change) => void} listener */
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
  return store;
}
