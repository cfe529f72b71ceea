/** What the driver chose for this phone. Kept where it is; never sent. */

/**
 * @typedef {{
 *   language: "" | "en" | "ar", theme: "auto" | "light" | "dark" | "sunlight", sound: boolean, vibration: boolean,
 *   maps: "phone" | "google" | "apple" | "osm",
 * }} Prefs
 */

const KEY = "baton-driver-prefs";

/** @type {Prefs} */
const DEFAULTS = { language: "", theme: "auto", sound: true, vibration: true, maps: "phone" };

/** @type {Prefs} */
let prefs = { ...DEFAULTS, ...read() };

/** @returns {Partial<Prefs>} */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return kept && typeof kept === "object" ? kept : {};
  } catch {
    // Storage switched off, or not ours: the defaults do.
    return {};
  }
}

export function current() {
  return prefs;
}

/** @param {Partial<Prefs>} changes */
export function change(changes) {
  prefs = { ...prefs, ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // They hold for as long as this page does.
  }
  return prefs;
}

/** Show the chosen theme; "auto" leaves it to the phone. */
export function showTheme() {
  const root = document.documentElement;
  if (prefs.theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = prefs.theme;
  // The bar of the phone around the app, in the colour of the app's own.
  const bar = getComputedStyle(root).getPropertyValue("--bar").trim();
  document.querySelector('meta[name="theme-color"]')?.setAttribute("content", bar);
}
