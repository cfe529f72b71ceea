// What is drawn over the drivers: clusters with their counts, orders with their lines, the numbered candidates, what is
// selected. A canvas on top of the map, drawn anew with each frame of it; its text needs no fonts from anywhere.

import { label } from "../format.js";
import { STATES } from "./fleet.js";

/**
 * @typedef {import("./fleet.js").Cluster} Cluster
 * @typedef {import("./look.js").Look} Look
 * @typedef {import("../store.js").Order} Order
 * @typedef {{x: number, y: number}} Point
 * @typedef {{order: Order, from: Point, to: Point}} Journey mercator
 * @typedef {{
 *   journeys: Journey[], clusters: Cluster[], selected: Journey | null, holder: Point | null, driver: Point | null,
 *   candidates: Point[], lit: number, draft: {pickup: Point | null, dropoff: Point | null} | null,
 * }} Scene
 */

/** @param {number} count */
export const clusterRadius = (count) => Math.min(24, 12 + 2.2 * Math.log2(Math.max(1, count / 5)));

/** @param {number} count */
const short = (count) => (count < 1000 ? String(count) : `${(count / 1000).toFixed(count < 9950 ? 1 : 0)}k`);

/** @param {Order} order @param {Look} look */
export const orderColour = (order, look) => {
  if (order.expired) return look.expired;
  return order.status === "assigned" ? look.assigned : order.status === "picked_up" ? look.picked_up : look.pending;
};

/**
 * @param {CanvasRenderingContext2D} to
 * @param {Scene} scene
 * @param {(place: Point) => Point} project mercator → pixels
 * @param {Look} look
 * @param {{width: number, height: number, zoom: number}} view
 */
export function drawScene(to, scene, project, look, view) {
  /** @param {Point} at @param {number} margin */
  const isIn = (at, margin) =>
    at.x > -margin && at.y > -margin && at.x < view.width + margin && at.y < view.height + margin;
  const dimmed = scene.selected !== null;

  // Orders: a thin line each under the clusters, two small ends above them; those of one colour in one path.
  /** @type {Map<string, {from: Point, to: Point}[]>} */
  const byColour = new Map();
  for (const journey of scene.journeys) {
    if (journey === scene.selected) continue;
    const from = project(journey.from);
    const end = project(journey.to);
    if (!isIn(from, 0) && !isIn(end, 0)) continue;
    const colour = orderColour(journey.order, look);
    const same = byColour.get(colour);
    if (same) same.push({ from, to: end });
    else byColour.set(colour, [{ from, to: end }]);
  }
  for (const [colour, found] of byColour) {
    to.strokeStyle = colour;
    to.lineWidth = 1;
    // Hundreds of lines are a haze; the more there are, the fainter each is.
    to.globalAlpha = (dimmed ? 0.5 : 1) * Math.max(0.1, Math.min(0.5, 40 / scene.journeys.length));
    to.beginPath();
    for (const line of found) {
      to.moveTo(line.from.x, line.from.y);
      to.lineTo(line.to.x, line.to.y);
    }
    to.stroke();
  }
  to.globalAlpha = 1;

  const clusters = scene.clusters
    .map((cluster) => ({ cluster, at: project(cluster), radius: clusterRadius(cluster.count) }))
    .filter(({ at, radius }) => isIn(at, radius));
  for (const { cluster, at, radius } of clusters) drawCluster(to, cluster, at, radius, look);

  for (const [colour, found] of byColour) {
    to.globalAlpha = dimmed ? 0.45 : 0.95;
    to.fillStyle = colour;
    to.beginPath();
    for (const { from } of found) {
      to.moveTo(from.x, from.y - 5);
      to.lineTo(from.x + 5, from.y + 4);
      to.lineTo(from.x - 5, from.y + 4);
      to.closePath();
    }
    to.fill();
    to.lineWidth = 1;
    to.strokeStyle = look.edgeName;
    to.stroke();
    to.strokeStyle = colour;
    to.lineWidth = 1.5;
    to.beginPath();
    for (const { to: end } of found) to.rect(end.x - 3, end.y - 3, 6, 6);
    to.stroke();
  }
  to.globalAlpha = 1;
  // Above the orders, or they would hide how many drivers there are.
  for (const { cluster, at } of clusters) {
    to.lineWidth = 3;
    to.strokeStyle = look.panel;
    write(to, short(cluster.count), at.x, at.y, look.text, "600 11px system-ui, sans-serif", true);
  }

  if (scene.selected) drawSelected(to, scene.selected, scene.holder, project, look);
  if (scene.draft) drawDraft(to, scene.draft, project, look);

  scene.candidates.forEach((place, index) => {
    const at = project(place);
    const isLit = index === scene.lit;
    disc(to, at, isLit ? 14 : 11, look.accent, look.edgeName, 2);
    write(to, String(index + 1), at.x, at.y, look.edgeName, `700 ${isLit ? 14 : 12}px system-ui, sans-serif`);
  });

  if (scene.driver) {
    const at = project(scene.driver);
    to.strokeStyle = look.text;
    to.lineWidth = 2.5;
    to.beginPath();
    to.arc(at.x, at.y, 14, 0, 2 * Math.PI);
    to.stroke();
  }
}

