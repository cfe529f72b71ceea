// The service worker from the page's side: registered, its updates offered and never forced, Background Sync asked for.

const ADDRESS = "/sw.js";
const SCOPE = "/driver/";
const LOOK_MS = 3600_000;

/** @param {{changed: () => void}} options */
export function createUpdates({ changed }) {
  /** @type {ServiceWorkerRegistration | null} */
  let registration = null;
  let isReady = false;
  let isAsked = false;
  let timer = 0;

  async function start() {
    if (!("serviceWorker" in navigator) || !location.pathname.startsWith(SCOPE)) return;
    // The first worker of all takes over without ado; a later one means that this page is the old build.
    const hadOne = Boolean(navigator.serviceWorker.controller);
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      if (hadOne || isAsked) location.reload();
    });
    try {
      registration = await navigator.serviceWorker.register(ADDRESS, {
        scope: SCOPE,
        type: "module",
        updateViaCache: "none",
      });
    } catch {
      // Without it the app works, but does not open without network.
      return;
    }
    registration.addEventListener("updatefound", look);
    look();
    timer = Number(setInterval(() => void check(), LOOK_MS));
  }

  function look() {
    const { waiting, installing } = registration ?? {};
    installing?.addEventListener("statechange", look);
    if (waiting && navigator.serviceWorker.controller && !isReady) {
      isReady = true;
      changed();
    }
  }

  async function check() {
    try {
      await registration?.update();
    } catch {
      // No network.
    }
  }

  /** The waiting build takes over, and every tab loads it. */
  function apply() {
    isAsked = true;
    registration?.waiting?.postMessage({ type: "activate" });
  }

  /** Let the browser drain the outbox when there is network, also without this page. */
  async function askForSync() {
    try {
      const manager = /** @type {any} */ (registration)?.sync;
      await manager?.register("outbox");
    } catch {
      // Not allowed, or not here: the page drains by itself.
    }
  }

  /** @returns {Promise<string | null>} the build of the worker in charge */
  function build() {
    const worker = registration?.active;
    if (!worker) return Promise.resolve(null);
    return new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = (event) => resolve(event.data);
      setTimeout(resolve, 1000, null);
      worker.postMessage({ type: "build" }, [port2]);
    });
  }

  /** @returns {"none" | "installing" | "waiting" | "active"} */
  function state() {
    if (registration?.waiting) return "waiting";
    if (registration?.active) return "active";
    return registration?.installing ? "installing" : "none";
  }

  return {
    start,
    check,
    apply,
    askForSync,
    build,
    state,
    isReady: () => isReady,
    registration: () => registration,
    close: () => clearInterval(timer),
  };
}
