// The socket to the server, and the heartbeat, over HTTP where there is no socket.
//
// A mobile connection that died does not say so: the socket stays open and takes whatever is written into it. So every
// heartbeat has to be answered. One every 20 s; unanswered for 10 s, a second one goes out at once; if that is not answered
// in 10 s either, the socket is given up and made anew. At the latest 40 s after the network died in silence.

import { ask, backoffMs } from "./api.js";

/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").Problem} Problem */

/**
 * All milliseconds. answerMs: a heartbeat's time to be answered. probeMs: the same when there is a reason to doubt (the
 * network changed, the page came back to the front).
 * @typedef {{beatMs: number, answerMs: number, probeMs: number, openMs: number, backoff: {firstMs?: number, longestMs?: number}}} Timing
 */

/** @type {Timing} */
const TIMING = { beatMs: 20_000, answerMs: 10_000, probeMs: 4000, openMs: 10_000, backoff: {} };
/** A timer that comes later than this was held back, with the page: the answer may be waiting behind it. */
const HELD_BACK_MS = 2000;
/** Of dispatch/consumers/frames.py. */
const CLOSE = { signedOut: 4001, suspended: 4003, tooMuch: 4009, replaced: 4010 };
const SUBPROTOCOL = "baton.v1";

/**
 * @param {{
 *   token: () => Promise<string | null>,
 *   position: () => Record<string, any>,
 *   beatsByHttp: () => boolean,
 *   opening: () => void,
 *   opened: () => void,
 *   frame: (frame: any) => void,
 *   beat: (beat: any, sentAt: number, heardAt: number) => void,
 *   signedOut: (token: string, why: "revoked" | "suspended") => void,
 *   changed: (link: Link) => void,
 *   timing?: Partial<Timing>,
 * }} options `opening`: just before a socket is made. `beat`: a heartbeat was answered. `position`: what it carries.
 */
