// The taps on their way to the server. What is promised:
//
// 1. A tap is stored on disk before the app says that it is safe, with an `action_id` of its own. If it cannot be stored
//    it is sent from memory, and the driver is told to keep the app open.
// 2. It stays until Baton itself has answered for good (2xx, or a 4xx other than 401, 408, 425, 429). It leaves in the
//    same transaction that writes down what the driver has to hear of it.
// 3. The acts of one order are sent one after the other, in the order of tapping; orders do not wait for each other, and
//    nothing waits for a photo.
// 4. One sender at a time for each order, across tabs and the service worker: a Web Lock. Where there is none, or where a
//    request outlived its sender, the server's receipts make a second sending harmless.
// 5. An act goes out with the token of the driver who tapped it, or not at all.
//
// Pages and the service worker run this same code.

import { isBefore, isDue, isRefusalBefore, isSame, nextTurn, record, shown } from "./acts.js";
import { ask, backoffMs, trouble } from "./api.js";
import { change, read, whatFailed } from "./database.js";
import { alone, announced, isBehindAnother, laneOf } from "./lanes.js";
import { shrunk } from "./photo.js";
import { noticeOf, plain, RULES } from "./rules.js";
import * as session from "./session.js";

/** @typedef {import("./types.js").Verb} Verb */
/** @typedef {import("./types.js").Notice} Notice */
/** @typedef {import("./types.js").Problem} Problem */
/** @typedef {import("./database.js").ActRecord} ActRecord */
/** @typedef {import("./rules.js").Final} Final */
/** @typedef {{kind: Verb, order: string, body?: Record<string, any>}} Tap */
/** @typedef {{kind: "photo" | "signature", blob: Blob}} Picture */
/** @typedef {{act: ActRecord, answer: Final, notice: Notice | null}} Settled */
/** @typedef {"acts" | "session" | "notices"} Topic */

const ACT_MS = 15_000;
const PICTURE_MS = 120_000;

/**
 * What can be changed for tests and slow worlds, milliseconds.
 * @typedef {{actMs: number, pictureMs: number, backoff: {firstMs?: number, longestMs?: number}}} Timing
 */

/**
 * @param {{
 *   changed: (topic: Topic) => void,
 *   settled: (settled: Settled) => void,
 *   timing?: Partial<Timing>,
 * }} options `changed`: tell this page and the others that they should look again. `settled`: an act has its answer.
 */
