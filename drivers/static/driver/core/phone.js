// Facts about this phone, for the phone check: only what was asked for, only what the browser tells.

/** @typedef {import("./types.js").Facts} Facts */

/**
 * @param {{
 *   state: import("./types.js").State, clock: ReturnType<typeof import("./clock.js").createClock>,
 *   wake: ReturnType<typeof import("./wake.js").createWake>, updates: ReturnType<typeof import("./updates.js").createUpdates>,
 * }} from
 * @returns {Promise<Facts>}
 */
export async function facts({ state, clock, wake, updates }) {
  const wide = /** @type {any} */ (navigator);
  const [estimate, persisted, battery, build, subscription] = await Promise.all([
    asked(navigator.storage?.estimate?.()),
    asked(navigator.storage?.persisted?.()),
    asked(wide.getBattery?.()),
    updates.build(),
    asked(updates.registration()?.pushManager?.getSubscription()),
  ]);
  return {
    clockOffsetMs: clock.isKnown() ? clock.offsetMs() : null,
    roundTripMs: state.link.roundTripMs,
    link: state.link.state,
    storage: {
      state: state.storage,
      persisted: persisted ?? null,
      usedBytes: estimate?.usage ?? null,
      quotaBytes: estimate?.quota ?? null,
    },
    wakeLock: wake.state(),
    geolocation: state.geolocation,
    accuracyM: state.position?.accuracy_m ?? null,
    notifications: "Notification" in window ? Notification.permission : "unsupported",
    push: Boolean(subscription),
    serviceWorker: { state: updates.state(), build },
    build: document.querySelector('meta[name="baton-build"]')?.getAttribute("content") ?? null,
    standalone: matchMedia("(display-mode: standalone)").matches,
    saveData: wide.connection?.saveData ?? null,
    batteryLevel: battery?.level ?? null,
    charging: battery?.charging ?? null,
    waiting: state.waiting.length,
    userAgent: navigator.userAgent,
  };
}

/**
 * @template T
 * @param {Promise<T> | undefined} question
 * @returns {Promise<T | null>}
 */
async function asked(question) {
  try {
    return (await question) ?? null;
  } catch {
    return null;
  }
}