export function createLink(options) {
  const timing = { ...TIMING, ...options.timing };
  /** @type {Link} */
  let link = { state: "connecting", since: Date.now(), heardAt: null, roundTripMs: null };
  /** @type {WebSocket | null} */
  let socket = null;
  let isRunning = false;
  let attempts = 0;
  /** Counts connections and attempts; what belongs to an earlier one is not listened to. */
  let era = 0;
  let number = 0;
  /** Heartbeats without an answer: id → sent at. @type {Map<number, number>} */
  const unanswered = new Map();
  /** @type {Record<"beat" | "answer" | "reconnect" | "open", number>} */
  const timers = { beat: 0, answer: 0, reconnect: 0, open: 0 };

  /** @param {Partial<Link>} change */
  function become(change) {
    if (change.state && change.state !== link.state) change = { since: Date.now(), ...change };
    link = { ...link, ...change };
    options.changed(link);
  }

  function start() {
    if (isRunning) return;
    isRunning = true;
    attempts = 0;
    become({ state: navigator.onLine ? "connecting" : "offline", replaced: false });
    void connect();
  }

  function stop() {
    isRunning = false;
    drop();
    for (const timer of Object.values(timers)) clearTimeout(timer);
    become({ state: navigator.onLine ? "connecting" : "offline", heardAt: null, roundTripMs: null });
  }

  /** Let go of the socket, without waiting for it to agree. */
  function drop() {
    era += 1;
    unanswered.clear();
    for (const name of /** @type {const} */ (["answer", "open", "reconnect"])) clearTimeout(timers[name]);
    const old = socket;
    socket = null;
    old?.close(1000);
  }

  async function connect() {
    drop();
    if (!isRunning) return;
    const mine = era;
    const token = await options.token();
    if (mine !== era || !isRunning) return;
    // Whoever signs out stops the link: the phone's storage could not be read just now.
    if (!token) return again();
    const answer = await ask("auth/ticket/", { method: "POST", token, json: {}, timeoutMs: timing.openMs });
    if (mine !== era || !isRunning) return;
    if (answer.kind === "signed_out") return options.signedOut(token, answer.why);
    if (answer.kind !== "ok") return again(answer.kind === "retry" ? answer.retryAfterMs : null);
    options.opening();
    const address = new URL(`/ws/driver/?ticket=${encodeURIComponent(answer.data.ticket)}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const made = new WebSocket(address, [SUBPROTOCOL]);
    socket = made;
    timers.open = later(timing.openMs, () => mine === era && again());
    made.onopen = () => {
      if (mine !== era) return;
      clearTimeout(timers.open);
      become({ state: "live", heardAt: Date.now(), replaced: false });
      options.opened();
      beatNow();
    };
    made.onmessage = (event) => {
      if (mine === era) heard(event.data);
    };
    made.onclose = (event) => {
      if (mine === era) closed(event.code, token);
    };
  }

  /** @param {unknown} text */
  function heard(text) {
    /** @type {any} */
    let frame;
    try {
      frame = JSON.parse(String(text));
    } catch {
      return;
    }
    const now = Date.now();
    if (frame.type !== "heartbeat_ack") {
      become({ heardAt: now });
      // A heartbeat that was refused was answered all the same.
      if (frame.type === "error") unanswered.delete(frame.id);
      options.frame(frame);
      return;
    }
    attempts = 0;
    const sentAt = unanswered.get(frame.id);
    // What was sent before it was heard, too.
    for (const id of unanswered.keys()) if (id <= frame.id) unanswered.delete(id);
    if (!unanswered.size) clearTimeout(timers.answer);
    become({ heardAt: now, roundTripMs: sentAt === undefined ? link.roundTripMs : now - sentAt });
    options.beat(frame, sentAt ?? now, now);
  }

  /**
   * @param {number} code
   * @param {string} token
   */
  function closed(code, token) {
    if (code === CLOSE.signedOut) return options.signedOut(token, "revoked");
    if (code === CLOSE.suspended) return options.signedOut(token, "suspended");
    if (code === CLOSE.replaced) {
      drop();
      become({ state: "connecting", replaced: true });
      return;
    }
    if (code === CLOSE.tooMuch) attempts = Math.max(attempts, 5);
    again();
  }

  /** Once more, after a while. @param {number | null} [afterMs] */
  function again(afterMs = null) {
    drop();
    if (!isRunning) return;
    become({ state: navigator.onLine ? "connecting" : "offline" });
    const wait = Math.max(afterMs ?? 0, backoffMs(attempts, timing.backoff));
    attempts += 1;
    timers.reconnect = later(wait, () => void connect());
  }

  // --- Heartbeats ---

  /** Now, and from now on every `beatMs`. @param {number} [answerMs] */
  function beatNow(answerMs = timing.answerMs) {
    clearTimeout(timers.beat);
    if (!isRunning) return;
    timers.beat = later(timing.beatMs, () => beatNow());
    if (socket?.readyState === WebSocket.OPEN) beatBySocket(answerMs);
    else if (options.beatsByHttp()) void beatByHttp();
  }

  /** @param {number} answerMs */
  function beatBySocket(answerMs) {
    number += 1;
    const id = number;
    unanswered.set(id, Date.now());
    socket?.send(JSON.stringify({ type: "heartbeat", id, ...options.position() }));
    awaitAnswer(id, answerMs, Date.now() + answerMs);
  }

  /**
   * @param {number} id
   * @param {number} answerMs
   * @param {number} due
   */
  function awaitAnswer(id, answerMs, due) {
    clearTimeout(timers.answer);
    timers.answer = later(Math.max(0, due - Date.now()), () => {
      if (!unanswered.has(id)) return;
      if (Date.now() - due > HELD_BACK_MS) return awaitAnswer(id, answerMs, Date.now() + 1000);
      if (unanswered.size >= 2) return again();
      beatNow(answerMs);
    });
  }

  async function beatByHttp() {
    const mine = era;
    const token = await options.token();
    if (!token) return;
    const json = options.position();
    const answer = await ask("driver/heartbeat/", { method: "POST", token, json, timeoutMs: timing.answerMs });
    if (answer.kind === "signed_out") return options.signedOut(token, answer.why);
    // Between the socket's own beats an older one would only confuse.
    if (answer.kind !== "ok" || !isRunning || (mine !== era && link.state === "live")) return;
    become({ heardAt: answer.heardAt, roundTripMs: answer.heardAt - answer.sentAt });
    options.beat(answer.data, answer.sentAt, answer.heardAt);
  }

  // --- Signs from outside ---

  /** The network may be back, or another one: find out now. */
  function wake() {
    if (!isRunning || link.replaced) return;
    if (socket?.readyState === WebSocket.OPEN) return beatNow(timing.probeMs);
    if (socket?.readyState === WebSocket.CONNECTING) return;
    attempts = 0;
    void connect();
    beatNow();
  }

  /** By the driver's own hand, also when newer sockets had taken its place. */
  function insist() {
    if (link.replaced) become({ replaced: false });
    wake();
  }

  /** The device says that there is no network. A dead socket may take minutes to say so. */
  function offline() {
    if (isRunning && socket?.readyState !== WebSocket.OPEN) become({ state: "offline" });
    else if (isRunning) beatNow(timing.probeMs);
  }

  /** @param {Record<string, any>} frame @returns {boolean} whether it is on its way */
  function send(frame) {
    if (socket?.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify(frame));
    return true;
  }

  return { start, stop, wake, insist, offline, send, beatNow, state: () => link };
}

/**
 * @param {number} ms
 * @param {() => void} work
 */
function later(ms, work) {
  return Number(setTimeout(work, ms));
}
