// The map: drivers, orders and what is selected, live. Works without any network; without WebGL it says so and the lists do
// everything. 20,000 drivers: what moved goes into typed arrays (fleet.js), is drawn in two calls (fleetlayer.js), at most
// twice a second.

import { createApi } from "./api.js";
import { h, mark, memory, say } from "./dom.js";
import { CARRYING, createFleet, FREE, latOf, lngOf, mercatorX, mercatorY, STATES, STRIDE } from "./fleet.js";
import { createFleetLayer, DOT_PX } from "./fleetlayer.js";
import { label, ms, plural, span, statusWord, where } from "./format.js";
import { drawGraticule, styleOf } from "./ground.js";
import { mountInView } from "./inview.js";
import { lookOf } from "./look.js";
import { mountNearest } from "./nearest.js";
import { clusterRadius, drawScene } from "./overlay.js";
import { HELD } from "./store.js";

/** @import * as MapLibre from "maplibre-gl" */
/** @import {Map as MapLibreMap} from "maplibre-gl" */
/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./store.js").Order} Order
 * @typedef {import("./overlay.js").Journey} Journey
 * @typedef {import("./overlay.js").Point} Point
 * @typedef {{kind: "driver", driver: number} | {kind: "candidate", index: number} | {kind: "order", order: string}
 *   | {kind: "cluster", cluster: import("./fleet.js").Cluster}} Hit
 * @typedef {{lat: number, lng: number}} LatLng
 * @typedef {{pickup: LatLng | null, dropoff: LatLng | null, drivers?: number[]}} Draft
 * @typedef {ReturnType<typeof mountMap>} BoardMap
 */

const UPDATE_MS = 500;
/** So long at a time for taking in what is new. */
const SLICE_MS = 6;
/** Colours of age and silence change without news, too. */
const IDLE_MS = 5000;
const OPEN = new Set(["pending", "assigned", "picked_up"]);
/** What people call the states, in the order of STATES. */
export const STATE_WORDS = ["Free", "Carrying, has room", "Full", "Silent", "Off duty", "Suspended"];
/** Paths on a square of 16. */
const ICONS = {
  closer: "M8 3v10M3 8h10",
  farther: "M3 8h10",
  all: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  follow: "M8 1v3M8 12v3M1 8h3M12 8h3M8 4a4 4 0 1 0 0 8a4 4 0 1 0 0-8",
};
/** Where to look while nobody knows better: the whole world. */
const NOWHERE = { center: /** @type {[number, number]} */ ([0, 20]), zoom: 1.5 };

/** @param {string} path */
function icon(path) {
  const [picture, line] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  picture?.setAttribute("viewBox", "0 0 16 16");
  picture?.setAttribute("aria-hidden", "true");
  line?.setAttribute("d", path);
  if (line) picture?.append(line);
  return picture;
}

/**
 * @param {HTMLElement} element
 * @param {{store: Store, settings: import("./settings.js").Settings, acts: any}} context
 */
