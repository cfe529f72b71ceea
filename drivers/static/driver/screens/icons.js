/** Our own icons, as strokes on a field of 24 by 24. They never speak: the words beside them do. */

import { h } from "./dom.js";

/** @type {Record<string, string>} */
const PATHS = {
  offers: "M4 7h11M4 12h8M4 17h6M17 11v8M13.5 15.5 17 19l3.5-3.5",
  orders: "M12 3 4 7v10l8 4 8-4V7l-8-4ZM4 7l8 4 8-4M12 11v10",
  messages: "M4 5h16v11H9l-5 4V5ZM8 9h8M8 12.5h5",
  today: "M5 20v-7M12 20V5M19 20v-10M3 20h18",
  settings:
    "M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5ZM8 14.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5Z",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  check: "M5 12.5 10 17.5 19.5 7",
  cross: "M6 6l12 12M18 6 6 18",
  alert: "M12 4 2.5 20h19L12 4ZM12 10v5M12 17.5v.5",
  clock: "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17ZM12 7.5V12l3 2",
  phone:
    "M6 3.5h3l1.8 4.6-2.2 1.7a12 12 0 0 0 5.6 5.6l1.7-2.2 4.6 1.8v3c0 1.4-1.1 2.5-2.5 2.5C10.300 20.500 3.500 13.700 3.500 6 3.500 4.600 4.600 3.500 6 3.500Z",
  maps: "M3 11 21 3l-8 18-2-8-8-2Z",
  pickup: "M4 10V20h16V10M3 10l2-6h14l2 6M3 10a3 3 0 0 0 6 0 3 3 0 0 0 6 0 3 3 0 0 0 6 0M10 20v-5h4v5",
  dropoff:
    "M12 21s-7-6.200-7-11.500a7 7 0 0 1 14 0C19 14.800 12 21 12 21ZM12 7a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5Z",
  note: "M6 3h9l4 4v14H6V3ZM15 3v4h4M9 12h7M9 16h5",
  camera: "M4 8h4l1.500-3h5L16 8h4v11H4V8ZM12 10a3.300 3.300 0 1 1 0 6.600A3.300 3.300 0 0 1 12 10Z",
  sign: "M3 17c3 0 4-10 7-10s-1 9 2 9 2-4 4-4 1 3 5 3M3 21h18",
  person: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8ZM4.500 20.500c.8-4 3.800-6 7.500-6s6.700 2 7.500 6",
  pin: "M5 11h14v9H5v-9ZM8 11V8a4 4 0 0 1 8 0v3M12 14.500v2",
  none: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17ZM6 6l12 12",
  power: "M12 3v9M6.500 6.500a8 8 0 1 0 11 0",
  wifi_off:
    "M3 3l18 18M5 12.500a10 10 0 0 1 4-2.400M2 9a15 15 0 0 1 4.500-2.900M11 5a15 15 0 0 1 11 4M15 10.500a10 10 0 0 1 4 2M8.500 16a5 5 0 0 1 7 0M12 19.500v.1",
  copy: "M8 8h12v12H8V8ZM4 16V4h12",
  sound: "M4 9.500v5h4l5 4v-13l-5 4H4ZM16.500 8.500a5 5 0 0 1 0 7M19 6a8.500 8.500 0 0 1 0 12",
  flag: "M5 21V4h13l-3 4 3 4H5",
  undo: "M9 7 4 12l5 5M4 12h11a5 5 0 0 1 0 10",
  out: "M10 4H4v16h6M15 8l4 4-4 4M19 12H9",
  refresh: "M20 11a8 8 0 1 0-2.300 6.300M20 4v7h-7",
  keyboard: "M3 6h18v12H3V6ZM7 10h.1M12 10h.1M17 10h.1M7 14h10",
};

/**
 * @param {string} name
 * @param {string} [kind] a class: `turns` mirrors it where people read from the right
 */
export function icon(name, kind = "") {
  return h(
    "svg",
    { class: `icon ${kind}`, viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    h("path", { d: PATHS[name] ?? "" }),
  );
}
