// The filter: words and tokens as people type them, turned into a test for orders and drivers. Every word must be found.
//
//   market           in the reference, an address, the driver's name, the status
//   status:assigned  also ref: from: to: driver: vehicle: is:pinned is:expired is:priority
//   "pier 39"        several words as one;   -van   not this

import { label, statusWord } from "./format.js";

/**
 * @typedef {import("./store.js").Order} Order
 * @typedef {import("./store.js").Driver} Driver
 * @typedef {import("./store.js").Store} Store
 * @typedef {{field: string, text: string, not: boolean}} Word
 * @typedef {{isEmpty: boolean, order: (order: Order) => boolean, driver: (driver: Driver) => boolean}} Filter
 */

const WORD = /(-?)(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))/gi;
export const FIELDS = ["ref", "id", "status", "driver", "from", "to", "vehicle", "is"];

/** @param {string} text @returns {Word[]} */
export function parse(text) {
  /** @type {Word[]} */
  const words = [];
  for (const [whole, not, field, quoted, plain] of text.matchAll(WORD)) {
    const value = (quoted ?? plain ?? "").toLowerCase();
    const name = (field ?? "").toLowerCase();
    if (field && !FIELDS.includes(name)) words.push({ field: "", text: whole.toLowerCase(), not: false });
    else if (value) words.push({ field: name, text: value, not: not === "-" });
  }
  return words;
}

/** What is searched in an order, in small letters; kept as long as that version of it is. @type {WeakMap<Order, string>} */
const haystacks = new WeakMap();

/** @param {Order} order */
function haystack(order) {
  let found = haystacks.get(order);
  if (found === undefined) {
    const parts = [
      label(order),
      order.id,
      order.pickup.address,
      order.dropoff?.address,
      statusWord(order),
      order.vehicle,
    ];
    found = parts.join("\n").toLowerCase();
    haystacks.set(order, found);
  }
  return found;
}

/** Names in small letters, each made once: twenty thousand are searched at every letter. @type {Map<string, string>} */
const smallNames = new Map();

/** @param {string} name */
function small(name) {
  let found = smallNames.get(name);
  if (found === undefined) {
    found = name.toLowerCase();
    smallNames.set(name, found);
  }
  return found;
}

/**
 * @param {string} text
 * @param {Store} store
 * @returns {Filter}
 */
export function createFilter(text, store) {
  const words = parse(text);
  /** @param {number | null} id */
  const nameOf = (id) => (id === null ? "" : small(store.drivers.get(id)?.name ?? `driver ${id}`));

  /** @type {Record<string, (order: Order, text: string) => boolean>} */
  const tests = {
    "": (order, word) => haystack(order).includes(word) || nameOf(order.driver).includes(word),
    ref: (order, word) => label(order).toLowerCase().includes(word),
    id: (order, word) => order.id.includes(word),
    status: (order, word) =>
      order.status.startsWith(word) || statusWord(order).replace(" ", "_").startsWith(word.replace(" ", "_")),
    driver: (order, word) => (word === "none" ? order.driver === null : nameOf(order.driver).includes(word)),
    from: (order, word) => (order.pickup.address ?? "").toLowerCase().includes(word),
    to: (order, word) => (order.dropoff?.address ?? "").toLowerCase().includes(word),
    vehicle: (order, word) => (order.vehicle || "any").startsWith(word),
    is: (order, word) => {
      if (word === "pinned") return Boolean(order.pinned);
      if (word === "expired") return order.expired;
      if (word === "priority") return order.priority > 0;
      return order.status === word;
    },
  };
  // Drivers are found by their name; what only orders have finds none.
  const driverWords = words.filter((word) => word.field === "" || word.field === "driver");
  const onlyOrders = driverWords.length < words.length;

  return {
    isEmpty: words.length === 0,
    order: (order) => words.every(({ field, text: word, not }) => tests[field]?.(order, word) !== not),
    driver: (driver) =>
      !onlyOrders && driverWords.every(({ text: word, not }) => small(driver.name ?? "").includes(word) !== not),
  };
}
