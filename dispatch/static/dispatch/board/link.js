// The live line to the server. It knows how old what the board shows is, says so, and catches up by itself after any gap.

import { openSocket, takeEarly } from "./early.js";

/** @typedef {import("./store.js").Store} Store */

export const PING_MS = 2000;
const BEAT_MS = 500;
/** From here on the badge says how far behind. */
export const BEHIND_MS = 2000;
/** Nothing heard for so long: the line is dead, whatever the browser thinks. */
export const DEAD_MS = 9000;
const SNAPSHOT_MS = 20_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;
/** How long the page's own address is asked whether we are still signed in. */
const ASKING_MS = 5000;
const SIGNED_OUT = 4001;

/**
 * @param {{store: Store, path: string, onProblem?: (problem: any) => void}} options
 * @returns {{start: () => void, stop: () => void, sync: () => void, viewing: (order: string | null) => void}}
 */
export function createLink({ store, path, onProblem }) {
  /** @type {WebSocket | null} */
  let socket = null;
  let attempts = 0;
  let retryTimer = 0;
  let syncTimer = 0;
  let snapshotBy = 0;
  /** By when the next drivers of a snapshot in pieces have to be there; 0 if none are awaited. */
  let driversBy = 0;
  let pinged = 0;
  let lastPing = 0;
  /** Since when the server says that it hears no news itself; 0 if it does. */
  let standstill = 0;
  let lastBeat = Date.now();
  /** @type {Map<number, number>} Unanswered pings: id → when sent. */
  const pings = new Map();
  /** @type {string | null} */
  let open = null;

  /** @param {object} frame */
  const send = (frame) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  };

  function connect() {
    clearTimeout(retryTimer);
    if (socket) return;
    const early = takeEarly();
    const mine = early?.socket ?? openSocket(path);
    let opened = false;
    socket = mine;
    const deadline = setTimeout(() => mine.close(), DEAD_MS);
    const begin = () => {
      opened = true;
      clearTimeout(deadline);
      pings.clear();
      heard();
      awaitSnapshot();
      ping();
      if (open) send({ type: "viewing", order: open });
    };
    mine.onopen = begin;
    mine.onmessage = ({ data }) => {
      if (socket === mine) take(JSON.parse(data));
    };
    mine.onclose = ({ code }) => {
      clearTimeout(deadline);
      if (socket === mine) lost(code, opened);
    };
    if (mine.readyState === WebSocket.OPEN) begin();
    for (const data of early?.heard ?? []) take(JSON.parse(data));
  }

  function awaitSnapshot() {
    snapshotBy = performance.now() + SNAPSHOT_MS;
    driversBy = 0;
    store.setLink({ state: "catching_up" });
  }

  /** @param {number} code @param {boolean} opened */
  async function lost(code, opened) {
    socket = null;
    pings.clear();
    clearTimeout(syncTimer);
    const isOut = code === SIGNED_OUT || (!opened && (await isSignedOut()));
    // Another line was made while that was asked: this one's end is old news.
    if (socket) return;
    if (isOut) {
      store.setLink({ state: "signed_out" });
      return;
    }
    // Full jitter, so that a restart of the server is not followed by everybody at once.
    const delay = Math.random() * Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempts);
    attempts += 1;
    store.setLink({ state: "reconnecting", retryAt: performance.now() + delay });
    clearTimeout(retryTimer);
    retryTimer = setTimeout(connect, delay);
  }

  /** A browser is not told why a handshake was refused; this page's own address knows whether we are still signed in. */
  async function isSignedOut() {
    try {
      const answer = await fetch(location.pathname, {
        method: "HEAD",
        redirect: "manual",
        cache: "no-store",
        signal: AbortSignal.timeout(ASKING_MS),
      });
      return answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403;
    } catch {
      return false;
    }
  }

  /** The line is dead: do not wait for the browser to notice. */
  function drop() {
    const dead = socket;
    socket = null;
    if (dead) {
      dead.onclose = dead.onmessage = dead.onopen = null;
      dead.close();
    }
    void lost(1006, true);
  }

  function heard() {
    store.link.heardAt = performance.now();
  }

  /** @param {any} frame */
  function take(frame) {
    heard();
    if (frame.type === "pong") pong(frame);
    else if (frame.type === "resync") sync();
    else if (frame.type === "error") {
      onProblem?.(frame.problem);
      if (store.link.state === "catching_up" || store.awaitsDrivers()) {
        // The server could not read the board, or its drivers, just now: ask again soon.
        clearTimeout(syncTimer);
        syncTimer = setTimeout(sync, 1000 + Math.random() * 2000);
      }
    } else {
      store.apply(frame);
      if (frame.driver_chunks || frame.chunk) {
        driversBy = store.awaitsDrivers() ? performance.now() + SNAPSHOT_MS : 0;
      }
      if (frame.type === "snapshot") {
        snapshotBy = 0;
        attempts = 0;
        if (store.link.state !== "live") store.setLink({ state: "live", lagMs: 0 });
      }
    }
  }

  /** @param {{id: number, server_time: string, live?: boolean}} frame */
  function pong(frame) {
    const sent = pings.get(frame.id);
    if (sent === undefined) return;
    const roundTrip = performance.now() - sent;
    for (const id of pings.keys()) if (id <= frame.id) pings.delete(id);
    store.setClock(frame.server_time, roundTrip);
    // `live: false`: the server itself is cut off from the news. Then what we see ages from now on, pongs or not.
    standstill = frame.live === false ? standstill || performance.now() : 0;
    judge(roundTrip);
  }

  /** How far behind is what we see? @param {number} [roundTrip] */
  function judge(roundTrip = 0) {
    const now = performance.now();
    const [oldest] = pings.values();
    const waiting = oldest === undefined ? 0 : now - oldest;
    const lagMs = Math.max(roundTrip, waiting, standstill ? now - standstill : 0);
    if (store.link.state !== "live" && store.link.state !== "behind") return;
    const state = lagMs > BEHIND_MS || standstill ? "behind" : "live";
    if (state !== store.link.state || state === "behind" || Math.abs(lagMs - store.link.lagMs) > 50) {
      store.setLink({ state, lagMs });
    }
  }

  function ping() {
    pinged += 1;
    pings.set(pinged, performance.now());
    send({ type: "ping", id: pinged });
  }

  /** Twice a second: is the line alive, is the snapshot there, did this machine sleep? */
  function beat() {
    const slept = Date.now() - lastBeat > DEAD_MS;
    lastBeat = Date.now();
    if (socket?.readyState !== WebSocket.OPEN) return;
    const now = performance.now();
    if (slept) {
      ping();
      sync();
    } else if (now - store.link.heardAt > DEAD_MS || (snapshotBy && now > snapshotBy)) {
      drop();
    } else if (driversBy && now > driversBy) {
      sync();
    } else {
      let last = 0;
      for (const sent of pings.values()) last = sent;
      if (now - Math.max(last, lastPing) >= PING_MS) {
        ping();
        lastPing = now;
      }
      judge();
    }
  }
  /** Ask for everything anew. */
  function sync() {
    if (socket?.readyState !== WebSocket.OPEN) return;
    awaitSnapshot();
    send({ type: "sync" });
  }

  function wake() {
    if (document.hidden || store.link.state === "signed_out") return;
    if (!socket) connect();
    else beat();
  }

  let beating = 0;
  return {
    start() {
      connect();
      beating = setInterval(beat, BEAT_MS);
      addEventListener("online", wake);
      document.addEventListener("visibilitychange", wake);
    },
    stop() {
      clearInterval(beating);
      clearTimeout(retryTimer);
      removeEventListener("online", wake);
      document.removeEventListener("visibilitychange", wake);
      const mine = socket;
      socket = null;
      mine?.close();
    },
    sync,
    /** Tell the others which order is open here. */
    viewing(order) {
      if (order === open) return;
      open = order;
      send({ type: "viewing", order });
    },
  };
}
