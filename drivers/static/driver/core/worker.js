// The service worker's work; templates/driver/sw.js is only its list of files. It keeps the shell, so that the app opens
// without network; sends what waits in the outbox when the app is closed, by the same code as the page; and shows push
// messages. It never touches the API: what the server said last is kept in IndexedDB, marked "as of", not in a cache.

import { createOutbox } from "./outbox.js";

/** @typedef {{build: string, files: string[], shell: string}} Shell `files`: addresses that make up the app, the shell among them */

const PREFIX = "baton-driver-";
/**
 * TypeScript knows the names of pages or those of workers, not both in one program.
 * @typedef {any} Scope
 * @typedef {any} WorkerEvent
 */
/** The tag of Background Sync, as the page registers it. */
const OUTBOX = "outbox";
/** The app as a notification says it, when the push itself does not. */
const TITLE = "Baton";

/**
 * @param {Scope} self
 * @param {Shell} shell
 */
export function serve(self, { build, files, shell }) {
  const name = PREFIX + build;
  const own = new Set(files.map((file) => new URL(file, self.location.href).href));
  const channel = new BroadcastChannel("baton-driver");
  const outbox = createOutbox({
    changed: (topic) => channel.postMessage({ topic }),
    settled: (settled) => channel.postMessage({ topic: "settled", settled }),
  });

  self.addEventListener("install", (/** @type {WorkerEvent} */ event) => {
    // All or nothing: with one file missing the old build stays.
    event.waitUntil(caches.open(name).then((cache) => cache.addAll(files.map(fresh))));
  });

  self.addEventListener("activate", (/** @type {WorkerEvent} */ event) => {
    event.waitUntil(
      (async () => {
        const old = (await caches.keys()).filter((key) => key.startsWith(PREFIX) && key !== name);
        await Promise.all(old.map((key) => caches.delete(key)));
        await self.clients.claim();
      })(),
    );
  });

  self.addEventListener("fetch", (/** @type {WorkerEvent} */ event) => {
    const { request } = event;
    if (request.method !== "GET") return;
    if (request.mode === "navigate") event.respondWith(kept(shell, request));
    else if (own.has(request.url)) event.respondWith(kept(request.url, request));
  });

  /**
   * From this build's files; from the network when they are not there (storage cleared).
   * @param {string} address
   * @param {Request} request
   */
  async function kept(address, request) {
    const cache = await caches.open(name);
    return (await cache.match(address)) ?? fetch(request);
  }

  self.addEventListener("message", (/** @type {WorkerEvent} */ event) => {
    // The driver has agreed to the update; the page asks only while no order is active.
    if (event.data?.type === "activate") event.waitUntil(self.skipWaiting());
    if (event.data?.type === "build") event.ports[0]?.postMessage(build);
  });

  self.addEventListener("sync", (/** @type {WorkerEvent} */ event) => {
    if (event.tag === OUTBOX) event.waitUntil(drained());
  });

  async function drained() {
    // A refusal to end well makes the browser try again later.
    if ((await outbox.drain({ eager: true })) > 0) throw new Error("Taps still wait for the network.");
  }

  self.addEventListener("push", (/** @type {WorkerEvent} */ event) => {
    /** @type {any} */
    let told = {};
    try {
      told = event.data?.json() ?? {};
    } catch {
      // Shown without words: browsers punish a push that shows nothing.
    }
    const shown = self.registration.showNotification(told.title ?? TITLE, {
      body: told.body ?? "",
      tag: told.tag ?? (told.order ? `order:${told.order}` : "baton"),
      data: { order: told.order ?? null },
      lang: told.lang ?? "",
    });
    // A sign of life of the network, too.
    event.waitUntil(Promise.all([shown, outbox.drain({ eager: true })]));
  });

  self.addEventListener("notificationclick", (/** @type {WorkerEvent} */ event) => {
    event.notification.close();
    event.waitUntil(opened());
  });

  async function opened() {
    /** @type {any[]} */
    const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const page = pages.find((one) => new URL(one.url).pathname.startsWith(shell));
    if (page) await page.focus();
    else await self.clients.openWindow(shell);
  }
}

/**
 * Hashed names never change what they hold; the others are asked for anew.
 * @param {string} file
 */
function fresh(file) {
  return new Request(file, /\.[0-9a-f]{12}\.\w+$/.test(file) ? {} : { cache: "reload" });
}
