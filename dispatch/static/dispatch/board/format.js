// How times, distances and names read on the board. Pure functions, no page.

/** @typedef {"pending" | "assigned" | "picked_up" | "delivered" | "cancelled" | "failed"} Status */

/**
 * A time as milliseconds since 1970; NaN if there is none.
 * @param {string | null | undefined} text RFC 3339
 */
export const ms = (text) => (text ? Date.parse(text) : Number.NaN);

/**
 * A span in the fewest words that still help: "8 s", "1:05", "12 min", "3 h 20 min", "2 d".
 * @param {number} milliseconds
 */
export const span = (milliseconds) => {
  const whole = Math.max(0, Math.floor(milliseconds / 1000));
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  if (whole < 5400) return `${Math.floor(whole / 60)} min`;
  if (whole < 48 * 3600) {
    const rest = Math.floor((whole % 3600) / 60);
    return rest && whole < 10 * 3600 ? `${Math.floor(whole / 3600)} h ${rest} min` : `${Math.floor(whole / 3600)} h`;
  }
  return `${Math.floor(whole / 86400)} d`;
};

/** The same, for a screen reader. @param {number} milliseconds */
export const spoken = (milliseconds) => {
  const whole = Math.max(0, Math.floor(milliseconds / 1000));
  if (whole < 60) return `${whole} seconds`;
  if (whole < 600) return `${Math.floor(whole / 60)} minutes ${whole % 60} seconds`;
  return span(milliseconds).replace("min", "minutes").replace("h", "hours").replace(/ d$/, " days");
};

/** @param {number | null | undefined} metres */
export const distance = (metres) => {
  if (metres === null || metres === undefined) return "–";
  if (metres < 950) return `${Math.round(metres / 10) * 10} m`;
  return `${(metres / 1000).toFixed(metres < 9950 ? 1 : 0)} km`;
};

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", hour12: false });

/**
 * The time of day, with the date when it was another day.
 * @param {string | null | undefined} text
 * @param {number} now server's time in milliseconds
 */
export const clock = (text, now) => {
  const at = ms(text);
  if (Number.isNaN(at)) return "–";
  const near = new Date(at).toDateString() === new Date(now).toDateString();
  return near ? CLOCK.format(at) : `${DAY.format(at)} ${CLOCK.format(at)}`;
};

/** @param {string | null | undefined} text */
export const moment = (text) => (text ? WHOLE.format(ms(text)) : "");

/** @type {Record<string, string>} */
const STATUS_WORDS = { picked_up: "picked up" };

/** @param {{status: string, expired?: boolean}} order */
export const statusWord = (order) => (order.expired ? "expired" : (STATUS_WORDS[order.status] ?? order.status));

/** What people call an order: its reference, else the end of its id. @param {{id: string, reference?: string}} order */
export const label = (order) => order.reference || `#${order.id.slice(-6)}`;

/**
 * A place in one line.
 * @param {{lat: number, lng: number, address?: string} | null | undefined} place
 */
export const where = (place) => {
  if (!place) return "–";
  return place.address || `${place.lat.toFixed(4)}, ${place.lng.toFixed(4)}`;
};

/** @param {{payout?: string, currency?: string}} order */
export const price = (order) => `${order.payout ?? "–"} ${order.currency ?? ""}`.trim();

/** @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many) => `${count} ${count === 1 ? one : (many ?? `${one}s`)}`;

/** Why an order needs somebody, in words. @type {Record<string, string>} */
export const REASONS = {
  expired: "Expired",
  no_candidate: "No driver in reach",
  all_declined: "All declined",
  expiring: "About to expire",
  holder_silent: "Driver silent",
  holder_not_moving: "Driver not moving",
  holder_moving_away: "Driver moving away",
  late: "Late",
};

/** @param {string} reason */
export const reasonWord = (reason) => REASONS[reason] ?? reason.replaceAll("_", " ");

/** @param {string} kind an event's: `order.picked_up` */
export const kindWord = (kind) => kind.replace(/^order\./, "").replaceAll("_", " ");
