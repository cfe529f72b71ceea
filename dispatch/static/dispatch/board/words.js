// What the history, the refusals and the verdicts say, in the words of the board.

import { distance, kindWord, span } from "./format.js";

/**
 * @typedef {{id?: number, order?: string, version: number, kind: string, at: string,
 *   actor: {type: string, id: string, name: string}, data: Record<string, any>}} Event
 */

/** How an assignment came about. @type {Record<string, string>} */
export const HOW = {
  accepted: "the driver accepted",
  auto: "matched by the system",
  by_hand: "chosen by a dispatcher",
  nearest: "nearest, asked for by a dispatcher",
  undo: "back with the earlier holder, an act was undone",
  reassigned: "moved by a dispatcher from another driver",
};

/** Why somebody was not chosen, or cannot be. @type {Record<string, string>} */
const VERDICTS = {
  chosen: "chosen",
  busy: "somebody else was changing them",
  no_room: "no room left",
  at_capacity: "no room left",
  other_order: "got another order in the same round",
  farther: "farther",
  declined: "declined it",
  holds_it: "holds it already",
  barred: "a dispatcher took it from them",
  silent: "silent",
  suspended: "suspended",
  wrong_vehicle: "another vehicle",
};

/** @param {string | null | undefined} verdict */
export const verdictWord = (verdict) => (verdict ? (VERDICTS[verdict] ?? verdict.replaceAll("_", " ")) : "");

/** @param {Event} event */
export const who = (event) => event.actor.name || event.actor.type;

/** One event as a sentence without its time: "sam assigned it to Zoe". @param {Event} event @param {(id: number) => string} nameOf */
export function told(event, nameOf) {
  const { data } = event;
  const name = data.driver_name ?? (typeof data.driver === "number" ? nameOf(data.driver) : "");
  const kind = event.kind.replace(/^order\./, "");
  if (kind === "assigned") {
    if (data.how === "accepted") return `${name || who(event)} accepted it`;
    return `${who(event)} assigned it to ${name}`;
  }
  if (kind === "released") return `${who(event)} took it back${name && name !== who(event) ? ` from ${name}` : ""}`;
  if (kind === "offered") return `offered to ${data.drivers ?? 0} drivers`;
  if (kind === "reoffered") return `${who(event)} offered it again`;
  if (kind === "corrected") return `${who(event)} changed it`;
  if (kind === "created") return `${who(event)} placed it`;
  if (kind === "expired") return "it expired";
  if (kind === "pinned") return `${who(event)} keeps it out of auto-assignment`;
  if (kind === "unpinned") return `${who(event)} left it to auto-assignment again`;
  return `${who(event)} ${kindWord(kind)} it`.replace("picked up it", "picked it up");
}

/** What explains an event, as label and text. @param {Event} event @returns {Array<[string, string]>} */
export function facts(event) {
  const { data } = event;
  /** @type {Array<[string, string]>} */
  const found = [];
  if (data.how && data.how !== "accepted") found.push(["how", HOW[data.how] ?? data.how]);
  if (data.reason) found.push(["reason", data.reason]);
  if (typeof data.distance_m === "number") found.push(["distance", distance(data.distance_m)]);
  if (typeof data.position_age_s === "number") found.push(["position", `${span(data.position_age_s * 1000)} old`]);
  if (typeof data.nearest_m === "number") found.push(["nearest", distance(data.nearest_m)]);
  if (typeof data.seconds === "number") found.push(["lasts", span(data.seconds * 1000)]);
  if (Array.isArray(data.fields)) found.push(["changed", data.fields.join(", ")]);
  if (typeof data.radius_km === "number") found.push(["looked within", `${data.radius_km} km`]);
  if (typeof data.considered === "number") found.push(["considered", `${data.considered} drivers`]);
  return found;
}

/** Codes of refusals that another try may overcome. */
export const PASSING = new Set(["busy", "unavailable", "unreachable", "throttled", "internal"]);

/**
 * A refusal as people read it; after a conflict it says who did what.
 * @param {import("./api.js").ProblemDocument} problem
 * @param {(id: number) => string} nameOf
 * @param {number} now
 */
export function refusal(problem, nameOf, now) {
  if (problem.last_event) {
    const event = /** @type {Event} */ (problem.last_event);
    const ago = span(now - Date.parse(event.at));
    return `Nothing was done: ${told(event, nameOf)} ${ago} ago.`;
  }
  if (problem.code === "driver_offline" && problem.within_km) return `No free driver within ${problem.within_km} km.`;
  const fields = Object.entries(problem.errors ?? {}).map(([field, texts]) => `${field}: ${texts.join(" ")}`);
  return fields.length ? fields.join("; ") : problem.detail;
}
