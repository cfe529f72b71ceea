// The panel of the order or driver that is open. An order: its facts, its customer on request, its story, who else has it
// open; what is read from the server is read again whenever the order changes.

import { actButton, setWhy } from "./buttons.js";
import { h, refill, say, ticking } from "./dom.js";
import { openDriver } from "./driver.js";
import { offersTable, timeline, whyTable } from "./explain.js";
import { clock, label, moment, ms, plural, price, span, statusWord, where } from "./format.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./store.js").Order} Order
 * @typedef {import("./acts.js").Acts} Acts
 * @typedef {import("./acts.js").Act} Act
 * @typedef {import("./explain.js").Story} Story
 * @typedef {{
 *   store: Store, api: import("./api.js").Api, acts: Acts, settings: import("./settings.js").Settings,
 *   rows: ReturnType<typeof import("./rows.js").createRows>, onClose: () => void,
 * }} Context
 */

/** @type {Act[]} */
const ORDER_ACTS = ["assign", "reoffer", "extend", "unassign", "pin", "unpin", "cancel"];
/** Pushes of one order come in bursts: the story is read once they are over. */
const STORY_WAIT_MS = 250;

/** @param {HTMLElement} element @param {Context} context */
export function mountPanel(element, context) {
  const { store, api, acts, settings, rows, onClose } = context;
  /** @type {string | null} */
  let shownOrder = null;
  /** @type {number | null} */
  let shownDriver = null;
  let shownVersion = 0;
  let shownOffers = "";
  let storyTimer = 0;
  let asked = 0;
  /** @type {ReturnType<typeof openDriver> | null} */
  let driver = null;
  /** @type {Array<[HTMLElement, Act]>} */
  let buttons = [];
  const nameOf = rows.nameOf;

  const title = h("h2", { tabindex: "-1" });
  const badge = h("span", { class: "badge" });
  const pin = h("span", { class: "tag pin", title: "Chosen by hand: auto-assign leaves it alone" }, "pinned");
  const close = h("button", { type: "button", class: "close", "aria-label": "Close panel", onclick: onClose }, "×");
  const eyes = h("p", { class: "eyes", role: "status" });
  const tools = h("div", { class: "buttons acts" });
  const facts = h("dl", { class: "facts" });
  // What changes without a new version of the order is written where it stands: the focus may be beside it.
  const offers = h("span");
  const holder = h("button", {
    type: "button",
    class: "link",
    onclick: () => store.select({ driver: (shownOrder && store.orders.get(shownOrder)?.driver) || null }),
  });
  const holderState = h("span", { class: "quiet" });
  const customer = h("div", { class: "customer" });
  const story = h("div", { class: "story" });
  const body = h("div", { class: "panel-body", tabindex: "0", role: "region", "aria-label": "Details" });
  element.append(h("header", null, h("div", { class: "panel-title" }, title, badge, pin), close), body);

  /** @param {string} name @param {string | Node | null | undefined | false} value */
  const fact = (name, value) => (value ? [h("dt", null, name), h("dd", null, value)] : []);

  /** @param {Order} order */
  function drawOrder(order) {
    shownVersion = order.version;
    say(title, label(order));
    say(badge, statusWord(order));
    badge.className = `badge ${order.expired ? "grave" : `status-${order.status}`}`;
    badge.hidden = false;
    pin.hidden = !order.pinned;
    refill(
      facts,
      fact("Pickup", where(order.pickup)),
      fact("Drop-off", where(order.dropoff)),
      fact("Driver", order.driver !== null && h("span", null, holder, " ", holderState)),
      order.status === "pending" &&
        !order.expired &&
        !order.pinned &&
        fact("Auto-assign", ticking(ms(order.auto_assign_at), "until")),
      order.status === "pending" && !order.expired && fact("Expires", ticking(ms(order.expires_at), "until")),
      order.expired && fact("Expired", timeAgo(order.expires_at)),
      order.offers && order.status === "pending" && fact("Offers", offers),
      fact("Vehicle", order.vehicle || "any"),
      order.priority > 0 && fact("Priority", String(order.priority)),
      fact("Payout", price(order)),
      fact("Placed", timeAgo(order.created_at)),
      fact("Assigned", order.assigned_at && timeAgo(order.assigned_at)),
      fact("Picked up", order.picked_up_at && timeAgo(order.picked_up_at)),
      fact("Delivered", order.delivered_at && timeAgo(order.delivered_at)),
      fact("Cancelled", order.cancelled_at && timeAgo(order.cancelled_at)),
      fact("Failed", order.failed_at && timeAgo(order.failed_at)),
    );
    drawOffers(order);
    tick();
    gate();
  }

  /** @param {Order} order @returns {boolean} whether it says something else now */
  function drawOffers({ offers: counts, status }) {
    const said =
      counts && status === "pending"
        ? `${plural(counts.open, "open one", "open")}, ${counts.declined} declined, ${counts.made} made`
        : "";
    const isNew = said !== shownOffers;
    shownOffers = said;
    say(offers, said);
    return isNew;
  }

  /** @param {Order} order */
  function drawHolder({ driver: id }) {
    if (id === null) return;
    const known = store.drivers.get(id);
    say(holder, nameOf(id));
    say(
      holderState,
      known
        ? [rows.stateOf(known).word, `holds ${known.load ?? 0}/${known.capacity ?? 1}`].filter(Boolean).join(", ")
        : "",
    );
  }

  /** @param {string} text */
  const timeAgo = (text) => {
    const at = h("span", { title: moment(text) }, clock(text, store.now()), " ");
    at.append(h("span", { class: "quiet" }, "(", ticking(ms(text), "since"), " ago)"));
    return at;
  };

  /** @param {string} id */
  function openOrder(id) {
    shownOrder = id;
    shownDriver = null;
    shownVersion = 0;
    refill(story);
    buttons = ORDER_ACTS.flatMap((act) => {
      const button = actButton(acts, act, () => acts.seen([id]));
      return button ? [/** @type {[HTMLElement, Act]} */ ([button, act])] : [];
    });
    refill(
      tools,
      buttons.map(([button]) => button),
    );
    refill(customer, settings.can.contacts && contactButton(id));
    refill(
      body,
      eyes,
      tools,
      facts,
      customer,
      story,
      h("p", { class: "more" }, h("a", { href: settings.urls.order.replace("ID", id) }, "Open its page")),
    );
    const order = store.orders.get(id);
    if (order) drawOrder(order);
    else {
      say(title, label({ id }));
      badge.hidden = pin.hidden = true;
      refill(facts);
    }
    drawEyes();
    void loadStory();
  }

  /** @param {string} id */
  function contactButton(id) {
    return h(
      "button",
      {
        type: "button",
        class: "show-contact",
        title: "That you looked goes on record",
        onclick: async () => {
          try {
            const { contact } = await api.get(`orders/${id}/`);
            if (shownOrder !== id) return;
            refill(
              customer,
              contact
                ? h(
                    "dl",
                    { class: "facts" },
                    fact("Customer", contact.name),
                    fact("Phone", h("a", { href: `tel:${contact.phone}` }, contact.phone)),
                    fact("Notes", contact.notes),
                  )
                : h("p", { class: "quiet" }, "The customer's data is erased already."),
            );
          } catch (/** @type {any} */ error) {
            refill(customer, contactButton(id), h("p", { class: "refused" }, error.message));
          }
        },
      },
      "Show customer ",
      h("span", { class: "quiet" }, "(goes on record)"),
    );
  }

  function rereadStory() {
    clearTimeout(storyTimer);
    storyTimer = setTimeout(() => void loadStory(), STORY_WAIT_MS);
  }

  async function loadStory() {
    const id = shownOrder;
    if (!id) return;
    asked += 1;
    const mine = asked;
    try {
      /** @type {Story} */
      const told = await api.get(`orders/${id}/story/`);
      if (mine !== asked || shownOrder !== id) return;
      store.apply({ type: "order", order: told.order });
      drawStory(told);
    } catch (/** @type {any} */ error) {
      if (mine === asked && shownOrder === id)
        refill(
          story,
          h("p", { class: "refused" }, `Its history could not be read. ${error.message}`),
          h("button", { type: "button", onclick: () => void loadStory() }, "Try again"),
        );
    }
  }

  /** @param {Story} told */
  function drawStory(told) {
    const now = store.now();
    /** @type {Map<number, string>} */
    const names = new Map(told.offers.map((offer) => [offer.driver, offer.name]));
    for (const one of told.choice?.candidates ?? []) names.set(one.driver, one.name);
    /** @param {number} id */
    const called = (id) => names.get(id) ?? nameOf(id);
    const isOpen = new Set(
      [...story.querySelectorAll("details")].filter((one) => one.open).map((one) => one.className),
    );
    const first = story.childElementCount === 0;
    const focused = story.contains(document.activeElement)
      ? document.activeElement?.closest("details")?.className
      : null;
    /** @param {string} name @param {string} heading @param {Node | null} content @param {boolean} open */
    const part = (name, heading, content, open) =>
      content &&
      h("details", { class: name, open: first ? open : isOpen.has(name) }, h("summary", null, heading), content);
    const answered = told.offers.filter((offer) => offer.answered_at).length;
    refill(
      story,
      part("timeline-part", "Timeline", timeline(told.events, called, now), true),
      part("why-part", "Why this driver?", told.choice ? whyTable(told.choice) : null, false),
      part(
        "offers-part",
        `Offers: ${told.offers.length}, answered: ${answered}`,
        told.offers.length ? offersTable(told.offers, now) : null,
        false,
      ),
    );
    if (focused) /** @type {HTMLElement | null} */ (story.querySelector(`details.${focused} summary`))?.focus();
  }

  function drawEyes() {
    const people = shownOrder ? (store.viewers.get(shownOrder) ?? []) : [];
    const others = people.filter((person) => person.id !== settings.user.id);
    eyes.hidden = others.length === 0;
    say(
      eyes,
      others.length
        ? `${others.map((person) => person.name).join(", ")} ${others.length === 1 ? "has" : "have"} this order open, too.`
        : "",
    );
  }

  /** Which buttons can be pressed now, and why not. */
  function gate() {
    if (!shownOrder) return;
    const seen = acts.seen([shownOrder]);
    const order = store.orders.get(shownOrder);
    for (const [button, act] of buttons) {
      setWhy(button, acts.why(act, seen));
      if (act === "pin" || act === "unpin")
        button.hidden = order?.status !== "pending" || Boolean(order.pinned) === (act === "pin");
      const verb = button.querySelector(".verb");
      if (act === "assign" && verb) say(verb, order?.status === "assigned" ? "Reassign" : "Assign");
    }
  }

  function tick() {
    const now = store.now();
    for (const time of /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll(".ticks"))) {
      const at = Number(time.dataset.at);
      say(time, time.dataset.way === "since" ? span(now - at) : at <= now ? "now" : span(at - now));
    }
    const order = shownOrder === null ? undefined : store.orders.get(shownOrder);
    if (order) drawHolder(order);
    if (shownDriver !== null) driver?.draw();
  }

  /** @param {number} id */
  function showDriver(id) {
    shownOrder = null;
    shownDriver = id;
    badge.hidden = pin.hidden = true;
    driver = openDriver(body, id, {
      store,
      api,
      acts,
      rows,
      isShown: (one) => shownDriver === one,
      onName: (name) => say(title, name),
    });
  }

  store.subscribe((change) => {
    const { selection } = store;
    if (selection.order !== shownOrder || selection.driver !== shownDriver) {
      element.hidden = selection.order === null && selection.driver === null;
      if (selection.order !== null) openOrder(selection.order);
      else if (selection.driver !== null) showDriver(selection.driver);
      else {
        shownOrder = shownDriver = null;
        refill(body);
      }
      return;
    }
    if (shownOrder !== null) {
      const fresh = store.orders.get(shownOrder);
      // Not in a new snapshot, which has only so many: its story brings it back as it is now.
      if (!fresh && change.all) rereadStory();
      if (fresh && (fresh.version !== shownVersion || change.all)) {
        drawOrder(fresh);
        rereadStory();
      } else if (fresh) {
        if (change.orders.has(shownOrder) && drawOffers(fresh)) {
          drawOrder(fresh);
          rereadStory();
        }
        if (fresh.driver !== null && change.drivers.has(fresh.driver)) drawHolder(fresh);
      }
      if (change.viewers || change.all) drawEyes();
      if (change.link || change.selection || change.orders.has(shownOrder)) gate();
    } else if (shownDriver !== null) {
      if (change.all || change.orders.size) driver?.drawOrders();
      if (change.all || change.drivers.has(shownDriver)) driver?.draw();
      else if (change.link || change.selection) driver?.gate();
    }
  });

  return {
    tick,
    /** What no push tells of may have changed: messages, for one. */
    reread: () => void driver?.read(),
    /** Put the focus into the panel. */
    focus: () => title.focus(),
  };
}
