// The driver app without its screens: what is true, what waits, and what the driver can do.

import { ask, problemOf, trouble } from "./api.js";
import { createClock } from "./clock.js";
import { read, whatFailed } from "./database.js";
import { createDuty } from "./duty.js";
import { createFeed } from "./feed.js";
import { createLink } from "./link.js";
import { createMessages } from "./messages.js";
import { createNotices } from "./notices.js";
import { createOutbox } from "./outbox.js";
import { facts } from "./phone.js";
import { createPosition } from "./position.js";
import { disablePush, enablePush } from "./push.js";
import * as session from "./session.js";
import { createUpdates } from "./updates.js";
import { view } from "./view.js";
import { createWake } from "./wake.js";

/** @typedef {import("./types.js").App} App */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Verb} Verb */
/** @typedef {import("./database.js").ActRecord} ActRecord */
/** @typedef {import("./database.js").SessionRecord} SessionRecord */

/** @typedef {{syncMs: number, drainMs: number, lastTapsMs: number, link: Partial<import("./link.js").Timing>, outbox: Partial<import("./outbox.js").Timing>}} Timing */

/** lastTapsMs: how long signing out waits for taps that are on their way. */
const TIMING = { syncMs: 60_000, drainMs: 20_000, lastTapsMs: 3000, link: {}, outbox: {} };
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The one app of this page.
 * @param {{timing?: Partial<Timing>}} [options] other timing is for tests
 * @returns {App}
 */
