// What is in which list of the board, in which order: computed anew from the store, cheap enough for every change.

import { ms } from "./format.js";
import { GROUP_PX } from "./rows.js";
import { FINAL, HELD } from "./store.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./store.js").Order} Order
 * @typedef {import("./store.js").Row} Row
 * @typedef {import("./filter.js").Filter} Filter
 * @typedef {import("./virtual.js").Item} Item
 * @typedef {"expiry" | "newest" | "priority"} Sort
 */

/** Deadlines of the pending order itself, and troubles with whoever holds it. */
const PENDING_REASONS = new Set(["expired", "no_candidate", "all_declined", "expiring"]);
const HOLDER_REASONS = new Set(["holder_silent", "holder_not_moving", "holder_moving_away"]);
/** Reasons whose moment is the order's own deadline. */
const BY_EXPIRY = new Set(["expired", "expiring"]);
const DRIVERS_FOUND = 100;

/** Ids are UUIDs by time. @param {Order} a @param {Order} b */
const byAge = (a, b) => (a.id < b.id ? -1 : 1);
/** @param {Order} a @param {Order} b */
const byExpiry = (a, b) => ms(a.expires_at) - ms(b.expires_at) || byAge(a, b);

/** @type {Record<Sort, (a: Order, b: Order) => number>} */
export const SORTS = {
  expiry: byExpiry,
  newest: (a, b) => -byAge(a, b),
  priority: (a, b) => b.priority - a.priority || byExpiry(a, b),
};

/** The order may have moved on since the server ranked it. @param {Order} order @param {string} reason */
function stillNeeds(order, reason) {
  if (FINAL.has(order.status)) return false;
  if (reason === "expired") return order.status === "pending" && order.expired;
  if (PENDING_REASONS.has(reason)) return order.status === "pending";
  if (HOLDER_REASONS.has(reason)) return HELD.has(order.status);
  return true;
}

/** @param {{store: Store, onMissing: (order: string) => void}} context */
export function createContents({ store, onMissing }) {
  /** When trouble begins, as a moment, so that it can tick. @type {WeakMap<Row, number>} */
  const dueTimes = new WeakMap();
  /** @type {WeakMap<Order, Row>} */
  const expiredRows = new WeakMap();

  /** @param {Row} row @param {Order | undefined} order */
  function dueAt(row, order) {
    if (order && BY_EXPIRY.has(row.reason)) return ms(order.expires_at);
    const known = dueTimes.get(row);
    if (known !== undefined) return known;
    const due = row.trouble_at ? ms(row.trouble_at) : store.now() + row.minutes * 60_000;
    dueTimes.set(row, due);
    return due;
  }

  /** What expired since the server last ranked. @param {Order} order */
  function expiredRow(order) {
    const known = expiredRows.get(order);
    if (known) return known;
    const row = { order: order.id, reason: "expired", minutes: 0, since: order.expires_at };
    expiredRows.set(order, row);
    return row;
  }

  /** @param {Filter} filter @param {Order[]} expired @param {number} height */
  function attentionItems(filter, expired, height) {
    /** @type {Item[]} */
    const items = [];
    const listed = new Set();
    for (const row of store.attention) {
      const order = store.orders.get(row.order);
      if (order && !stillNeeds(order, row.reason)) continue;
      if (!order) onMissing(row.order);
      if (listed.has(row.order)) continue;
      listed.add(row.order);
      if (order ? !filter.order(order) : !filter.isEmpty) continue;
      items.push({ key: row.order, kind: "attention", height, order, row, note: dueAt(row, order) });
    }
    for (const order of expired) {
      if (listed.has(order.id)) continue;
      listed.add(order.id);
      if (!filter.order(order)) continue;
      const row = expiredRow(order);
      items.push({ key: order.id, kind: "attention", height, order, row, note: dueAt(row, order) });
    }
    return { items, total: listed.size };
  }

  /** @param {Order[]} held @param {number} height */
  function progressItems(held, height) {
    /** @type {Map<number, Order[]>} */
    const byDriver = new Map();
    for (const order of held) {
      const id = order.driver ?? 0;
      const group = byDriver.get(id);
      if (group) group.push(order);
      else byDriver.set(id, [order]);
    }
    const groups = [...byDriver].map(([id, orders]) => {
      const driver = store.drivers.get(id) ?? { id };
      return { driver, name: driver.name ?? "\uffff", orders };
    });
    groups.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.driver.id - b.driver.id));
    /** @type {Item[]} */
    const items = [];
    for (const { driver, orders } of groups) {
      items.push({ key: `driver:${driver.id}`, kind: "group", height: GROUP_PX, driver });
      // Picked up before assigned, and then as they were taken.
      orders.sort((a, b) =>
        a.status === b.status ? ms(a.assigned_at) - ms(b.assigned_at) : a.status > b.status ? -1 : 1,
      );
      for (const order of orders) items.push({ key: order.id, kind: "progress", height, order });
    }
    return items;
  }

  /** @param {Filter} filter */
  function driverItems(filter) {
    /** @type {Item[]} */
    const found = [];
    if (filter.isEmpty) return found;
    for (const driver of store.drivers.values()) {
      if (!filter.driver(driver)) continue;
      found.push({ key: `driver:${driver.id}`, kind: "driver", height: GROUP_PX, driver });
      if (found.length === DRIVERS_FOUND) break;
    }
    return found;
  }

  return {
    /** @param {Filter} filter @param {Sort} sort @param {number} height of an order's row, pixels */
    of(filter, sort, height) {
      /** @type {Record<"expired" | "open" | "progress" | "done", Order[]>} */
      const found = { expired: [], open: [], progress: [], done: [] };
      const totals = { attention: 0, open: 0, progress: 0, progressFound: 0, done: 0 };
      for (const order of store.orders.values()) {
        if (order.status === "pending") {
          if (order.expired) {
            found.expired.push(order);
            continue;
          }
          totals.open += 1;
          if (filter.order(order)) found.open.push(order);
        } else {
          const name = HELD.has(order.status) ? "progress" : "done";
          totals[name] += 1;
          if (filter.order(order)) found[name].push(order);
        }
      }
      const attention = attentionItems(filter, found.expired, height);
      totals.attention = attention.total;
      totals.progressFound = found.progress.length;
      return {
        totals,
        attention: attention.items,
        open: found.open.sort(SORTS[sort]).map((order) => ({ key: order.id, kind: "open", height, order })),
        progress: progressItems(found.progress, height),
        drivers: driverItems(filter),
        done: found.done.reverse().map((order) => ({ key: order.id, kind: "done", height, order })),
      };
    },
  };
}
