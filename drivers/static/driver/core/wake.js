// The screen stays on while on duty. Browsers let go of the lock whenever the page is hidden, and refuse it on a low
// battery: asked again each time the page comes back, and never needed by anything else.

export function createWake() {
  let isWanted = false;
  /** @type {WakeLockSentinel | null} */
  let lock = null;
  const look = () => void settle();
  document.addEventListener("visibilitychange", look);

  async function settle() {
    if (!("wakeLock" in navigator)) return;
    try {
      if (isWanted && !lock && document.visibilityState === "visible") {
        const got = await navigator.wakeLock.request("screen");
        got.addEventListener("release", () => {
          if (lock === got) lock = null;
        });
        lock = got;
        if (!isWanted) await got.release();
      } else if (!isWanted && lock) {
        await lock.release();
      }
    } catch {
      // Low battery, or the browser would not: the screen goes dark, nothing else happens.
    }
  }

  /** @param {boolean} wanted */
  function want(wanted) {
    if (wanted === isWanted) return;
    isWanted = wanted;
    void settle();
  }

  function close() {
    want(false);
    document.removeEventListener("visibilitychange", look);
  }

  /** @returns {"held" | "released" | "unsupported"} */
  const state = () => ("wakeLock" in navigator ? (lock ? "held" : "released") : "unsupported");

  return { want, state, close };
}
