// The server's time, as far as this phone can tell: its own clock plus an offset measured with every answer.

/** A measurement is believed for so long, unless a better one comes. */
const FRESH_MS = 5 * 60_000;

export function createClock() {
  /** @type {{offsetMs: number, roundTripMs: number, at: number} | null} */
  let best = null;

  /**
   * An answer with the server's time. It was written somewhere between asking and hearing.
   * @param {string | undefined} serverTime
   * @param {number} sentAt
   * @param {number} heardAt
   */
  function heard(serverTime, sentAt, heardAt) {
    const server = Date.parse(serverTime ?? "");
    const roundTripMs = heardAt - sentAt;
    if (Number.isNaN(server) || roundTripMs < 0) return;
    const offsetMs = Math.round(server - sentAt - roundTripMs / 2);
    const isBetter = !best || roundTripMs <= best.roundTripMs || heardAt - best.at > FRESH_MS;
    // Further apart than both could be wrong: somebody has set the phone's clock.
    const isMoved = best && Math.abs(offsetMs - best.offsetMs) > roundTripMs / 2 + best.roundTripMs / 2 + 50;
    if (isBetter || isMoved) best = { offsetMs, roundTripMs, at: heardAt };
  }

  return {
    heard,
    offsetMs: () => best?.offsetMs ?? 0,
    isKnown: () => best !== null,
    serverNow: () => Date.now() + (best?.offsetMs ?? 0),
  };
}
