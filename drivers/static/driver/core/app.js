// The driver app without its screens: what is true, what waits, and what the driver can do.

/** @typedef {import("./types.js").App} App */
/** @typedef {import("./types.js").State} State */

/** @returns {State} */
function nothingYet() {
  return {
    phase: "starting",
    signedOutWhy: null,
    driver: null,
    kept: null,
    duty: { wanted: false, confirmed: null },
    link: { state: "connecting", since: Date.now(), heardAt: null, roundTripMs: null },
    clockOffsetMs: 0,
    asOf: null,
    offers: [],
    active: [],
    waiting: [],
    notices: [],
    position: null,
    geolocation: "prompt",
    messages: [],
    storage: "ok",
    updateReady: false,
  };
}

/**
 * The one app of this page.
 * @returns {App}
 */
export function createApp() {
  const state = { ...nothingYet(), phase: /** @type {const} */ ("signed_out") };
  /** @type {Set<(state: State) => void>} */
  const listeners = new Set();
  const notYet = async () => {
    throw { status: 0, code: "network", title: "Offline", detail: "There is no connection." };
  };
  const nothing = async () => {};
  return {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {},
    actions: {
      signIn: notYet,
      signOut: nothing,
      setDuty: nothing,
      accept: nothing,
      decline: nothing,
      pickUp: nothing,
      deliver: nothing,
      fail: nothing,
      release: nothing,
      seen() {},
      sync: nothing,
      history: notYet,
      figures: notYet,
      dismiss: nothing,
      applyUpdate: async () => false,
      enablePush: async () => false,
      disablePush: nothing,
      readMessage: nothing,
      askPosition() {},
      measure: notYet,
    },
  };
}
