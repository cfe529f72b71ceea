/**
 * A core that tells whatever a test wants, for screens that the real one shows only by chance or after a long wait. Served in the place
 * of core/app.js; the test speaks to it through `window.fake`.
 */

/** @typedef {import("../../../drivers/static/driver/core/types.js").State} State */

const listeners = new Set();
/** @type {any} */
let state = {
  phase: "ready",
  signedOutWhy: null,
  driver: {
    id: 1,
    username: "amina",
    name: "Amina Haddad",
    phone: "+1 415 555 0123",
    vehicle: "motorbike",
    capacity: 2,
  },
  kept: null,
  duty: { wanted: true, confirmed: true },
  link: { state: "live", since: Date.now(), heardAt: Date.now(), roundTripMs: 84 },
  clockOffsetMs: 0,
  asOf: Date.now(),
  offers: [],
  active: [],
  waiting: [],
  notices: [],
  position: { lat: 37.79, lng: -122.39, accuracy_m: 12, at: Date.now() },
  geolocation: "granted",
  messages: [],
  storage: "ok",
  updateReady: false,
};

/** @type {any} */
const answers = {};
/** @type {[string, ...any[]][]} */
const calls = [];

/** @param {any} changes */
function set(changes) {
  state = { ...state, ...changes };
  for (const listener of listeners) listener(state);
}

const actions = new Proxy(
  {},
  {
    get:
      (_, name) =>
      (/** @type {any[]} */ ...given) => {
        calls.push([String(name), ...given]);
        const answer = answers[name];
        if (name === "dismiss")
          set({ notices: state.notices.filter((/** @type {any} */ notice) => notice.id !== given[0]) });
        return answer?.reject ? Promise.reject(answer.reject) : Promise.resolve(answer);
      },
  },
);

/** @type {any} */ (window).fake = { set, calls, answers, state: () => state };

export function createApp() {
  const start = sessionStorage.getItem("fake-start");
  if (start) {
    const { answers: given, ...changes } = JSON.parse(start);
    Object.assign(answers, given);
    state = { ...state, ...changes };
  }
  return {
    state: () => state,
    subscribe(/** @type {any} */ listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {},
    actions,
  };
}
