// A place, shown by the user on the map: a click, or Enter for the middle.

import { h, say } from "../dom.js";

/** @typedef {import("./projection.js").LatLng} LatLng */

/** @param {import("./map.js").Shown} shown */
export function createPicking(shown) {
  const banner = h("div", { class: "map-pick", role: "status", hidden: true });
  const crosshair = h("div", { class: "map-crosshair", hidden: true, "aria-hidden": "true" });
  /** @type {((place: LatLng | null) => void) | null} */
  let resolve = null;

  /** @param {LatLng | null} place */
  function end(place) {
    const waiting = resolve;
    resolve = null;
    banner.hidden = crosshair.hidden = true;
    document.removeEventListener("keydown", keys, true);
    if (shown.map) shown.map.getCanvas().style.cursor = "";
    waiting?.(place);
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    const { map } = shown;
    if (event.key === "Escape") end(null);
    else if (event.key === "Enter" && map && event.target === map.getCanvas()) {
      const { lat, lng } = map.getCenter();
      end({ lat, lng });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return {
    elements: [banner, crosshair],
    get isUnderWay() {
      return resolve !== null;
    },
    end,
    /**
     * Null: they gave up, or there is no map.
     * @param {string} what "the pickup"
     * @returns {Promise<LatLng | null>}
     */
    begin(what) {
      end(null);
      const { map } = shown;
      if (!map) return Promise.resolve(null);
      say(banner, `Click ${what} on the map. Enter takes the middle, Esc gives up.`);
      banner.hidden = crosshair.hidden = false;
      map.getCanvas().style.cursor = "crosshair";
      map.getCanvas().focus();
      document.addEventListener("keydown", keys, true);
      return new Promise((settle) => {
        resolve = settle;
      });
    },
  };
}
