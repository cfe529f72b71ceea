// Served in place of the board's main.js: the map and the new order as they are, fed by the test instead of a socket.

import { createActs } from "./acts.js";
import { createApi } from "./api.js";
import { mountMap } from "./map/map.js";
import { mountNewOrder } from "./neworder/neworder.js";
import { readPlace } from "./neworder/places.js";
import { readSettings } from "./settings.js";
import { createStore } from "./store.js";

const settings = readSettings();
const root = document.getElementById("board");
const element = document.createElement("div");
element.className = "board-map";
element.style.cssText = "position: fixed; inset: 60px 0 0 0";
const dialog = document.createElement("dialog");
dialog.className = "new-order";
root.replaceChildren(element, dialog);

const store = createStore();
const api = createApi(settings.urls.api);
const outcomes = [];
const acts = createActs({ store, api, can: settings.can, onOutcome: (outcome) => outcomes.push(outcome), onAsk() {} });
const map = mountMap(element, { store, settings, acts });
const form = mountNewOrder(dialog, { store, settings, map });
store.setLink({ state: "live" });
await map.ready;

window.rig = {
  store,
  map,
  form,
  outcomes,
  readPlace,
  /** Everything anew, as a snapshot would. */
  show(orders, drivers) {
    const server_time = new Date().toISOString();
    const rows = drivers.map(({ age = 0, ...row }) => ({
      last_seen: new Date(Date.now() - age * 1000).toISOString(),
      is_online: true,
      suspended: false,
      load: 0,
      capacity: 1,
      vehicle: "car",
      ...row,
    }));
    store.apply({ type: "snapshot", server_time, orders, drivers: rows, stats: {}, attention: [] });
  },
};
