// The hand of the randomized test of the outbox (test_outbox_model.py): opens tabs, taps, kills, breaks the storage. A tab is
// a frame of this page with the whole app in it: its own modules, the same IndexedDB, locks and channels as any tab of the
// phone. A frame that is removed is gone at once, in the middle of whatever it did.

const TIMING = {
  syncMs: 60_000,
  drainMs: 150,
  lastTapsMs: 50,
  outbox: { actMs: 350, backoff: { firstMs: 10, longestMs: 60 } },
  link: { beatMs: 60_000, backoff: { firstMs: 60_000, longestMs: 60_000 } },
};

/** @type {Map<number, any>} */
const tabs = new Map();
/** What the drivers were told by pages that are gone. @type {any[]} */
const told = [];
/** @type {any[]} */
let taps = [];

const control = (body) => fetch("/control/", { method: "POST", body: JSON.stringify(body) });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function open(number) {
  if (tabs.has(number)) return;
  const frame = document.createElement("iframe");
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  frame.src = "/tab/";
  document.body.append(frame);
  await loaded;
  const inside = /** @type {any} */ (frame.contentWindow);
  const script = inside.document.createElement("script");
  script.type = "module";
  script.textContent = `
    import { createApp } from "/static/driver/core/app.js";
    window.app = createApp({ timing: ${JSON.stringify(TIMING)} });
    window.ready = true;`;
  inside.document.head.append(script);
  // Storage that says "full": as the browser says it, at the moment of writing.
  for (const name of ["add", "put"]) {
    const real = inside.IDBObjectStore.prototype[name];
    inside.IDBObjectStore.prototype[name] = function (...args) {
      if (inside.isFull && this.name !== "session") throw new inside.DOMException("No room.", "QuotaExceededError");
      return real.apply(this, args);
    };
  }
  while (!inside.ready || inside.app.state().phase === "starting") await pause(2);
  tabs.set(number, { frame, app: inside.app, inside });
}

function kill(number) {
  const tab = tabs.get(number);
  if (!tab) return;
  remember(tab);
  // What only that page knew is gone with it; it had said so.
  for (const tap of taps) if (tap.tab === tab.frame && tap.isUnstored) tap.certain = false;
  for (const tap of taps) if (tap.tab === tab.frame && !tap.isSafe) tap.certain = false;
  tab.frame.remove();
  tabs.delete(number);
}

function remember(tab) {
  told.push(...JSON.parse(JSON.stringify(tab.app.state().notices)));
}

async function tap(number, driver, kind, order, isAwaited) {
  const tab = tabs.get(number);
  if (tab?.app.state().driver?.id !== driver) return;
  const made = { driver, kind, order, tab: tab.frame, isSafe: false, isUnstored: false, certain: true };
  taps.push(made);
  const args = { deliver: [{ kind: "none" }], fail: ["Nobody there"], release: ["Flat tyre"] }[kind] ?? [];
  const action = { pick_up: "pickUp" }[kind] ?? kind;
  const safe = tab.app.actions[action](order, ...args).then(() => {
    made.isSafe = true;
    const notices = tab.app.state().notices;
    made.isUnstored = notices.some((one) => one.code === "not_kept" && one.order === order && one.data.kind === kind);
  });
  // Nobody is signed in any more: the app has said so, and the driver knows that nothing was tapped.
  const heard = safe.catch(() => {
    taps = taps.filter((one) => one !== made);
  });
  if (isAwaited) await heard;
}

/** One step of a schedule. */
async function step([what, ...args]) {
  if (what === "open") await open(args[0]);
  else if (what === "kill") kill(args[0]);
  else if (what === "tap") await tap(...args);
  else if (what === "control") await control(args[0]);
  else if (what === "wait") await pause(args[0]);
  else if (what === "wake") tabs.get(args[0])?.inside.dispatchEvent(new Event("online"));
  else if (what === "full" && tabs.has(args[0])) tabs.get(args[0]).inside.isFull = args[1];
  else if (what === "sign_in") await signIn(args[0], args[1]);
}

async function signIn(number, driver) {
  const tab = tabs.get(number);
  if (!tab) return;
  if (tab.app.state().driver?.id === driver) return;
  if (tab.app.state().phase === "ready") await tab.app.actions.signOut();
  await tab.app.actions.signIn(`d${driver}`, "").catch(() => {});
}

/** Let everything that can still be sent be sent, by each driver. Returns what is left. */
async function finish(drivers, patience) {
  await control({ heal: true });
  await open(1);
  for (const tab of tabs.values()) tab.inside.isFull = false;
  const left = [];
  for (const driver of drivers) {
    await signIn(1, driver);
    const isStuck = stuck(patience);
    while ((tabs.get(1).app.state().driver?.id !== driver || waiting().length) && !isStuck()) {
      if (tabs.get(1).app.state().phase === "signed_out") await signIn(1, driver);
      await pause(5);
    }
    for (const tab of tabs.values()) remember(tab);
    left.push(...waiting().map((act) => [driver, act.kind, act.order, act.state]));
  }
  return left;
}

/** Taps that one tab shows waiting twice, though they are the same. @returns {string[]} */
function doubles() {
  const seen = [];
  for (const { app } of tabs.values()) {
    const acts = app.state().waiting.filter((act) => act.kind !== "proof");
    const names = acts.map((act) => `${act.kind} of ${act.order}`);
    seen.push(...names.filter((name, index) => names.indexOf(name) !== index));
  }
  return seen;
}

const waiting = () => [...tabs.values()].flatMap((tab) => tab.app.state().waiting);

/**
 * Whether there is no hope any more: on a machine of any speed, because it is not time that is waited for. Either the app
 * has tried often enough since an act last left, or it does nothing at all.
 * @param {{tries: number, silenceMs: number}} patience
 */
function stuck({ tries, silenceMs }) {
  let left = Number.POSITIVE_INFINITY;
  let seen = "";
  let heardAt = performance.now();
  let tried = 0;
  return () => {
    const acts = waiting();
    const now = acts.map((act) => `${act.action_id} ${act.tries} ${act.state}`).join();
    const isNew = now !== seen;
    if (acts.length < left) tried = 0;
    else if (isNew) tried += 1;
    if (isNew) heardAt = performance.now();
    left = acts.length;
    seen = now;
    return tried > tries || performance.now() - heardAt > silenceMs;
  };
}

/** The whole of a schedule, on a phone without a past. */
window.play = async (steps, drivers, patience) => {
  taps = [];
  told.length = 0;
  // A tab whose disk is full keeps a tap in its memory, whatever other tabs have on disk: that is no mistake.
  const isEverFull = steps.some(([what, , isFull]) => what === "full" && isFull);
  const twice = new Set();
  for (const one of steps) {
    await step(one);
    for (const name of isEverFull ? [] : doubles()) twice.add(name);
  }
  const left = await finish(drivers, patience);
  for (const number of [...tabs.keys()]) tabs.get(number).frame.remove();
  tabs.clear();
  await new Promise((resolve, reject) => {
    const gone = indexedDB.deleteDatabase("baton-driver");
    gone.onsuccess = resolve;
    gone.onerror = reject;
  });
  return {
    left,
    told,
    twice: [...twice],
    taps: taps.map(({ tab, ...tap }) => tap),
  };
};
