// MapLibre, started: flat, pointing north, on the configured ground. Its library is a megabyte; it and its styles are
// fetched only here.

import { styleOf } from "./ground.js";

/** @import {Map as MapLibreMap} from "maplibre-gl" */

/** Where to look while nobody knows better: the whole world. */
const NOWHERE = { center: /** @type {[number, number]} */ ([0, 20]), zoom: 1.5 };

/** @param {string} address */
function loadStyles(address) {
  const link = document.createElement("link");
  return new Promise((resolve, reject) => {
    link.rel = "stylesheet";
    link.href = address;
    link.onload = resolve;
    link.onerror = () => reject(new Error(`The map's styles could not be fetched: ${address}`));
    // Before the page's own styles, which know better.
    document.head.prepend(link);
  });
}

export function hasWebGL() {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

/**
 * @param {HTMLElement} container
 * @param {import("../settings.js").Settings} settings
 * @param {import("./look.js").Look} look
 * @returns {Promise<MapLibreMap>}
 */
export async function openMap(container, settings, look) {
  const [maplibre] = await Promise.all([
    import("../../../node_modules/maplibre-gl/dist/maplibre-gl.mjs"),
    loadStyles(settings.map.styles),
  ]);
  maplibre.setWorkerUrl(settings.map.worker);
  const map = new maplibre.Map({
    container,
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
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibre.ScaleControl({ maxWidth: 110 }), "bottom-left");
  return map;
}