export function createOutbox({ changed, settled, timing = {} }) {
  const { actMs = ACT_MS, pictureMs = PICTURE_MS, backoff = {} } = timing;
  /** Taps that could not be stored, in the order of tapping. @type {ActRecord[]} */
  let unstored = [];
  /** How to take back what the other tabs were told of them. @type {Map<string, () => void>} */
  const announcements = new Map();
  /** What the disk held when it could last be read. @type {ActRecord[]} */
  let stored = [];
  /** It could not be read since, and somebody is shown what it held. */
  let isStale = false;
  /** @type {Map<string, Blob>} */
  const unstoredPictures = new Map();
  /** Answered, but the database could not be told yet: never sent again from here. @type {Map<string, Settled>} */
  const answered = new Map();
  /** When to try again, where that could not be written either. @type {Map<string, Partial<ActRecord>>} */
  const postponed = new Map();
  /** @type {Set<string>} */
  const sending = new Set();
  /** What runs for each lane, and whether it has to look once more. @type {Map<string, {done: Promise<void>, again: boolean, eager: boolean}>} */
  const running = new Map();
  let timer = 0;
  let isClosed = false;
  /** Wakes whoever waits with a lock in hand. @type {Set<() => void>} */
  const sleepers = new Set();

  /**
   * Keep taps, all or none. Resolves when they are safe: on disk (null), or in this page's memory, with the reason.
   * @param {number} driverId
   * @param {Tap} tap
   * @param {Picture[]} [pictures] sent on their own, behind the act
   * @returns {Promise<{storage: "full" | "unavailable" | null, lost: "nothing" | "pictures" | "all"}>} `lost`: what the disk did not take
   */
  async function put(driverId, tap, pictures = []) {
    const now = Date.now();
    const act = record(driverId, "act", tap.kind, tap.order, tap.body ?? {}, now);
    const proofs = pictures.map((picture) => ({
      act: record(driverId, "proof", "proof", tap.order, { kind: picture.kind }, now),
      blob: picture.blob,
    }));
    // Read before the transaction: it would not wait for that.
    const bytes = await Promise.all(proofs.map(({ blob }) => blob.arrayBuffer()));
    const earlier = unstored.filter((one) => one.order === tap.order && one.lane === "act");
    try {
      await store([...earlier, act], proofs, bytes);
      areStored(earlier);
      changed("acts");
      return { storage: null, lost: "nothing" };
    } catch (error) {
      const storage = whatFailed(error);
      act.turn ||= nextTurn([...stored, ...unstored]);
      for (const proof of proofs) {
        proof.act.turn ||= nextTurn([act, ...stored, ...unstored]);
        unstored.push(proof.act);
        unstoredPictures.set(proof.act.action_id, proof.blob);
      }
      try {
        // The picture is what takes room; the act itself may still fit.
        if (!proofs.length) throw error;
        await store([...earlier, act], [], []);
        areStored(earlier);
        changed("acts");
        return { storage, lost: "pictures" };
      } catch {
        if (!unstored.some((one) => isSame(one, act))) {
          announcements.set(act.action_id, await announced(act));
          unstored.push(act);
        }
        changed("acts");
        return { storage, lost: "all" };
      }
    }
  }

  /** @param {ActRecord[]} acts that the disk has taken after all */
  function areStored(acts) {
    unstored = unstored.filter((one) => !acts.includes(one));
    for (const act of acts) announcements.get(act.action_id)?.();
  }

  /**
   * @param {ActRecord[]} acts
   * @param {{act: ActRecord}[]} proofs
   * @param {ArrayBuffer[]} bytes
   */
  async function store(acts, proofs, bytes) {
    await change(["acts", "pictures"], async (tx) => {
      const table = tx.objectStore("acts");
      const there = await table.getAll();
      for (const act of acts) {
        act.turn ||= nextTurn([...there, ...unstored, ...acts]);
        const twin = there.find((one) => isSame(one, act) && !answered.has(one.action_id));
        if (!twin) await table.add({ ...act });
        there.push(act);
      }
      for (const [index, { act }] of proofs.entries()) {
        act.turn ||= nextTurn([...there, ...unstored, ...acts, ...proofs.map((one) => one.act)]);
        await table.add({ ...act });
        const picture = { action_id: act.action_id, bytes: /** @type {ArrayBuffer} */ (bytes[index]), type: "" };
        await tx.objectStore("pictures").put(picture);
      }
    });
  }

  /**
   * Everything that waits, of every driver who used this phone, in the order of tapping.
   * @returns {Promise<ActRecord[]>}
   */
  async function waiting() {
    try {
      stored = await read(["acts"], (tx) => tx.objectStore("acts").getAll());
      if (isStale) {
        isStale = false;
        changed("acts");
      }
    } catch {
      // What was there a moment ago is still there, and is sent from memory; its place in the order is kept.
      isStale = true;
    }
    const ids = new Set(stored.map((act) => act.action_id));
    const kept = stored.map((act) => ({ ...act, ...postponed.get(act.action_id) }));
    const all = [...kept, ...unstored.filter((act) => !ids.has(act.action_id))];
    return all.filter((act) => !answered.has(act.action_id)).sort((a, b) => a.turn - b.turn);
  }

  /**
   * @param {ActRecord} act
   * @param {boolean} isSignedIn
   */
  const shownNow = (act, isSignedIn) => shown(act, isSignedIn, sending.has(act.action_id));

  /**
   * Send what can be sent; resolves when nothing more can be done now. `eager`: the network has just shown a sign of
   * life, so do not wait for the next try's time, unless the server named it.
   * @param {{eager?: boolean}} [how]
   * @returns {Promise<number>} how many acts of the signed-in driver still wait
   */
  async function drain({ eager = false } = {}) {
    if (isClosed) return 0;
    await finish();
    for (const wake of [...sleepers]) if (eager) wake();
    const driver = await session.current();
    const mine = (await waiting()).filter((act) => driver?.token && act.driver_id === driver.driver.id);
    await Promise.all([...new Set(mine.map(laneOf))].map((lane) => run(lane, eager)));
    return (await waiting()).filter((act) => driver?.token && act.driver_id === driver.driver.id).length;
  }

  /**
   * One run at a time for each lane in this page; one that is asked for meanwhile follows it.
   * @param {string} lane
   * @param {boolean} eager
   * @returns {Promise<void>}
   */
  function run(lane, eager) {
    const now = running.get(lane);
    if (now) {
      now.again = true;
      now.eager ||= eager;
      return now.done;
    }
    const mine = { done: Promise.resolve(), again: true, eager };
    mine.done = (async () => {
      try {
        while (mine.again && !isClosed) {
          mine.again = false;
          const isEager = mine.eager;
          mine.eager = false;
          await alone(lane, () => work(lane, isEager));
        }
      } catch (error) {
        console.error("The outbox stumbled; it goes on with the next drain.", error);
      } finally {
        running.delete(lane);
        void schedule();
      }
    })();
    running.set(lane, mine);
    return mine.done;
  }

  /**
   * The lane's acts, one after the other, with its lock in hand.
   * @param {string} lane
   * @param {boolean} eager
   */
  async function work(lane, eager) {
    /** Proofs that had their turn in this run: one that has to wait holds up no other. @type {Set<string>} */
    const passed = new Set();
    while (!isClosed) {
      const next = await nextOf(lane, passed);
      if (!next) return;
      const { act, token } = next;
      if (!isDue(act, eager)) {
        if (lane === "proofs") passed.add(act.action_id);
        else if (act.seq === undefined) await sleep(act);
        else return;
        continue;
      }
      if (lane !== "proofs" && (await isBehindAnother(act, unstored))) return;
      const answer = await send(act, token);
      if (answer.kind === "signed_out") {
        await session.end(token, answer.why);
        changed("session");
        return;
      }
      if (answer.kind === "ok" || answer.kind === "refused") {
        await settle(act, answer);
        if (lane !== "proofs") void run("proofs", false);
        continue;
      }
      await postpone(act, answer.kind === "retry" ? answer : { problem: null, retryAfterMs: null });
      eager = false;
      if (lane === "proofs") passed.add(act.action_id);
      // What only this page knows keeps its place: no other tab may send what was tapped later.
      else if (act.seq !== undefined) return;
    }
  }

  /**
   * Whose turn it is, with the token of the very driver who tapped it.
   * @param {string} lane
   * @param {Set<string>} passed
   * @returns {Promise<{act: ActRecord, token: string} | null>}
   */
  async function nextOf(lane, passed) {
    const driver = await session.current();
    const token = driver?.token;
    if (!driver || !token) return null;
    const mine = (await waiting()).filter((act) => act.driver_id === driver.driver.id);
    const acts = mine.filter((act) => act.lane === "act");
    if (lane !== "proofs") {
      const act = acts.find((one) => `order:${one.order}` === lane);
      return act ? { act, token } : null;
    }
    // A photo of what the server does not know yet would be refused: it comes after the acts that were tapped with it.
    const act = mine.find(
      (one) => one.lane === "proof" && !passed.has(one.action_id) && !acts.some((before) => isBefore(before, one)),
    );
    return act ? { act, token } : null;
  }

  /**
   * @param {ActRecord} act
   * @param {string} token
   */
  async function send(act, token) {
    sending.add(act.action_id);
    changed("acts");
    try {
      const path = `orders/${encodeURIComponent(act.order)}/${RULES[act.kind].path}/`;
      const tapped = { action_id: act.action_id, tapped_at: new Date(act.tapped_at).toISOString() };
      if (act.lane === "act") {
        // `keepalive`: a tab that closes now still lets it go.
        const json = { ...tapped, ...act.body };
        return await ask(path, { method: "POST", token, json, timeoutMs: actMs, keepalive: true });
      }
      const picture = await pictureOf(act).then(shrunk, () => null);
      if (!picture)
        return /** @type {const} */ ({
          kind: "retry",
          problem: trouble("storage", "The picture cannot be read now."),
          retryAfterMs: null,
        });
      const query = new URLSearchParams({
        kind: act.body.kind,
        action_id: act.action_id,
        taken_at: tapped.tapped_at,
      });
      const body = { body: picture, contentType: picture.type };
      return await ask(`${path}?${query}`, { method: "POST", token, ...body, timeoutMs: pictureMs });
    } finally {
      sending.delete(act.action_id);
    }
  }

  /** @param {ActRecord} act */
  async function pictureOf(act) {
    const unkept = unstoredPictures.get(act.action_id);
    if (unkept) return unkept;
    const kept = await read(["pictures"], (tx) => tx.objectStore("pictures").get(act.action_id));
    return new Blob(kept ? [kept.bytes] : []);
  }

  /**
   * The server has answered for good: the act leaves and its notice arrives, both or neither.
   * @param {ActRecord} act
   * @param {Final} answer
   */
  async function settle(act, answer) {
    const done = { act, answer: plain(answer), notice: noticeOf(act, answer, false, Date.now()) };
    answered.set(act.action_id, done);
    unstored = unstored.filter((one) => one.action_id !== act.action_id);
    unstoredPictures.delete(act.action_id);
    postponed.delete(act.action_id);
    announcements.get(act.action_id)?.();
    // Shown in the same breath; if the page dies before it is written down, the act is sent again and this comes again.
    settled(done);
    changed("acts");
    await finish();
  }

  /** Write down what was answered while the database could not be written. */
  async function finish() {
    for (const [id, done] of answered) {
      try {
        await change(["acts", "pictures", "notices"], async (tx) => {
          const key = await tx.objectStore("acts").index("action_id").getKey(id);
          if (key !== undefined) await tx.objectStore("acts").delete(key);
          await tx.objectStore("pictures").delete(id);
          if (!done.notice) return;
          const follows = (await tx.objectStore("notices").getAll()).some((one) => isRefusalBefore(one, done.act));
          if (follows && done.notice.tone === "bad") done.notice.data.follows = true;
          await tx.objectStore("notices").put({ ...done.notice, driver_id: done.act.driver_id });
        });
        answered.delete(id);
        changed("notices");
        changed("acts");
      } catch {
        // Kept in `answered`: tried again with the next drain. If the page goes first, the act is sent again and the
        // server's receipt gives the same answer.
      }
    }
  }

  /**
   * @param {ActRecord} act
   * @param {{problem: Problem | null, retryAfterMs: number | null}} answer
   */
  async function postpone(act, { problem, retryAfterMs }) {
    const now = Date.now();
    const wait = Math.max(retryAfterMs ?? 0, 250, backoffMs(act.tries, backoff));
    const later = {
      tries: act.tries + 1,
      retry_at: now + wait,
      retry_since: now,
      firm: retryAfterMs !== null,
      problem,
    };
    if (act.seq === undefined) {
      Object.assign(act, later);
    } else {
      try {
        await change(["acts"], async (tx) => {
          const key = await tx.objectStore("acts").index("action_id").getKey(act.action_id);
          if (key !== undefined) await tx.objectStore("acts").put({ ...act, ...later });
        });
        postponed.delete(act.action_id);
      } catch {
        postponed.set(act.action_id, later);
      }
    }
    changed("acts");
  }

  /** @param {ActRecord} act */
  function sleep(act) {
    return new Promise((resolve) => {
      const wake = () => {
        sleepers.delete(wake);
        clearTimeout(clock);
        act.retry_at = act.firm ? act.retry_at : 0;
        resolve(undefined);
      };
      const clock = setTimeout(wake, Math.min(Math.max(act.retry_at - Date.now(), 50), 30_000));
      sleepers.add(wake);
    });
  }

  /** Come back when the next try is due, for whatever is not being looked after right now. */
  async function schedule() {
    const driver = await session.current();
    const left = (await waiting()).filter(
      (act) => driver?.token && act.driver_id === driver.driver.id && !running.has(laneOf(act)),
    );
    clearTimeout(timer);
    if (isClosed || !left.length) return;
    const soonest = Math.min(...left.map((act) => act.retry_at)) - Date.now();
    timer = Number(setTimeout(() => void drain(), Math.min(Math.max(soonest, 250), 30_000)));
  }

  function close() {
    isClosed = true;
    clearTimeout(timer);
    for (const wake of [...sleepers]) wake();
  }

  return { put, waiting, shown: shownNow, drain, close };
}
