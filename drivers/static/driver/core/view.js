// Everything that is known as the one snapshot that the screens show.

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Act} Act */
/** @typedef {import("./database.js").ActRecord} ActRecord */

/**
 * @param {{
 *   isStarted: boolean, record: import("./database.js").SessionRecord | null, confirmed: boolean | null,
 *   link: State["link"], clock: ReturnType<typeof import("./clock.js").createClock>,
 *   feed: Pick<ReturnType<typeof import("./feed.js").createFeed>, "offers" | "held" | "asOf">, waiting: ActRecord[],
 *   shown: (act: ActRecord, isSignedIn: boolean) => Act, notices: State["notices"], position: State["position"],
 *   geolocation: State["geolocation"], messages: State["messages"], storage: State["storage"], updateReady: boolean,
 * }} from
 * @returns {State}
 */
export function view({ isStarted, record, clock, feed, waiting, ...from }) {
  const isSignedIn = Boolean(record?.token);
  const mine = waiting.filter((act) => act.driver_id === record?.driver.id).map((act) => from.shown(act, isSignedIn));
  /** Newest last wins. @type {Map<string, Act>} */
  const acts = new Map();
  for (const act of mine) if (act.kind !== "proof") acts.set(act.order, act);
  const now = clock.serverNow();
  const offers = feed
    .offers()
    .map((offer) => ({ ...offer, act: acts.get(offer.order) ?? null }))
    .filter(({ act, expires_at }) => act?.kind !== "decline" && (act !== null || Date.parse(expires_at) > now));
  return Object.freeze({
    phase: !isStarted ? "starting" : isSignedIn ? "ready" : "signed_out",
    signedOutWhy: isSignedIn ? null : (record?.why ?? null),
    driver: isSignedIn ? (record?.driver ?? null) : null,
    kept: record && !isSignedIn && mine.length ? { driver: record.driver.username, count: mine.length } : null,
    duty: { wanted: record?.wanted ?? false, confirmed: from.confirmed },
    link: from.link,
    clockOffsetMs: clock.offsetMs(),
    asOf: feed.asOf(),
    offers,
    active: feed.held().map((order) => ({ ...order, act: acts.get(order.id) ?? null })),
    waiting: mine,
    notices: from.notices,
    position: from.position,
    geolocation: from.geolocation,
    messages: from.messages,
    storage: from.storage,
    updateReady: from.updateReady,
  });
}
