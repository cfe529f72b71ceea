// The map: drivers, orders and what is selected, live. Works without any network; without WebGL it says so and the lists do
// everything. 20,000 drivers: what moved goes into typed arrays (fleet.js), is drawn in two calls (fleetlayer.js), at most
// twice a second.

import { createApi } from "../api.js";
import { h } from "../dom.js";
import { noMap } from "../layout.js";
import { HELD } from "../store.js";
import { createCamera } from "./camera.js";
import { createControls } from "./controls.js";
import { CARRYING, createFleet, FREE, latOf, lngOf } from "./fleet.js";
import { createFleetLayer } from "./fleetlayer.js";
import { drawGraticule } from "./ground.js";
import { mountInView } from "./inview.js";
import { createLegend, STATE_WORDS } from "./legend.js";
import { lookOf } from "./look.js";
import { hasWebGL, openMap } from "./maplibre.js";
import { mountNearest } from "./nearest.js";
import { drawScene } from "./overlay.js";
import { createPicking } from "./picking.js";
import { createPointer } from "./pointer.js";
import { pointOf, projectionOf } from "./projection.js";

/** @import {Map as MapLibreMap} from "maplibre-gl" */
/**
 * @typedef {import("../store.js").Store} Store
 * @typedef {import("../store.js").Order} Order
 * @typedef {import("./overlay.js").Journey} Journey
 * @typedef {import("./projection.js").Point} Point
 * @typedef {import("./projection.js").LatLng} LatLng
 * @typedef {{pickup: LatLng | null, dropoff: LatLng | null, drivers?: number[]}} Draft
 * @typedef {{
 *   map: MapLibreMap | null, fleet: ReturnType<typeof createFleet>, journeys: Map<string, Journey>,
 *   candidates: {drivers: number[], lit: number}, draft: Draft | null,
 * }} Shown what the map shows; `map` is null until it is there, and for ever without WebGL
 * @typedef {ReturnType<typeof mountMap>} BoardMap
 */

const UPDATE_MS = 500;
/** Where the browser takes long to put a frame on screen (no graphics processor), the map moves less often, so that the lists
 * beside it, which wait for the same frames, stay quick: at least so many times a frame between two updates. */
const FRAMES_APART = 4;
/** So long at a time for taking in what is new. */
const SLICE_MS = 6;
/** Whoever types comes first: the map moves once no key was pressed for so long, or when it has been held up for so long. */
const TYPING_MS = 250;
const HELD_UP_MS = 2000;
/** Colours of age and silence change without news, too. */
const IDLE_MS = 5000;
const OPEN = new Set(["pending", "assigned", "picked_up"]);

/**
 * @param {HTMLElement} element
 * @param {{store: Store, settings: import("../settings.js").Settings, acts: any}} context
 */
