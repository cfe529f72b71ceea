/** The driver app starts here: the core says what is true, the screens show it. */

import { createApp } from "./core/app.js";
import { alertOf, unlock } from "./screens/alerts.js";
import { draw } from "./screens/dom.js";
import { apart, distance, money, ofPhone, speak, t } from "./screens/i18n.js";
import { current, showTheme } from "./screens/prefs.js";
import { routeOf } from "./screens/scene.js";
import { shell } from "./screens/shell.js";
import { LINGER_MS, REST_MS, settle } from "./screens/slots.js";

/** @typedef {import("./core/types.js").State} State */
/** @typedef {import("./screens/scene.js").Scene} Scene */
/** @typedef {import("./screens/slots.js").Slot} Slot */

/** How long the network may be away before it is said aloud, in milliseconds: tunnels are short. */
const SAY_LINK_MS = 3_000;

const root = /** @type {HTMLElement} */ (document.getElementById("app"));

async function start() {
  showTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  const app = createApp();
  await speak(current().language || ofPhone());
  new Stage(app).begin();
}

/** Draws the scene whenever something changed, and does what belongs to no screen: sound, announcements, focus. */
class Stage {
  /** @param {import("./core/types.js").App} app */
  constructor(app) {
    this.app = app;
    this.before = app.state();
    this.drawing = false;
    /** @type {Slot[]} */
    this.slots = [];
    /** @type {Map<string, any>} */
    this.drafts = new Map();
    this.route = routeOf(location.hash);
    /** Offers and messages that have been announced. @type {Set<string>} */
    this.rung = new Set();
    this.fresh = true;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.settling = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.linkSaid = undefined;
    this.lost = false;
    this.voice = document.createElement("div");
    this.voice.className = "sr";
    this.voice.setAttribute("aria-live", "polite");
    document.body.append(this.voice);
  }

  begin() {
    addEventListener("hashchange", () => this.arrive());
    // Any first tap opens the way for sound.
    addEventListener("pointerdown", unlock, { once: true });
    this.app.subscribe(() => this.redraw());
    this.redraw();
  }

  redraw() {
    if (this.drawing) return;
    this.drawing = true;
    queueMicrotask(() => {
      this.drawing = false;
      this.show();
    });
  }

  show() {
    const state = this.app.state();
    if (state.driver?.id !== this.before.driver?.id && this.before.driver) this.forget();
    this.slots = settle(this.slots, state, Date.now());
    this.tidyLater();
    this.follow(state);
    draw(root, shell(this.scene(state)));
    document.title = title(state);
    if (state.phase === "ready") {
      this.ring(state);
      this.tellSeen();
      this.sayLink(state);
    }
    if (state.phase !== this.before.phase) this.focusHeading();
    this.before = state;
  }

  /** @param {State} state @returns {Scene} */
  scene(state) {
    return {
      state,
      actions: this.app.actions,
      route: this.route,
      slots: this.slots,
      now: Date.now() + state.clockOffsetMs,
      redraw: () => this.redraw(),
      go: (address) => location.assign(address),
      say: (text) => this.say(text),
      draft: (key, start) => {
        if (!this.drafts.has(key)) this.drafts.set(key, start);
        return this.drafts.get(key);
      },
      drop: (key) => this.drafts.delete(key),
      clearSlot: (order) => {
        this.slots = this.slots.filter((slot) => slot.order !== order || slot.state === "open");
        this.redraw();
      },
    };
  }

  /** Another driver sees nothing of what this one was about to do. */
  forget() {
    this.drafts.clear();
    this.slots = [];
    this.rung.clear();
    this.fresh = true;
  }

  /** The address changed: another screen, read from its top. */
  arrive() {
    this.route = routeOf(location.hash);
    for (const key of ["today", "check", "settings", "declining"]) this.drafts.delete(key);
    // Whoever comes back finds a tidy feed.
    this.slots = this.slots.filter((slot) => slot.state === "open");
    this.show();
    scrollTo(0, 0);
    this.focusHeading();
  }

