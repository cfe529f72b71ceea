// The dispatcher's board: wires the store, the live line, what is drawn and what can be done. Runs once, on /admin/board/.

import { createActs } from "./acts.js";
import { createApi } from "./api.js";
import { askWhom } from "./assign.js";
import { mountBulk } from "./bulk.js";
import { createDialogs } from "./dialogs.js";
import { listenToKeys, showHelp } from "./keys.js";
import { buildLayout, noMap } from "./layout.js";
import { createLink } from "./link.js";
import { mountLists } from "./lists.js";
import { mountPanel } from "./panel.js";
import { readSettings } from "./settings.js";
import { createStore } from "./store.js";
import { mountStrip } from "./strip.js";
import { createToasts } from "./toasts.js";

/** Without an answer of the server for so long, the map comes first. */
const LISTS_MS = 5000;

const settings = readSettings();
const root = /** @type {HTMLElement} */ (document.getElementById("board"));
const store = createStore();
const api = createApi(settings.urls.api);
const parts = buildLayout(root);

/** Orders that the board was not sent and somebody wants: asked for once per snapshot. @type {Set<string>} */
const missing = new Set();

/** @param {string} order */
function fetchOrder(order) {
  if (missing.has(order)) return;
  missing.add(order);
  api
    .get(`orders/${order}/story/`)
    .then((told) => store.apply({ type: "order", order: told.order }))
    .catch(() => setTimeout(() => missing.delete(order), 10_000));
}

// Before the lists hear of it: they ask for what a snapshot did not bring.
store.subscribe((change) => {
  if (change.all) missing.clear();
});
const lists = mountLists(parts.lists, {
  store,
  liveSeconds: settings.live_seconds,
  user: settings.user.id,
  onMissing: fetchOrder,
});
const focusLists = () => lists.focusSomething();
const toasts = createToasts(parts.notices, { store, nameOf: lists.rows.nameOf, onLeave: focusLists });
const acts = createActs({ store, api, can: settings.can, onOutcome, onAsk: ask });
toasts.use(acts);
const dialogs = createDialogs(root, { acts: () => acts });

/** @param {import("./acts.js").Outcome} outcome */
function onOutcome(outcome) {
  toasts.tell(outcome);
  panel.reread();
}

/** What an act needs to be asked is asked; the rest is done at once, and can be undone. @type {typeof acts.ask} */
function ask(act, rows) {
  if (act === "assign" || act === "reassign") askWhom(root, { store, api, acts }, rows);
  else if (act === "cancel") dialogs.cancel(rows);
  else if (act === "extend") dialogs.extend(rows);
  else if (act === "message") dialogs.message(rows);
  else if (act === "duty") dialogs.duty(rows);
  else void acts.run(act, rows);
}

/** The lists are what people wait for. They are on screen, or have been waited for long enough. */
async function firstLists() {
  await new Promise((resolve) => {
    const unsubscribe = store.subscribe((change) => {
      if (!change.all) return;
      unsubscribe();
      // After the frame that shows them.
      requestAnimationFrame(() => setTimeout(resolve));
    });
    setTimeout(resolve, LISTS_MS);
  });
  await new Promise((resolve) => requestIdleCallback(resolve, { timeout: 500 }));
}

function closePanel() {
  const { order } = store.selection;
  store.select({ order: null, driver: null });
  if (order) lists.focusOrder(order);
}

/** Half of the scripts are for the map and the form that uses it: fetched when the lists are on screen. */
async function startMap() {
  await firstLists();
  const { mountMap } = await import("./map/map.js");
  const map = mountMap(parts.map, { store, settings, acts });
  // For tests and benchmarks/console.py: what the map costs.
  Object.assign(window, { baton: { store, map } });
  return map;
}

async function startOrderForm() {
  const map = await started;
  const { mountNewOrder } = await import("./neworder/neworder.js");
  return mountNewOrder(parts.dialog, { store, settings, map });
}

/** The map; null if its scripts cannot be fetched. */
const started = startMap().catch((error) => {
  reportError(error);
  parts.map.append(noMap("Its scripts could not be fetched. Everything can be done from the lists."));
  return null;
});
const orderForm = settings.can.place ? startOrderForm() : null;
const newOrder =
  orderForm &&
  (() => {
    orderForm.then(
      (form) => form.open(),
      () => toasts.toast("The form could not be fetched. Load the page again.", { kind: "refused" }),
    );
  });
const bulk = mountBulk(parts.bulk, { store, acts, isListed: lists.isListed });
const panel = mountPanel(parts.panel, { store, api, acts, settings, rows: lists.rows, onClose: closePanel });
const strip = mountStrip(parts.strip, {
  store,
  canPlace: settings.can.place,
  onFilter(text) {
    lists.setFilter(text);
    bulk.draw();
  },
  onNew: () => newOrder?.(),
  onHelp: () => showHelp(root),
  onCompact: lists.toggleCompact,
});
listenToKeys({ lists, acts, store, toasts, strip, panel, root, newOrder });

const link = createLink({ store, path: settings.urls.socket });
store.subscribe((change) => {
  if (!change.selection) return;
  link.viewing(store.selection.order);
  root.classList.toggle("has-panel", store.selection.order !== null || store.selection.driver !== null);
});
setInterval(() => {
  lists.tick();
  strip.tick();
  panel.tick();
  toasts.tick();
}, 1000);
link.start();
