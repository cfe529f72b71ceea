/** Words, numbers, money, times and distances in the driver's language. */

/** @typedef {Record<string, string | Record<string, string>>} Words */
/** @typedef {"en" | "ar"} Language */

/** @type {Language[]} */
export const LANGUAGES = ["en", "ar"];
/** Each in its own language, so that whoever is lost finds home. */
export const NAMES = { en: "English", ar: "العربية" };

/** @type {Language} */
let language = "en";
/** @type {Words} */
let words = {};
let plurals = new Intl.PluralRules("en");
/** @type {Map<string, any>} */
const formats = new Map();

/**
 * Fetch a language's words and speak it from now on.
 * @param {Language} wanted
 */
export async function speak(wanted) {
  const loaded = wanted === "ar" ? await import("../words/ar.js") : await import("../words/en.js");
  words = loaded.WORDS;
  language = wanted;
  plurals = new Intl.PluralRules(locale());
  formats.clear();
  document.documentElement.lang = language;
  document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
}

/** The first of the phone's languages that we know. @returns {Language} */
export function ofPhone() {
  for (const tag of navigator.languages) {
    const known = LANGUAGES.find((ours) => tag.toLowerCase().startsWith(ours));
    if (known) return known;
  }
  return "en";
}

export function spoken() {
  return language;
}

/** With the driver's own country where the phone names one: their way to write numbers. */
function locale() {
  return navigator.languages.find((tag) => tag.toLowerCase().startsWith(`${language}-`)) ?? language;
}

/** @param {string} key */
export function knows(key) {
  return key in words;
}

/**
 * The words for a key. `{name}` stands for a value, as text; a sentence in forms is chosen by `count`.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const found = words[key];
  if (found === undefined) return key;
  const count = Number(values.count ?? 0);
  const sentence = typeof found === "string" ? found : (found[plurals.select(count)] ?? found.other ?? key);
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}

/**
 * @template T
 * @param {string} key
 * @param {() => T} make
 * @returns {T}
 */
function format(key, make) {
  if (!formats.has(key)) formats.set(key, make());
  return formats.get(key);
}

/**
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 */
export function number(value, options) {
  return format(`n${JSON.stringify(options ?? {})}`, () => new Intl.NumberFormat(locale(), options)).format(value);
}

/**
 * An amount as one piece that keeps its order in a line of either direction.
 * @param {string} amount a decimal string, as the API has it
 * @param {string} currency
 */
export function money(amount, currency) {
  const value = Number(amount);
  let text;
  try {
    text = number(value, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
  } catch {
    // Not a currency that the browser knows.
    text = `${number(value, { minimumFractionDigits: 2 })} ${currency}`;
  }
  return `\u2066${text.replace(/[\u200e\u200f]/g, "")}\u2069`;
}

/** A number never stands on another line than what it counts. @param {string} text */
const unbroken = (text) => text.replaceAll(" ", "\u00a0");

/** @param {number} metres */
export function distance(metres) {
  if (metres < 1000) {
    const near = Math.max(10, Math.round(metres / 10) * 10);
    return unbroken(number(near, { style: "unit", unit: "meter", unitDisplay: "short" }));
  }
  const digits = metres < 10_000 ? 1 : 0;
  return unbroken(
    number(metres / 1000, { style: "unit", unit: "kilometer", unitDisplay: "short", maximumFractionDigits: digits }),
  );
}

/**
 * The time of day, on the driver's own clock.
 * @param {number | string} at
 */
export function clock(at) {
  const time = format("clock", () => new Intl.DateTimeFormat(locale(), { hour: "numeric", minute: "2-digit" }));
  return unbroken(time.format(new Date(at)));
}

/**
 * A day and the time of day; only the time when it is today.
 * @param {string} at
 * @param {number} now
 */
export function moment(at, now) {
  const then = new Date(at);
  if (then.toDateString() === new Date(now).toDateString()) return clock(at);
  return format(
    "moment",
    () => new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" }),
  ).format(then);
}

/** @param {string | number} at */
export function day(at) {
  return format(
    "day",
    () => new Intl.DateTimeFormat(locale(), { weekday: "long", day: "numeric", month: "long" }),
  ).format(new Date(at));
}

/**
 * A span of time in its largest unit: seconds, minutes, hours.
 * @param {number} seconds
 */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return t("span.seconds", { count: whole });
  if (whole < 5400) return t("span.minutes", { count: Math.round(whole / 60) });
  return t("span.hours", { count: Math.round(whole / 3600) });
}

/** Hours and minutes of work, short: 3:40. @param {number} seconds */
export function worked(seconds) {
  const minutes = Math.floor(seconds / 60);
  const rest = number(minutes % 60, { minimumIntegerDigits: 2 });
  return `${number(Math.floor(minutes / 60))}:${rest}`;
}

/**
 * What this side must not reorder when both directions meet in a line: an address, a name, a phone number.
 * @param {string} text
 */
export function apart(text) {
  return `\u2068${text}\u2069`;
}
