// The board's frame: lists, map and panel side by side, with bars between them that can be dragged or moved by the arrows.

import { h, mark, memory } from "./dom.js";

const LEFT = { name: "left", least: 300, most: 720, usual: 430, step: 20 };
const RIGHT = { name: "right", least: 300, most: 640, usual: 380, step: 20 };

/** @param {HTMLElement} root */
export function buildLayout(root) {
  const strip = h("div", { class: "strip" });
  const lists = h("div", { class: "lists" });
  const bulk = h("div", { class: "bulk", role: "toolbar", "aria-label": "Selected orders" });
  const left = h("div", { class: "left" }, lists, bulk);
  const map = h("div", { class: "board-map" });
  const panel = h("aside", { class: "panel", "aria-label": "Details", hidden: true });
  const notices = h("div", { class: "notices" });
  const dialog = h("dialog", { class: "new-order", "aria-label": "New order" });
  const leftBar = bar(LEFT, "Width of the lists", 1, root);
  const rightBar = bar(RIGHT, "Width of the panel", -1, root);
  const heading = h("h1", { class: "visually-hidden" }, "Console");
  root.replaceChildren(heading, strip, left, leftBar, map, rightBar, panel, notices, dialog);
  return { strip, lists, bulk, map, panel, notices, dialog };
}

/** What is in the map's place when there is none. @param {string} why */
export const noMap = (why) =>
  h("div", { class: "map-none", role: "note" }, h("strong", null, "No map here."), h("p", null, why));

/**
 * @param {typeof LEFT} size
 * @param {string} label
 * @param {1 | -1} way which way is wider
 * @param {HTMLElement} root
 */
function bar(size, label, way, root) {
  const element = h("div", {
    class: `bar bar-${size.name}`,
    role: "separator",
    tabindex: "0",
    "aria-orientation": "vertical",
    "aria-label": label,
    "aria-valuemin": size.least,
    "aria-valuemax": size.most,
  });
  let width = Number(memory.get(size.name)) || size.usual;

  /** @param {number} wanted */
  function set(wanted) {
    width = Math.round(Math.max(size.least, Math.min(wanted, size.most, innerWidth * 0.6)));
    root.style.setProperty(`--${size.name}`, `${width}px`);
    mark(element, "aria-valuenow", String(width));
  }

  element.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    element.setPointerCapture(event.pointerId);
    const [x, before] = [event.clientX, width];
    /** @param {PointerEvent} moved */
    const drag = (moved) => set(before + way * (moved.clientX - x));
    element.addEventListener("pointermove", drag);
    element.addEventListener(
      "lostpointercapture",
      () => {
        element.removeEventListener("pointermove", drag);
        memory.set(size.name, width);
      },
      { once: true },
    );
  });
  element.addEventListener("keydown", (event) => {
    const by = event.key === "ArrowRight" ? size.step : event.key === "ArrowLeft" ? -size.step : 0;
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    set(width + way * by);
    memory.set(size.name, width);
  });
  element.addEventListener("dblclick", () => {
    set(size.usual);
    memory.set(size.name, width);
  });
  set(width);
  return element;
}
