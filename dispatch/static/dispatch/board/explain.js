// An order's story: what happened, who was asked, and why this driver.

import { tableOf } from "./assign.js";
import { h } from "./dom.js";
import { clock, distance, moment } from "./format.js";
import { facts, HOW, told, verdictWord } from "./words.js";

/**
 * @typedef {import("./words.js").Event} Event
 * @typedef {{driver: number, name: string, status: string, distance_m: number, offered_at: string, delivered_at: string | null,
 *   seen_at: string | null, answered_at: string | null, closed_reason?: string}} Offer
 * @typedef {{how: string, chosen: number, candidates: import("./assign.js").Candidate[]}} Choice
 * @typedef {{order: import("./store.js").Order, events: Event[], offers: Offer[], choice: Choice | null}} Story
 */

/** @param {Event[]} events @param {(id: number) => string} nameOf @param {number} now */
export function timeline(events, nameOf, now) {
  // Every order has a first event.
  if (!events.length) return h("p", { class: "quiet" }, "The history of orders this old is no longer kept.");
  const newest = [...events].sort((a, b) => b.version - a.version);
  return h(
    "ol",
    { class: "chronicle" },
    newest.map((event) =>
      h(
        "li",
        { class: `kind-${event.kind.replace(/^order\./, "")}` },
        h("time", { datetime: event.at, title: moment(event.at) }, clock(event.at, now)),
        h("span", { class: "told" }, told(event, nameOf)),
        facts(event).map(([name, text]) => h("span", { class: "fact" }, `${name}: ${text}`)),
      ),
    ),
  );
}

/** @param {Offer[]} offers @param {number} now */
export function offersTable(offers, now) {
  /** @param {string | null} at */
  const time = (at) => h("td", { title: moment(at) }, clock(at, now));
  return h(
    "table",
    { class: "offers-table" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        ["Driver", "Distance", "Offered", "Delivered", "Seen", "Answered"].map((text) =>
          h("th", { scope: "col" }, text),
        ),
      ),
    ),
    h(
      "tbody",
      null,
      offers.map((offer) =>
        h(
          "tr",
          { class: `offer-row ${offer.status}` },
          h(
            "th",
            { scope: "row" },
            offer.name,
            " ",
            h("span", { class: `badge offer-${offer.status}` }, verdictWord(offer.status).replace(" it", "")),
          ),
          h("td", null, distance(offer.distance_m)),
          time(offer.offered_at),
          time(offer.delivered_at),
          time(offer.seen_at),
          time(offer.answered_at),
        ),
      ),
    ),
  );
}

/** @param {Choice} choice */
export const whyTable = (choice) =>
  h(
    "div",
    null,
    h("p", { class: "quiet" }, HOW[choice.how] ?? choice.how),
    tableOf(choice.candidates, undefined, choice.chosen),
  );