export function mountMap(element, { store, settings, acts }) {
  const fleet = createFleet(settings.live_seconds);
  const api = createApi(settings.urls.api);
  /** @type {Map<string, Journey>} */
  const journeys = new Map();
  let look = lookOf(element);
  /** @type {MapLibreMap | null} */
  let map = null;
  /** @type {typeof MapLibre | null} */
  let maplibre = null;
  /** @type {Set<number>} */
  let movedDrivers = new Set();
  /** @type {Set<string>} */
  let changedOrders = new Set();
  let everything = true;
  let updatedAt = 0;
  let scheduled = 0;
  let fitted = false;
  let zoomStep = -1;
  let selectedAt = 0;
  /** @type {{drivers: number[], lit: number}} */
  let candidates = { drivers: [], lit: -1 };
  /** @type {Draft | null} */
  let draft = null;
  /** @type {{resolve: (place: LatLng | null) => void} | null} */
  let picking = null;
  let follows = memory.get("follow") !== false;

  const stats = { updates: 0, updateMs: 0, worstUpdateMs: 0, renderMs: 0, worstRenderMs: 0, renders: 0 };

  const ground = h("div", { class: "map-ground" });
  const canvas = h("canvas", { class: "map-overlay", "aria-hidden": "true" });
  const tip = h("div", { class: "map-tip", hidden: true, "aria-hidden": "true" });
  const near = h("section", { class: "map-near" });
  const pickBanner = h("div", { class: "map-pick", role: "status", hidden: true });
  const crosshair = h("div", { class: "map-crosshair", hidden: true, "aria-hidden": "true" });
  const legendCounts = STATES.map(() => h("span", { class: "legend-count" }));
  const legend = h(
    "details",
    { class: "map-legend" },
    h("summary", null, "Legend"),
    h(
      "ul",
      null,
      STATES.map((state, index) =>
        h("li", null, h("i", { class: `swatch swatch-${state}` }), STATE_WORDS[index], legendCounts[index]),
      ),
      [
        ["pending", "Order waiting"],
        ["assigned", "Order assigned"],
        ["picked_up", "Order picked up"],
        ["expired", "Order expired"],
      ].map(([state, word]) => h("li", null, h("i", { class: `swatch swatch-order swatch-order-${state}` }), word)),
    ),
    h(
      "p",
      null,
      "▲ pickup, □ drop-off. The arrow is the heading; the circle is how exact the position is, and fades with its age.",
    ),
  );
  legend.open = memory.get("legend") === true;
  legend.addEventListener("toggle", () => memory.set("legend", legend.open));
  /** @param {string} path @param {string} name @param {() => void} act */
  const control = (path, name, act) =>
    h("button", { type: "button", class: "map-control", title: name, "aria-label": name, onclick: act }, icon(path));
  const followButton = control(ICONS.follow, "Follow the selection", () => setFollow(!follows));
  const controls = h(
    "div",
    { class: "map-controls", role: "toolbar", "aria-label": "Map" },
    control(ICONS.closer, "Zoom in", () => map?.zoomIn()),
    control(ICONS.farther, "Zoom out", () => map?.zoomOut()),
    control(ICONS.all, "Fit all", () => fitAll()),
    followButton,
  );
  const view = h("details", { class: "map-inview" });
  const corner = h("div", { class: "map-corner" }, legend, view);
  element.append(ground, canvas, controls, corner, near, pickBanner, crosshair, tip);
  setFollow(follows);

  const nearest = mountNearest(near, {
    store,
    settings,
    acts,
    api,
    nearestLive: (place, limit, vehicle) =>
      fleet.nearest(place, limit, (state, id) => {
        if (state !== FREE && state !== CARRYING) return false;
        return !vehicle || store.drivers.get(id)?.vehicle === vehicle;
      }),
    onChange(drivers, lit) {
      candidates = { drivers, lit };
      repaint();
    },
  });
  const inView = mountInView(view, { store, inView: whatIsInView });

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
    scheduled = setTimeout(update, Math.max(0, UPDATE_MS - (performance.now() - updatedAt)));
  }

  function update() {
    scheduled = 0;
    const began = performance.now();
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
    if (!fitted && map && (fleet.count || journeys.size)) {
      fitted = true;
      fitAll({ jump: true });
    }
    for (const [state, count] of fleet.totals.entries()) {
      say(/** @type {HTMLElement} */ (legendCounts[state]), String(count));
    }
  }

  /** @param {Order} order */
  function takeOrder(order) {
    if (!OPEN.has(order.status)) {
      journeys.delete(order.id);
      return;
    }
    journeys.set(order.id, { order, from: pointOf(order.pickup), to: pointOf(order.dropoff) });
  }

  /** @param {LatLng} place @returns {Point} */
  const pointOf = (place) => ({ x: mercatorX(place.lng), y: mercatorY(place.lat) });

  function arrange() {
    if (!map) return;
    fleet.arrange(store.now(), map.getZoom(), store.selection.driver ?? -1);
    layer.changed();
    repaint();
  }

  const ticking = setInterval(() => {
    nearest.tick();
    if (view.open) inView.draw();
    if (performance.now() - updatedAt > IDLE_MS && !document.hidden) schedule();
    if (follows) keepInView();
  }, 1000);

  // --- Drawing --------------------------------------------------------------------------------------------------------

  const repaint = () => map?.triggerRepaint();

  /** Mercator to pixels, for this frame. */
  function projection() {
    const of = /** @type {MapLibreMap} */ (map);
    const centre = of.getCenter();
    const scale = 512 * 2 ** of.getZoom();
    const { clientWidth: width, clientHeight: height } = of.getContainer();
    const [x, y] = [mercatorX(centre.lng), mercatorY(centre.lat)];
    return {
      width,
      height,
      zoom: of.getZoom(),
      /** @param {Point} place */
      project: (place) => ({ x: (place.x - x) * scale + width / 2, y: (place.y - y) * scale + height / 2 }),
    };
  }

  /** @returns {import("./overlay.js").Scene} */
  function scene() {
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
    if (!map) return;
    const began = performance.now();
    const { width, height, zoom, project } = projection();
    const ratio = Math.min(2, devicePixelRatio);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const to = canvas.getContext("2d");
    if (!to) return;
    to.setTransform(ratio, 0, 0, ratio, 0, 0);
    to.clearRect(0, 0, width, height);
    if (!settings.map.style && !settings.map.tiles) drawGraticule(to, map, look);
    drawScene(to, scene(), project, look, { width, height, zoom });
    const took = performance.now() - began;
    stats.renders += 1;
    stats.renderMs = took;
    stats.worstRenderMs = Math.max(stats.worstRenderMs, took);
  }

  // --- What is where --------------------------------------------------------------------------------------------------

  /** What is at a pixel of the map; the topmost. @param {number} x @param {number} y @returns {Hit | null} */
  function at(x, y) {
    if (!map) return null;
    const { project } = projection();
    /** @param {Point} place @param {number} reach @param {number} [up] */
    const isNear = (place, reach, up = 0) => {
      const on = project(place);
      return Math.hypot(on.x - x, on.y - up - y) <= reach;
    };
    for (const [index, id] of candidates.drivers.entries()) {
      const place = fleet.find(id);
      if (place && isNear(place, 13)) return { kind: "candidate", index };
    }
    let best = DOT_PX + 4;
    let driver = -1;
    for (let index = 0; index < fleet.packedCount; index += 1) {
      const on = project({
        x: /** @type {number} */ (fleet.packed[index * STRIDE]) + fleet.origin.x,
        y: /** @type {number} */ (fleet.packed[index * STRIDE + 1]) + fleet.origin.y,
      });
      const far = Math.hypot(on.x - x, on.y - y);
      if (far < best) {
        best = far;
        driver = /** @type {number} */ (fleet.packedIds[index]);
      }
    }
    if (driver >= 0) return { kind: "driver", driver };
    for (const journey of journeys.values()) {
      const isPinned = journey.order.id === store.selection.order;
      if (
        isNear(journey.from, isPinned ? 12 : 8, isPinned ? 20 : 0) ||
        isNear(journey.to, isPinned ? 12 : 7, isPinned ? 20 : 0)
      ) {
        return { kind: "order", order: journey.order.id };
      }
    }
    for (const cluster of fleet.clusters)
      if (isNear(cluster, clusterRadius(cluster.count))) return { kind: "cluster", cluster };
    return null;
  }

  /** @param {Hit | null} hit */
  function describe(hit) {
    if (!hit) return "";
    if (hit.kind === "cluster") return `${plural(hit.cluster.count, "driver")}: ${hit.cluster.states[FREE]} free`;
    if (hit.kind === "order") {
      const order = store.orders.get(hit.order);
      return order ? `${label(order)}: ${statusWord(order)}\n${where(order.pickup)} → ${where(order.dropoff)}` : "";
    }
    const id = hit.kind === "candidate" ? (candidates.drivers[hit.index] ?? -1) : hit.driver;
    const driver = store.drivers.get(id);
    if (!driver) return "";
    const state = STATE_WORDS[fleet.find(id)?.state ?? 0];
    const age = driver.last_seen ? `heard ${span(store.now() - ms(driver.last_seen))} ago` : "never heard";
    const text = `${driver.name ?? id}\n${state}, ${driver.load ?? 0} of ${driver.capacity ?? 1}, ${age}`;
    return hit.kind === "candidate" ? `Assign to ${text}` : text;
  }

  /** The drivers and orders in view, the nearest to its middle first. @param {number} limit */
  function whatIsInView(limit) {
    if (!map) return { drivers: [], orders: [] };
    const bounds = map.getBounds();
    const centre = map.getCenter();
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

  // --- Where to look --------------------------------------------------------------------------------------------------

  /** @param {Point[]} points @param {{jump?: boolean, closest?: number}} [how] */
  function show(points, { jump = false, closest = 15 } = {}) {
    if (!map || !points.length) return;
    const xs = points.map((point) => point.x);
    const ys = points.map((point) => point.y);
    const side = near.hidden || map.getContainer().clientWidth < 480 ? 0 : near.offsetWidth;
    const pad = Math.min(70, map.getContainer().clientHeight / 6);
    map.fitBounds(
      [
        [lngOf(Math.min(...xs)), latOf(Math.max(...ys))],
        [lngOf(Math.max(...xs)), latOf(Math.min(...ys))],
      ],
      {
        padding: { top: pad, bottom: pad, left: pad, right: pad + side },
        maxZoom: closest,
        animate: !jump,
        duration: 400,
      },
    );
  }

  /** @param {{jump?: boolean}} [how] */
  function fitAll(how = {}) {
    const all = fleet.bounds();
    const points = [...journeys.values()].flatMap((journey) => [journey.from, journey.to]);
    if (all) points.push({ x: all.west, y: all.north }, { x: all.east, y: all.south });
    show(points, how);
  }

  /** What the selection is about, as points. */
  function selectedPoints() {
    const { order, driver } = store.selection;
    const journey = order ? journeys.get(order) : undefined;
    const found = [];
    if (journey?.order.status === "pending" && candidates.drivers.length) {
      // Who could take it, near the pickup, is what is to be decided.
      found.push(journey.from, ...candidates.drivers.map((id) => fleet.find(id)));
    } else if (journey) found.push(journey.from, journey.to, fleet.find(journey.order.driver ?? -1));
    if (driver !== null) found.push(fleet.find(driver));
    return found.flatMap((point) => point ?? []);
  }

  /** @param {boolean} isNew */
  function selectionChanged(isNew) {
    if (changedOrders.size || everything) {
      // The selected order may be one that the map does not know yet.
      const order = store.selection.order ? store.orders.get(store.selection.order) : undefined;
      if (order) takeOrder(order);
    }
    nearest.update();
    if (isNew) selectedAt = performance.now();
    if (isNew && follows) showSelection();
    arrange();
  }

  function showSelection() {
    const points = selectedPoints();
    const [point] = points;
    if (points.length === 1 && point && map) {
      map.easeTo({ center: [lngOf(point.x), latOf(point.y)], zoom: Math.max(map.getZoom(), 15), duration: 400 });
    } else show(points, { closest: 16 });
  }

  function keepInView() {
    const { driver } = store.selection;
    const place = driver === null ? null : fleet.find(driver);
    if (!place || !map || map.isMoving()) return;
    const { project, width, height } = projection();
    const on = project(place);
    if (on.x < 40 || on.y < 40 || on.x > width - 40 || on.y > height - 40) {
      map.easeTo({ center: [lngOf(place.x), latOf(place.y)], duration: 400 });
    }
  }

  /** @param {boolean} on */
  function setFollow(on) {
    follows = on;
    memory.set("follow", on);
    mark(followButton, "aria-pressed", String(on));
    if (on) showSelection();
  }

  // --- The pointer and the keys ---------------------------------------------------------------------------------------

  /** @param {number} x @param {number} y @param {LatLng} place */
  function clicked(x, y, place) {
    if (picking) {
      endPick({ lat: place.lat, lng: place.lng });
      return;
    }
    const hit = at(x, y);
    if (!hit) return;
    if (hit.kind === "candidate") nearest.assign(hit.index);
    else if (hit.kind === "driver") store.select({ driver: hit.driver });
    else if (hit.kind === "order") store.select({ order: hit.order });
    else {
      const { west, north, east, south } = hit.cluster;
      show(
        [
          { x: west, y: north },
          { x: east, y: south },
        ],
        { closest: 17 },
      );
    }
  }

  let pointed = 0;
  /** @param {number} x @param {number} y */
  function pointAt(x, y) {
    cancelAnimationFrame(pointed);
    pointed = requestAnimationFrame(() => {
      const hit = picking ? null : at(x, y);
      const text = describe(hit);
      tip.hidden = !text;
      say(tip, text);
      tip.style.transform = `translate(${Math.round(x + 14)}px, ${Math.round(y + 14)}px)`;
      if (map) map.getCanvas().style.cursor = picking ? "crosshair" : hit ? "pointer" : "";
    });
  }

  /** @param {LatLng | null} place */
  function endPick(place) {
    const waiting = picking;
    picking = null;
    pickBanner.hidden = true;
    crosshair.hidden = true;
    document.removeEventListener("keydown", pickKeys, true);
    if (map) map.getCanvas().style.cursor = "";
    waiting?.resolve(place);
  }

  /** @param {KeyboardEvent} event */
  function pickKeys(event) {
    if (event.key === "Escape") endPick(null);
    else if (event.key === "Enter" && map && event.target === map.getCanvas()) {
      const centre = map.getCenter();
      endPick({ lat: centre.lat, lng: centre.lng });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // --- Start and end --------------------------------------------------------------------------------------------------

  function noMap(/** @type {string} */ why) {
    element.classList.add("is-without-map");
    ground.replaceChildren(
      h("div", { class: "map-none", role: "note" }, h("strong", null, "No map here."), h("p", null, why)),
    );
    controls.hidden = corner.hidden = true;
  }

  function hasWebGL() {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl2"));
    } catch {
      return false;
    }
  }

  async function start() {
    if (!hasWebGL()) {
      noMap(
        "This browser draws no WebGL. Everything can be done from the lists; the nearest drivers are in the order's panel.",
      );
      return;
    }
    // The lists are what people wait for; the map's library is a megabyte.
    await new Promise((resolve) => requestIdleCallback(resolve, { timeout: 1000 }));
    try {
      maplibre = await import("../../node_modules/maplibre-gl/dist/maplibre-gl.mjs");
      maplibre.setWorkerUrl(settings.map.worker);
      map = new maplibre.Map({
        container: ground,
        style: styleOf(settings.map, look),
        ...(settings.center ? { center: settings.center, zoom: 11 } : NOWHERE),
        maxZoom: 19,
        maxPitch: 0,
        dragRotate: false,
        pitchWithRotate: false,
        touchPitch: false,
        rollEnabled: false,
        renderWorldCopies: false,
        fadeDuration: 0,
        attributionControl:
          settings.map.style || settings.map.tiles
            ? { compact: true, ...(settings.map.style ? { customAttribution: settings.map.attribution } : {}) }
            : false,
        locale: { "Map.Title": "Map of drivers and orders. Arrows move it, plus and minus zoom." },
      });
    } catch (error) {
      reportError(error);
      noMap("The map could not be started. Everything can be done from the lists.");
      return;
    }
    map.touchZoomRotate.disableRotation();
    map.keyboard.disableRotation();
    map.addControl(new maplibre.ScaleControl({ maxWidth: 110 }), "bottom-left");
    map.on("style.load", () => {
      map?.addLayer(layer);
      arrange();
    });
    map.on("render", drawOverlay);
    map.on("zoom", () => {
      const step = Math.round(/** @type {MapLibreMap} */ (map).getZoom() * 2);
      if (step === zoomStep) return;
      zoomStep = step;
      arrange();
    });
    map.on("moveend", () => {
      const centre = pointOf(/** @type {MapLibreMap} */ (map).getCenter());
      // Positions count from near here, so that 32 bits are exact to the pixel.
      if (Math.hypot(centre.x - fleet.origin.x, centre.y - fleet.origin.y) > 0.002) {
        fleet.origin = centre;
        arrange();
      }
      if (view.open) inView.draw();
    });
    map.on("resize", () => {
      // The panel of what was selected has just taken its room.
      if (follows && performance.now() - selectedAt < 1500) showSelection();
    });
    map.on("click", (event) => clicked(event.point.x, event.point.y, event.lngLat));
    map.on("mousemove", (event) => pointAt(event.point.x, event.point.y));
    map.on("mouseout", () => {
      cancelAnimationFrame(pointed);
      tip.hidden = true;
    });
    map.on("error", ({ error }) => {
      // A tile that does not come is no fault of the page: the drivers are drawn all the same.
      if (settings.map.style || settings.map.tiles) return;
      reportError(error);
    });
    element.classList.add("has-map");
    everything = true;
    schedule();
  }

  function newLook() {
    look = lookOf(element);
    if (map?.getLayer("ground") && !settings.map.style) map.setPaintProperty("ground", "background-color", look.ground);
    repaint();
  }
  const theme = matchMedia("(prefers-color-scheme: dark)");
  theme.addEventListener("change", newLook);
  const themeAttribute = new MutationObserver(newLook);
  themeAttribute.observe(document.documentElement, { attributeFilter: ["data-theme"] });

  const ready = start();

  return {
    ready,
    fitAll,
    /** Milliseconds of the main thread that the last update and frame took, and the worst; for tests and benchmarks. */
    stats,
    fleet,
    at,
    resize: () => map?.resize(),
    /** The place in the middle; null without a map. */
    centre: () => {
      const centre = map?.getCenter();
      return centre ? { lat: centre.lat, lng: centre.lng } : null;
    },
    /** Nothing is moving, loading or waiting to be drawn. */
    isSettled: () =>
      !map || (map.loaded() && !map.isMoving() && !everything && !movedDrivers.size && !changedOrders.size),
    /** @param {Point} point mercator */
    placeOf: (point) => ({ lat: latOf(point.y), lng: lngOf(point.x) }),
    /** Pixels of a place, from the map's upper left corner; null without a map. @param {LatLng} place */
    pixels: (place) => (map ? projection().project(pointOf(place)) : null),

    /**
     * Let the user show a place: a click, or Enter for the middle. Null: they gave up, or there is no map.
     * @param {string} what "the pickup"
     * @returns {Promise<LatLng | null>}
     */
    pick(what) {
      endPick(null);
      if (!map) return Promise.resolve(null);
      say(pickBanner, `Click ${what} on the map. Enter takes the middle, Esc gives up.`);
      pickBanner.hidden = crosshair.hidden = false;
      map.getCanvas().style.cursor = "crosshair";
      map.getCanvas().focus();
      document.addEventListener("keydown", pickKeys, true);
      return new Promise((resolve) => {
        picking = { resolve };
      });
    },

    /** Show an order that is being written; null: it is gone. @param {Draft | null} what @param {boolean} [look] bring it into view */
    draft(what, look = false) {
      draft = what;
      if (what && look) show([what.pickup, what.dropoff].flatMap((place) => (place ? [pointOf(place)] : [])));
      repaint();
    },

    dispose() {
      unsubscribe();
      clearInterval(ticking);
      clearTimeout(scheduled);
      theme.removeEventListener("change", newLook);
      themeAttribute.disconnect();
      endPick(null);
      map?.remove();
      map = null;
      element.replaceChildren();
    },
  };
}
