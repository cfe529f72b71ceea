// What is under the drivers: the configured style or tiles, and where there is no network a plain ground with a graticule
// whose lines say where they are. Nothing is ever fetched that the installation did not configure.

/** @import {Map as MapLibreMap, StyleSpecification} from "maplibre-gl" */
/** @typedef {import("./look.js").Look} Look */

/** Degrees between lines: the finest of these that is at least so far apart on screen. */
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 45];
const LEAST_PX = 130;

/**
 * @param {{style: string | null, tiles: string | null, attribution: string}} given
 * @param {Look} look
 * @returns {string | StyleSpecification}
 */
export function styleOf(given, look) {
  if (given.style) return new URL(given.style, location.href).href;
  /** @type {StyleSpecification} */
  const style = {
    version: 8,
    sources: {},
    layers: [{ id: "ground", type: "background", paint: { "background-color": look.ground } }],
  };
  if (given.tiles) {
    style.sources.tiles = {
      type: "raster",
      tiles: [new URL(given.tiles, location.href).href.replaceAll("%7B", "{").replaceAll("%7D", "}")],
      tileSize: 256,
      attribution: given.attribution,
    };
    style.layers.push({ id: "tiles", type: "raster", source: "tiles" });
  }
  return style;
}

/** Lines of the graticule for what is in view. @param {MapLibreMap} map */
export function graticule(map) {
  const bounds = map.getBounds();
  const [west, east] = [bounds.getWest(), bounds.getEast()];
  const [south, north] = [Math.max(-85, bounds.getSouth()), Math.min(85, bounds.getNorth())];
  const perPixel = (east - west) / Math.max(1, map.getContainer().clientWidth);
  const step = STEPS.find((one) => one / perPixel >= LEAST_PX) ?? 90;
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  /** @param {number} from @param {number} to */
  const between = (from, to) => {
    const found = [];
    for (let number = Math.ceil(from / step); number * step <= to; number += 1) found.push(number * step);
    return found;
  };
  return { lngs: between(west, east), lats: between(south, north), decimals };
}

/**
 * Draw it, with its labels along the top and the left edge.
 * @param {CanvasRenderingContext2D} to
 * @param {MapLibreMap} map
 * @param {Look} look
 */
export function drawGraticule(to, map, look) {
  const { clientWidth: width, clientHeight: height } = map.getContainer();
  const { lngs, lats, decimals } = graticule(map);
  to.strokeStyle = look.line;
  to.lineWidth = 1;
  to.beginPath();
  const labels = [];
  for (const lng of lngs) {
    const x = Math.round(map.project([lng, 0]).x) + 0.5;
    to.moveTo(x, 0);
    to.lineTo(x, height);
    labels.push({ x: x + 4, y: 14, text: `${Math.abs(lng).toFixed(decimals)}°${lng < 0 ? "W" : "E"}` });
  }
  for (const lat of lats) {
    const y = Math.round(map.project([0, lat]).y) + 0.5;
    to.moveTo(0, y);
    to.lineTo(width, y);
    // Below the buttons, above the scale.
    if (y < 175 || y > height - 60) continue;
    labels.push({ x: 6, y: y - 5, text: `${Math.abs(lat).toFixed(decimals)}°${lat < 0 ? "S" : "N"}` });
  }
  to.stroke();
  to.font = "11px system-ui, sans-serif";
  to.textAlign = "left";
  to.textBaseline = "alphabetic";
  to.fillStyle = look.quiet;
  for (const { x, y, text } of labels) to.fillText(text, x, y);
}