  focusHeading() {
    queueMicrotask(() => document.querySelector("h1")?.focus({ preventScroll: true }));
  }

  /** An order that was just won is what the driver wants to see; one whose screen it was is over. @param {State} state */
  follow(state) {
    if (state.phase !== "ready") return;
    const held = new Set(this.before.active.map((order) => order.id));
    const won = state.active.find(
      (order) =>
        !held.has(order.id) &&
        this.before.offers.some((offer) => offer.order === order.id && offer.act?.kind === "accept"),
    );
    if (won && this.route.name === "offers") {
      location.hash = `#/order/${won.id}`;
      return;
    }
    const shown = this.route.name === "order" && this.route.order;
    if (shown && held.has(shown) && !state.active.some((order) => order.id === shown)) {
      this.drafts.delete(`deliver/${shown}`);
      location.hash = state.active.length > 0 ? "#/orders" : "#/offers";
    }
  }

  /** Places in the feed that only wait for their time need a drawing then. */
  tidyLater() {
    clearTimeout(this.settling);
    const now = Date.now();
    const next = this.slots
      .filter((slot) => slot.state !== "open")
      .flatMap((slot) => [slot.goneAt + REST_MS, slot.goneAt + LINGER_MS])
      .filter((at) => at > now);
    if (next.length > 0) this.settling = setTimeout(() => this.redraw(), Math.min(...next) - now + 20);
  }

  /** Sound, vibration and one sentence for what is new; what was there when the app opened is not new. @param {State} state */
  ring(state) {
    const offers = state.offers.filter((offer) => !this.rung.has(offer.order));
    const messages = state.messages.filter((message) => !message.read_at && !this.rung.has(`m${message.id}`));
    for (const offer of offers) this.rung.add(offer.order);
    for (const message of messages) this.rung.add(`m${message.id}`);
    if (state.asOf === null) return;
    const quiet = this.fresh;
    this.fresh = false;
    if (offers[0] && state.duty.wanted) {
      alertOf("offer");
      const { payout, currency, distance_m, pickup } = offers[0];
      this.say(
        offers.length > 1
          ? t("offers.new_many", { count: offers.length })
          : t("offers.new", {
              payout: money(payout, currency),
              distance: distance(distance_m),
              address: apart(pickup.address),
            }),
      );
    } else if (messages.length > 0 && !quiet) alertOf("message");
  }

  /** The server learns which cards have been looked at; the core tells each once. */
  tellSeen() {
    if (this.route.name !== "offers" || document.visibilityState !== "visible") return;
    for (const slot of this.slots) if (slot.state === "open") this.app.actions.seen(slot.order);
  }

  /** Lost or found again, said once and only when it lasts. @param {State} state */
  sayLink(state) {
    const lost = state.link.state !== "live";
    if (lost === this.lost) {
      clearTimeout(this.linkSaid);
      this.linkSaid = undefined;
      return;
    }
    this.linkSaid ??= setTimeout(() => {
      this.linkSaid = undefined;
      const link = this.app.state().link.state;
      if ((link !== "live") === this.lost) return;
      this.lost = !this.lost;
      this.say(t(`link.${link}`));
    }, SAY_LINK_MS);
  }

  /** @param {string} text */
  say(text) {
    // The same sentence twice is no change, and would be kept silent.
    this.voice.textContent = this.voice.textContent === text ? `${text}\u200b` : text;
  }
}

/** @param {State} state */
function title(state) {
  const count = state.phase === "ready" ? state.offers.filter((offer) => !offer.act).length : 0;
  return count > 0 ? `(${count}) ${t("app")}` : t("app");
}

start().catch((error) => {
  console.error(error);
  root.textContent =
    t("start.failed") === "start.failed" ? "The app could not start. Close it and open it again." : t("start.failed");
});