export function createApp(options = {}) {
  const timing = { ...TIMING, ...options.timing };
  const channel = new BroadcastChannel("baton-driver");
  const end = new AbortController();
  /** @type {Set<(state: State) => void>} */
  const listeners = new Set();

  /** @type {SessionRecord | null} */
  let record = null;
  let isStarted = false;
  /** @type {boolean | null} */
  let confirmed = null;
  /** @type {State["storage"]} */
  let storage = "ok";
  /** @type {ActRecord[]} */
  let waiting = [];
  let looks = 0;
  let lastLook = 0;
  let isDirty = true;
  let isTelling = false;
  let expiry = 0;
  /** Whose token the link is up with. @type {string | null} */
  let runsWith = null;

  const clock = createClock();
  const notices = createNotices(changed);
  const messages = createMessages({ changed, say: notices.say });
  const outbox = createOutbox({ changed: told, settled: settledHere, timing: timing.outbox });
  const feed = createFeed({
    clock,
    changed,
    waiting: () => waiting,
    say: notices.say,
    signedOut,
    dutyLost: () => void duty.look(),
    unread: messages.took,
  });
  const position = createPosition({
    changed,
    // Without a position nobody is offered anything: the first one does not wait for the next heartbeat.
    found: () => record?.wanted && link.beatNow(),
  });
  const wake = createWake();
  const updates = createUpdates({
    changed() {
      notices.say({ tone: "info", code: "update", data: {} });
      changed();
    },
  });
  const duty = createDuty({
    changed: () => reload(true),
    confirmed(isOnline) {
      confirmed = isOnline;
      changed();
    },
    ended: () => notices.say({ tone: "info", code: "duty_ended", data: {} }),
    signedOut,
  });
  const link = createLink({
    token: async () => (await session.current())?.token ?? null,
    position: () => (record?.wanted ? position.forHeartbeat() : {}),
    beatsByHttp: () => record?.wanted ?? false,
    opening: feed.opening,
    opened() {
      void outbox.drain({ eager: true });
      void duty.tell();
      isFirstBeat = true;
    },
    frame(frame) {
      if (frame.type === "snapshot") clock.heard(frame.server_time, Date.now() - 1000, Date.now());
      if (frame.type === "message") messages.took([frame.message], true);
      else feed.took(frame);
    },
    beat(beat, sentAt, heardAt) {
      clock.heard(beat.server_time, sentAt, heardAt);
      feed.heardBeat(beat);
      if (isFirstBeat) void duty.look();
      isFirstBeat = false;
    },
    signedOut,
    changed,
    timing: timing.link,
  });
  let isFirstBeat = false;
  /** @type {State} */
  let shown = build();

  // --- What is shown ---

  function build() {
    return view({
      isStarted,
      record,
      confirmed,
      link: link.state(),
      clock,
      feed,
      waiting,
      shown: outbox.shown,
      notices: notices.all(),
      position: position.best(),
      geolocation: position.permission(),
      messages: messages.all(),
      storage,
      updateReady: updates.isReady(),
    });
  }

  /** Tell the screens, once for all that changes in this turn. */
  function changed() {
    isDirty = true;
    if (isTelling) return;
    isTelling = true;
    queueMicrotask(() => {
      isTelling = false;
      const state = current();
      for (const listener of listeners) listener(state);
    });
  }

  function current() {
    if (isDirty) {
      isDirty = false;
      shown = build();
      awaitExpiry();
    }
    return shown;
  }

  /** Cards leave by their own countdown. */
  function awaitExpiry() {
    clearTimeout(expiry);
    const next = Math.min(...shown.offers.filter((offer) => !offer.act).map((offer) => Date.parse(offer.expires_at)));
    if (!Number.isFinite(next)) return;
    expiry = Number(setTimeout(changed, Math.min(Math.max(next - clock.serverNow(), 0) + 20, LONGEST_TIMER_MS)));
  }

  // --- This page and the others ---

  /** @param {import("./outbox.js").Topic} topic */
  function told(topic) {
    channel.postMessage({ topic });
    void heard({ topic });
  }

  /** @param {import("./outbox.js").Settled} settled */
  function settledHere(settled) {
    channel.postMessage({ topic: "settled", settled });
    feed.settled(settled);
    if (settled.notice) notices.show(settled.notice, settled.act.driver_id);
  }

  /** @param {{topic: string, settled?: import("./outbox.js").Settled}} message */
  async function heard({ topic, settled }) {
    if (topic === "acts") await lookAtActs();
    if (topic === "notices") await notices.load();
    if (topic === "session") await reload(false);
    if (topic === "settled" && settled) feed.settled(settled);
  }

  async function lookAtActs() {
    const look = ++looks;
    // The news of an act before the act itself goes.
    const [now] = await Promise.all([outbox.waiting(), notices.load()]);
    // Somebody has looked later and seen already: an older look brings nothing back.
    if (look < lastLook) return;
    lastLook = look;
    waiting = now;
    changed();
  }

  /**
   * Look who is signed in, and go on as them. @param {boolean} isOwn it was this page that changed it
   */
  async function reload(isOwn) {
    if (isOwn) channel.postMessage({ topic: "session" });
    const before = record;
    record = await session.current();
    const token = record?.token ?? null;
    await notices.of(record?.driver.id ?? 0);
    if (before?.driver.id !== record?.driver.id || !token) confirmed = null;
    if (token !== runsWith) {
      link.stop();
      feed.reset();
      messages.clear();
      runsWith = token;
      if (token && record) {
        await feed.start(record.driver.id);
        link.start();
        void goOn();
      }
    }
    if (token && record?.wanted) position.start();
    else position.stop();
    wake.want(Boolean(token && record?.wanted));
    if (record?.pending) void duty.tell();
    changed();
  }

  /**
   * @param {string} token
   * @param {"revoked" | "suspended"} why
   */
  async function signedOut(token, why) {
    await session.end(token, why);
    if (!(await session.current())?.token) await feed.forget();
    await reload(true);
  }

  /** Whatever can be done now: a sign of life of the network, of the driver, or the clock. */
  async function goOn() {
    void outbox.drain({ eager: true });
    void feed.sync();
    void duty.tell();
    void messages.load();
    await duty.farewell();
  }

  // --- What the driver does ---

  /**
   * @param {Verb} kind
   * @param {string} order
   * @param {Record<string, any>} [body]
   * @param {import("./outbox.js").Picture[]} [pictures]
   */
  async function act(kind, order, body = {}, pictures = []) {
    const who = await session.current();
    if (!who?.token) throw trouble("not_authenticated", "Nobody is signed in.", 401);
    const kept = await outbox.put(who.driver.id, { kind, order, body }, pictures);
    storage = kept.storage ?? "ok";
    if (kept.lost !== "nothing") {
      const code = kept.lost === "all" ? "not_kept" : "photo_not_kept";
      notices.say({ tone: "bad", code, order, data: { kind, storage } });
    }
    void updates.askForSync();
    await lookAtActs();
    void outbox.drain({ eager: true });
  }

  /**
   * @param {string} username
   * @param {string} password
   */
  async function signIn(username, password) {
    await duty.farewell();
    const device = navigator.userAgent.slice(0, 100);
    const answer = await ask("auth/login/", { method: "POST", json: { username, password, device } });
    if (answer.kind !== "ok") throw problemOf(answer);
    const { id, name, phone, vehicle, capacity, is_online } = answer.data.driver;
    const driver = { id, username, name, phone, vehicle, capacity };
    await session.begin({ driver, token: answer.data.token, wanted: is_online });
    confirmed = is_online;
    // So that the browser does not clear away what waits when the phone runs full.
    void navigator.storage?.persist?.().catch(() => false);
    await reload(true);
    await lookAtActs();
  }

  async function signOut() {
    const token = record?.token;
    if (!token) return;
    await Promise.race([outbox.drain({ eager: true }), new Promise((done) => setTimeout(done, timing.lastTapsMs))]);
    await session.leave(token);
    await session.end(token, null);
    await feed.forget();
    await reload(true);
    await duty.farewell();
  }

  /** @param {string} path */
  async function fetched(path) {
    const token = (await session.current())?.token;
    if (!token) throw trouble("not_authenticated", "Nobody is signed in.", 401);
    const answer = await ask(path, { token });
    if (answer.kind === "signed_out") await signedOut(token, answer.why);
    if (answer.kind !== "ok") throw problemOf(answer);
    return answer.data;
  }

  /** @type {import("./types.js").Actions} */
  const actions = {
    signIn,
    signOut,
    async setDuty(on) {
      const who = await session.current();
      if (!who?.token) throw trouble("not_authenticated", "Nobody is signed in.", 401);
      await session.setDuty(who.driver.id, { wanted: on, pending: true });
      await reload(true);
      await duty.tell();
      if (on) link.beatNow();
    },
    accept: (order) => act("accept", order),
    decline: (order) => act("decline", order),
    pickUp: (order) => act("pick_up", order),
    deliver(order, { photo, signature, ...proof }) {
      /** @type {import("./outbox.js").Picture[]} */
      const pictures = [];
      if (photo) pictures.push({ kind: "photo", blob: photo });
      if (signature) pictures.push({ kind: "signature", blob: signature });
      return act("deliver", order, { proof }, pictures);
    },
    fail: (order, reason) => act("fail", order, { reason }),
    release: (order, reason) => act("release", order, { reason }),
    seen(order) {
      if (!seen.has(order) && link.send({ type: "seen", order })) seen.add(order);
    },
    async sync() {
      link.insist();
      await Promise.all([feed.sync(), outbox.drain({ eager: true })]);
    },
    history: (cursor) => fetched(`driver/orders/${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`),
    figures: () => fetched(`driver/figures/?tz_offset_minutes=${-new Date().getTimezoneOffset()}`),
    dismiss: notices.dismiss,
    async applyUpdate() {
      const state = current();
      if (state.active.length || state.waiting.length) return false;
      updates.apply();
      return true;
    },
    enablePush: () => enablePush(updates.registration(), fetched, record?.token ?? null),
    disablePush: () => disablePush(updates.registration(), record?.token ?? null),
    readMessage: (id) => messages.read(id),
    askPosition: position.askOnce,
    measure: () => facts({ state: current(), clock, wake, updates }),
  };
  /** Offers that the server was told to be on screen. @type {Set<string>} */
  const seen = new Set();

  // --- Its life ---

  async function start() {
    channel.onmessage = (event) => void heard(event.data);
    const at = { signal: end.signal };
    addEventListener("online", wakeUp, at);
    addEventListener("offline", link.offline, at);
    addEventListener("pageshow", wakeUp, at);
    addEventListener("focus", comeBack, at);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && comeBack(), at);
    // A tap that only this page knows: ask before it is closed.
    const warn = (/** @type {Event} */ event) => waiting.some((one) => one.seq === undefined) && event.preventDefault();
    addEventListener("beforeunload", warn, at);
    try {
      await read(["session"], (tx) => tx.objectStore("session").count());
    } catch (error) {
      storage = whatFailed(error);
    }
    await lookAtActs();
    await reload(false);
    isStarted = true;
    changed();
    await notices.tidy();
    await updates.start();
    await duty.farewell();
  }

  function wakeUp() {
    link.wake();
    if (record?.token) void goOn();
  }

  let cameBack = 0;
  function comeBack() {
    // Focus and visibility come together.
    if (Date.now() - cameBack < 1000) return;
    cameBack = Date.now();
    link.insist();
    void updates.check();
    void reload(false).then(() => void (record?.token && goOn()));
  }

  const clocks = [
    setInterval(() => record?.token && void Promise.all([feed.sync(), duty.look()]), timing.syncMs),
    setInterval(() => void outbox.drain(), timing.drainMs),
  ];
  void start();

  return {
    state: current,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    actions,
    close() {
      end.abort();
      for (const one of clocks) clearInterval(one);
      clearTimeout(expiry);
      link.stop();
      outbox.close();
      feed.reset();
      duty.stop();
      position.stop();
      wake.close();
      updates.close();
      channel.close();
    },
  };
}