/** A ring in the colours of those within. @param {CanvasRenderingContext2D} to @param {Cluster} cluster @param {Point} at @param {number} radius @param {Look} look */
function drawCluster(to, cluster, at, radius, look) {
  disc(to, at, radius, look.panel, look.panel, 1);
  let angle = -Math.PI / 2;
  to.lineWidth = 4;
  for (let state = 0; state < STATES.length; state += 1) {
    const part = /** @type {number} */ (cluster.states[state]) / cluster.count;
    if (!part) continue;
    to.strokeStyle = look.driverNames[state] ?? look.quiet;
    to.beginPath();
    to.arc(at.x, at.y, radius - 2, angle, angle + part * 2 * Math.PI);
    to.stroke();
    angle += part * 2 * Math.PI;
  }
}

/** @param {CanvasRenderingContext2D} to @param {Journey} journey @param {Point | null} holder @param {(place: Point) => Point} project @param {Look} look */
function drawSelected(to, journey, holder, project, look) {
  const colour = orderColour(journey.order, look);
  const [from, end] = [project(journey.from), project(journey.to)];
  /** @param {Point} a @param {Point} b @param {number[]} dash */
  const line = (a, b, dash) => {
    for (const [width, stroke] of /** @type {const} */ ([
      [6, look.edgeName],
      [3, colour],
    ])) {
      to.lineWidth = width;
      to.strokeStyle = stroke;
      to.setLineDash(dash);
      to.beginPath();
      to.moveTo(a.x, a.y);
      to.lineTo(b.x, b.y);
      to.stroke();
    }
    to.setLineDash([]);
  };
  line(from, end, []);
  // From whoever holds it to where they are going.
  if (holder) line(project(holder), journey.order.status === "picked_up" ? end : from, [2, 7]);
  pin(to, from, colour, "P", look);
  pin(to, end, colour, "D", look);
  tag(to, label(journey.order), from, look);
}

/** @param {CanvasRenderingContext2D} to @param {NonNullable<Scene["draft"]>} draft @param {(place: Point) => Point} project @param {Look} look */
function drawDraft(to, draft, project, look) {
  const from = draft.pickup && project(draft.pickup);
  const end = draft.dropoff && project(draft.dropoff);
  if (from && end) {
    to.strokeStyle = look.accent;
    to.lineWidth = 3;
    to.setLineDash([8, 6]);
    to.beginPath();
    to.moveTo(from.x, from.y);
    to.lineTo(end.x, end.y);
    to.stroke();
    to.setLineDash([]);
  }
  if (from) pin(to, from, look.accent, "P", look);
  if (end) pin(to, end, look.accent, "D", look);
}

/** @param {CanvasRenderingContext2D} to @param {Point} at @param {string} colour @param {string} letter @param {Look} look */
function pin(to, at, colour, letter, look) {
  to.fillStyle = colour;
  to.strokeStyle = look.edgeName;
  to.lineWidth = 2;
  to.beginPath();
  to.moveTo(at.x, at.y);
  to.quadraticCurveTo(at.x - 3, at.y - 8, at.x - 9, at.y - 13);
  to.arc(at.x, at.y - 20, 11, 0.75 * Math.PI, 0.25 * Math.PI);
  to.quadraticCurveTo(at.x + 3, at.y - 8, at.x, at.y);
  to.closePath();
  to.fill();
  to.stroke();
  write(to, letter, at.x, at.y - 20, look.edgeName, "700 12px system-ui, sans-serif");
}

/** A name beside a pin. @param {CanvasRenderingContext2D} to @param {string} text @param {Point} at @param {Look} look */
function tag(to, text, at, look) {
  to.font = "600 12px system-ui, sans-serif";
  const width = to.measureText(text).width + 12;
  to.fillStyle = look.panel;
  to.strokeStyle = look.line;
  to.lineWidth = 1;
  to.beginPath();
  to.roundRect(at.x + 15, at.y - 31, width, 20, 4);
  to.fill();
  to.stroke();
  to.fillStyle = look.text;
  to.textAlign = "left";
  to.textBaseline = "middle";
  to.fillText(text, at.x + 21, at.y - 20.5);
}

/** @param {CanvasRenderingContext2D} to @param {Point} at @param {number} radius @param {string} fill @param {string} stroke @param {number} width */
function disc(to, at, radius, fill, stroke, width) {
  to.fillStyle = fill;
  to.strokeStyle = stroke;
  to.lineWidth = width;
  to.beginPath();
  to.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  to.fill();
  to.stroke();
}

/** @param {CanvasRenderingContext2D} to @param {string} text @param {number} x @param {number} y @param {string} colour @param {string} font */
function write(to, text, x, y, colour, font, haloed = false) {
  to.font = font;
  to.fillStyle = colour;
  to.textAlign = "center";
  to.textBaseline = "middle";
  if (haloed) {
    to.lineJoin = "round";
    to.strokeText(text, x, y + 0.5);
  }
  to.fillText(text, x, y + 0.5);
}
