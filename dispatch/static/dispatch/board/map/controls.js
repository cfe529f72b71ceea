// The map's own buttons.

import { h, mark } from "../dom.js";

/** Paths on a square of 16. */
const ICONS = {
  closer: "M8 3v10M3 8h10",
  farther: "M3 8h10",
  all: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  follow: "M8 1v3M8 12v3M1 8h3M12 8h3M8 4a4 4 0 1 0 0 8a4 4 0 1 0 0-8",
};

/** @param {string} path */
function icon(path) {
  const [picture, line] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  picture?.setAttribute("viewBox", "0 0 16 16");
  picture?.setAttribute("aria-hidden", "true");
  line?.setAttribute("d", path);
  if (line) picture?.append(line);
  return picture;
}

/** @param {string} path @param {string} name @param {() => void} act */
const control = (path, name, act) =>
  h("button", { type: "button", class: "map-control", title: name, "aria-label": name, onclick: act }, icon(path));

/**
 * @param {import("./map.js").Shown} shown
 * @param {ReturnType<typeof import("./camera.js").createCamera>} camera
 */
export function createControls(shown, camera) {
  const follow = control(ICONS.follow, "Follow the selection", () => {
    camera.follow(!camera.follows);
    mark(follow, "aria-pressed", String(camera.follows));
  });
  mark(follow, "aria-pressed", String(camera.follows));
  return h(
    "div",
    { class: "map-controls", role: "toolbar", "aria-label": "Map" },
    control(ICONS.closer, "Zoom in", () => shown.map?.zoomIn()),
    control(ICONS.farther, "Zoom out", () => shown.map?.zoomOut()),
    control(ICONS.all, "Fit all", () => camera.fitAll()),
    follow,
  );
}