export function mountMap(element, { store, settings, acts }) {
  const fleet = createFleet(settings.live_seconds);
  /** @type {Map<string, Journey>} */
  const journeys = new Map();
  /** @type {Shown} */
  const shown = { map: null, fleet, journeys, candidates: { drivers: [], lit: -1 }, draft: null };
  let look = lookOf(element);
  /** @type {Set<number>} */
  let movedDrivers = new Set();
  /** @type {Set<string>} */
  let changedOrders = new Set();
  let everything = true;
  let updatedAt = 0;
  let scheduled = 0;
  let fitted = false;
  let zoomStep = -1;

  const stats = { updates: 0, updateMs: 0, worstUpdateMs: 0, renderMs: 0, worstRenderMs: 0, renders: 0, frameMs: 0 };

  const ground = h("div", { class: "map-ground" });
  const canvas = h("canvas", { class: "map-overlay", "aria-hidden": "true" });
  const near = h("section", { class: "map-near" });
  const view = h("details", { class: "map-inview" });
  const legend = createLegend();
  const corner = h("div", { class: "map-corner" }, legend.element, view);
  const camera = createCamera({
    shown,
    store,
    covered: () => ({ width: near.offsetWidth, height: near.offsetHeight }),
  });
  const controls = createControls(shown, camera);
  const picking = createPicking(shown);
  const nearest = mountNearest(near, {
    store,
    settings,
    acts,
    api: createApi(settings.urls.api),
    nearestLive: (place, limit, vehicle) =>
      fleet.nearest(place, limit, (state, id) => {
        if (state !== FREE && state !== CARRYING) return false;
        return !vehicle || store.drivers.get(id)?.vehicle === vehicle;
      }),
    onChange(drivers, lit) {
      shown.candidates = { drivers, lit };
      repaint();
    },
  });
  const pointer = createPointer({ shown, store, camera, picking, assign: (index) => nearest.assign(index) });
  const inView = mountInView(view, { store, inView: whatIsInView });
  element.append(ground, canvas, controls, corner, near, ...picking.elements, pointer.tip);

  const layer = createFleetLayer(fleet, () => ({
    now: store.now() / 1000,
    look: { colours: look.drivers, edge: look.edge },
  }));

  // --- News -----------------------------------------------------------------------------------------------------------

  const unsubscribe = store.subscribe((change) => {
    if (change.all) everything = true;
    for (const id of change.drivers) movedDrivers.add(id);
    for (const id of change.orders) changedOrders.add(id);
    if (change.selection || change.all || (store.selection.order && change.orders.has(store.selection.order))) {
      selectionChanged(change.selection);
    }
    if (everything || movedDrivers.size || changedOrders.size) schedule();
  });

  function schedule() {
    if (scheduled) return;
    const apart = Math.max(UPDATE_MS, FRAMES_APART * stats.frameMs);
    scheduled = setTimeout(update, Math.max(0, apart - (performance.now() - updatedAt)));
  }

  function update() {
    scheduled = 0;
    const began = performance.now();
    const wait = Math.min(typedAt + TYPING_MS, updatedAt + HELD_UP_MS) - began;
    if (wait > 0) {
      scheduled = setTimeout(update, wait);
      return;
    }
    updatedAt = began;
    if (everything) {
      everything = false;
      fleet.keep(store.drivers);
      journeys.clear();
      for (const order of store.orders.values()) takeOrder(order);
      movedDrivers = new Set(store.drivers.keys());
    }
    for (const id of changedOrders) {
      const order = store.orders.get(id);
      if (order) takeOrder(order);
      else journeys.delete(id);
    }
    changedOrders = new Set();
    for (const id of movedDrivers) {
      const driver = store.drivers.get(id);
      if (driver) fleet.take(driver);
      else fleet.forget(id);
      movedDrivers.delete(id);
      // A whole snapshot is taken in over several turns: whoever types meanwhile does not wait for it.
      if ((movedDrivers.size & 127) === 0 && performance.now() - began > SLICE_MS) break;
    }
    if (movedDrivers.size) scheduled = setTimeout(update, 0);
    else arranged();
    const took = performance.now() - began;
    stats.updates += 1;
    stats.updateMs = took;
    stats.worstUpdateMs = Math.max(stats.worstUpdateMs, took);
  }

  function arranged() {
    arrange();
    if (!fitted && shown.map && (fleet.count || journeys.size)) {
      fitted = true;
      camera.fitAll({ jump: true });
    }
    legend.draw(fleet.totals);
  }

  /** @param {Order} order */
  function takeOrder(order) {
    if (!OPEN.has(order.status)) {
      journeys.delete(order.id);
      return;
    }
    journeys.set(order.id, { order, from: pointOf(order.pickup), to: pointOf(order.dropoff) });
  }

  function arrange() {
    if (!shown.map) return;
    fleet.arrange(store.now(), shown.map.getZoom(), store.selection.driver ?? -1);
    layer.changed();
    repaint();
  }

  /** @param {boolean} isNew */
  function selectionChanged(isNew) {
    if (changedOrders.size || everything) {
      // The selected order may be one that the map does not know yet.
      const order = store.selection.order ? store.orders.get(store.selection.order) : undefined;
      if (order) takeOrder(order);
    }
    nearest.update();
    if (isNew) camera.selected();
    arrange();
  }

  let typedAt = Number.NEGATIVE_INFINITY;
  const typed = () => {
    typedAt = performance.now();
  };
  document.addEventListener("input", typed, { capture: true });

  const ticking = setInterval(() => {
    nearest.tick();
    if (view.open) inView.draw();
    if (performance.now() - updatedAt > IDLE_MS && !document.hidden) schedule();
    camera.keepInView();
  }, 1000);

  // --- Drawing --------------------------------------------------------------------------------------------------------

  const repaint = () => shown.map?.triggerRepaint();

  /** @returns {import("./overlay.js").Scene} */
  function scene() {
    const { candidates, draft } = shown;
    const selected = store.selection.order ? (journeys.get(store.selection.order) ?? null) : null;
    const holder = selected && HELD.has(selected.order.status) ? fleet.find(selected.order.driver ?? -1) : null;
    return {
      journeys: [...journeys.values()],
      clusters: fleet.clusters,
      selected,
      holder,
      driver: store.selection.driver === null ? null : fleet.find(store.selection.driver),
      candidates: (draft?.drivers ?? candidates.drivers).flatMap((id) => fleet.find(id) ?? []),
      lit: candidates.lit,
      draft: draft && {
        pickup: draft.pickup && pointOf(draft.pickup),
        dropoff: draft.dropoff && pointOf(draft.dropoff),
      },
    };
  }

  function drawOverlay() {
    const { map } = shown;
    if (!map) return;
    const began = performance.now();
    const { width, height, zoom, project } = projectionOf(map);
    const ratio = Math.min(2, devicePixelRatio);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    // Drawn by the processor: for a picture twice a second that is nothing, and without a graphics processor a frame takes a
    // sixth of the time.
    const to = canvas.getContext("2d", { willReadFrequently: true });
    if (!to) return;
    to.setTransform(ratio, 0, 0, ratio, 0, 0);
    to.clearRect(0, 0, width, height);
    if (!settings.map.style && !settings.map.tiles) drawGraticule(to, map, look);
    drawScene(to, scene(), project, look, { width, height, zoom });
    const took = performance.now() - began;
    stats.renders += 1;
    stats.renderMs = took;
    stats.worstRenderMs = Math.max(stats.worstRenderMs, took);
    // The second frame from here begins when this one has been put on screen.
    const drawn = performance.now();
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        stats.frameMs = performance.now() - drawn;
      }),
    );
  }

  /** The drivers and orders in view, the nearest to its middle first. @param {number} limit */
  function whatIsInView(limit) {
    if (!shown.map) return { drivers: [], orders: [] };
    const bounds = shown.map.getBounds();
    const centre = shown.map.getCenter();
    /** @param {LatLng} place */
    const isIn = (place) => bounds.contains([place.lng, place.lat]);
    const drivers = fleet.nearest({ lat: centre.lat, lng: centre.lng }, limit, (_, id) => {
      const driver = store.drivers.get(id);
      return Boolean(driver && isIn({ lat: driver.lat ?? 0, lng: driver.lng ?? 0 }));
    });
    const orders = [...journeys.values()]
      .map((journey) => journey.order)
      .filter((order) => isIn(order.pickup) || isIn(order.dropoff))
      .slice(0, limit);
    return { drivers: drivers.map((id) => ({ id, word: STATE_WORDS[fleet.find(id)?.state ?? 0] ?? "" })), orders };
  }

  // --- Start and end --------------------------------------------------------------------------------------------------

  function without(/** @type {string} */ why) {
    element.classList.add("is-without-map");
    ground.replaceChildren(noMap(why));
    controls.hidden = corner.hidden = true;
  }

  async function start() {
    if (!hasWebGL()) {
      without(
        "This browser draws no WebGL. Everything can be done from the lists; the nearest drivers are in the order's panel.",
      );
      return;
    }
    try {
      shown.map = await openMap(ground, settings, look);
    } catch (error) {
      reportError(error);
      without("The map could not be started. Everything can be done from the lists.");
      return;
    }
    listen(shown.map);
    element.classList.add("has-map");
    everything = true;
    schedule();
  }

  /** @param {MapLibreMap} map */
  function listen(map) {
    map.on("style.load", () => {
      map.addLayer(layer);
      arrange();
    });
    map.on("render", drawOverlay);
    map.on("zoom", () => {
      const step = Math.round(map.getZoom() * 2);
      if (step === zoomStep) return;
      zoomStep = step;
      arrange();
    });
    map.on("moveend", () => {
      const centre = pointOf(map.getCenter());
      // Positions count from near here, so that 32 bits are exact to the pixel.
      if (Math.hypot(centre.x - fleet.origin.x, centre.y - fleet.origin.y) > 0.002) {
        fleet.origin = centre;
        arrange();
      }
      if (view.open) inView.draw();
    });
    map.on("resize", camera.again);
    map.on("click", (event) => pointer.clicked(event.point, event.lngLat));
    map.on("mousemove", (event) => pointer.moved(event.point));
    map.on("mouseout", pointer.left);
    map.on("error", ({ error }) => {
      // A tile that does not come is no fault of the page: the drivers are drawn all the same.
      if (settings.map.style || settings.map.tiles) return;
      reportError(error);
    });
  }

  function newLook() {
    look = lookOf(element);
    const { map } = shown;
    if (map?.getLayer("ground") && !settings.map.style) map.setPaintProperty("ground", "background-color", look.ground);
    repaint();
  }
  const theme = matchMedia("(prefers-color-scheme: dark)");
  theme.addEventListener("change", newLook);
  const themeAttribute = new MutationObserver(newLook);
  themeAttribute.observe(document.documentElement, { attributeFilter: ["data-theme"] });

  return {
    ready: start(),
    fitAll: camera.fitAll,
    /** Milliseconds of the main thread that the last update and frame took, and the worst; for tests and benchmarks. */
    stats,
    fleet,
    at: pointer.at,
    resize: () => shown.map?.resize(),
    /** The place in the middle; null without a map. */
    centre: () => {
      const centre = shown.map?.getCenter();
      return centre ? { lat: centre.lat, lng: centre.lng } : null;
    },
    /** Nothing is moving, loading or waiting to be drawn. */
    isSettled: () =>
      !shown.map ||
      (shown.map.loaded() && !shown.map.isMoving() && !everything && !movedDrivers.size && !changedOrders.size),
    /** @param {Point} point mercator */
    placeOf: (point) => ({ lat: latOf(point.y), lng: lngOf(point.x) }),
    /** Pixels of a place, from the map's upper left corner; null without a map. @param {LatLng} place */
    pixels: (place) => (shown.map ? projectionOf(shown.map).project(pointOf(place)) : null),
    /** Let the user show a place: a click, or Enter for the middle. */
    pick: picking.begin,

    /** Show an order that is being written; null: it is gone. @param {Draft | null} what @param {boolean} [look] bring it into view */
    draft(what, look = false) {
      shown.draft = what;
      if (what && look) camera.show([what.pickup, what.dropoff].flatMap((place) => (place ? [pointOf(place)] : [])));
      repaint();
    },

    dispose() {
      unsubscribe();
      document.removeEventListener("input", typed, { capture: true });
      clearInterval(ticking);
      clearTimeout(scheduled);
      theme.removeEventListener("change", newLook);
      themeAttribute.disconnect();
      picking.end(null);
      shown.map?.remove();
      shown.map = null;
      element.replaceChildren();
    },
  };
}
