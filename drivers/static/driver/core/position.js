// Where the driver is: the best of the last fixes, only while on duty.

/** @typedef {import("./types.js").Position} Position */
/** @typedef {import("./types.js").Permission} Permission */

/** Fixes older than this tell nobody where the driver is. */
const OLD_MS = 60_000;
/** How far a driver may have come since a fix that has no speed, metres a second: a bicycle. */
const ORDINARY_MPS = 5;
const KEPT = 20;

/**
 * How far off a fix may be now, metres: what the phone admits, and what was driven since.
 * @param {Position} fix
 * @param {number} now
 */
export function uncertaintyM(fix, now) {
  return fix.accuracy_m + (Math.max(0, now - fix.at) / 1000) * (fix.speed_mps ?? ORDINARY_MPS);
}

/**
 * @param {{changed: () => void, found: () => void}} options `found`: where nobody knew where the driver is, now one does.
 */
export function createPosition({ changed, found }) {
  /** @type {Position[]} */
  let fixes = [];
  /** @type {Permission} */
  let permission = "geolocation" in navigator ? "prompt" : "unavailable";
  let watch = /** @type {number | null} */ (null);
  void watchPermission();

  async function watchPermission() {
    try {
      const status = await navigator.permissions.query({ name: "geolocation" });
      const look = () => {
        permission = status.state;
        changed();
      };
      status.addEventListener("change", look);
      look();
    } catch {
      // The first fix or refusal will tell.
    }
  }

  function start() {
    if (watch !== null || permission === "unavailable") return;
    watch = navigator.geolocation.watchPosition(took, refused, { enableHighAccuracy: true, maximumAge: 5000 });
  }

  function stop() {
    if (watch !== null) navigator.geolocation.clearWatch(watch);
    watch = null;
    fixes = [];
  }

  /** Once, so that the browser asks the driver. */
  function askOnce() {
    if (permission !== "unavailable") navigator.geolocation.getCurrentPosition(took, refused, { timeout: 20_000 });
  }

  /** @param {GeolocationPosition} fix */
  function took({ coords, timestamp }) {
    permission = "granted";
    /** @type {Position} */
    const position = { lat: coords.latitude, lng: coords.longitude, accuracy_m: coords.accuracy, at: timestamp };
    if (coords.heading !== null && !Number.isNaN(coords.heading)) position.heading = coords.heading;
    if (coords.speed !== null) position.speed_mps = coords.speed;
    const wasLost = !best();
    fixes = [position, ...fixes].slice(0, KEPT);
    changed();
    if (wasLost && best()) found();
  }

  /** @param {GeolocationPositionError} error */
  function refused(error) {
    if (error.code === error.PERMISSION_DENIED) {
      permission = "denied";
      stop();
    }
    changed();
  }

  /** @returns {Position | null} */
  function best() {
    const now = Date.now();
    const recent = fixes.filter((fix) => now - fix.at <= OLD_MS);
    return recent.reduce(
      (least, fix) => (least && uncertaintyM(least, now) <= uncertaintyM(fix, now) ? least : fix),
      /** @type {Position | null} */ (null),
    );
  }

  /** As a heartbeat carries it; nothing when nobody knows. @returns {Record<string, any>} */
  function forHeartbeat() {
    const fix = best();
    if (!fix) return {};
    const { at, ...rest } = fix;
    return { ...rest, accuracy_m: Math.min(rest.accuracy_m, 1e6), recorded_at: new Date(at).toISOString() };
  }

  return { start, stop, askOnce, best, forHeartbeat, permission: () => permission };
}
