/** A field to sign in with a finger, or with the keyboard. */

/** Pixels of the picture that is sent: three to one, sharp enough to read, small enough for a bad network. */
const WIDTH = 900;
const HEIGHT = 360;

/**
 * @typedef {{ strokes: [number, number][][], typed: string }} Ink Points from 0 to 1 of the field's width and height.
 */

/** @returns {Ink} */
export function noInk() {
  return { strokes: [], typed: "" };
}

/** @param {Ink} ink */
export function isSigned(ink) {
  return ink.typed.trim() !== "" || ink.strokes.some((stroke) => stroke.length > 3);
}

/**
 * Ready a canvas to be signed on; `changed` after each stroke.
 * @param {HTMLCanvasElement} canvas
 * @param {Ink} ink
 * @param {() => void} changed
 */
export function signOn(canvas, ink, changed) {
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  paint(canvas, ink);
  /** @type {[number, number][] | null} */
  let stroke = null;
  const at = (/** @type {PointerEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return /** @type {[number, number]} */ ([
      (event.clientX - box.left) / box.width,
      (event.clientY - box.top) / box.height,
    ]);
  };
  canvas.onpointerdown = (event) => {
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    stroke = [at(event)];
    ink.strokes.push(stroke);
  };
  canvas.onpointermove = (event) => {
    if (!stroke) return;
    // A slow phone reports several points at once: all of them, or curves become corners.
    const points = event.getCoalescedEvents?.() ?? [];
    for (const point of points.length > 0 ? points : [event]) stroke.push(at(point));
    paint(canvas, ink);
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    stroke = null;
    changed();
  };
}

/**
 * Always dark ink on white paper, whatever the theme: it is looked at elsewhere.
 * @param {HTMLCanvasElement} canvas
 * @param {Ink} ink
 */
export function paint(canvas, ink) {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  pen.strokeStyle = pen.fillStyle = "#0b1f26";
  pen.lineWidth = 7;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of ink.strokes) {
    pen.beginPath();
    for (const [x, y] of stroke) pen.lineTo(x * WIDTH, y * HEIGHT);
    pen.stroke();
  }
  if (ink.typed.trim()) {
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.font = "italic 96px cursive";
    pen.fillText(ink.typed.trim(), WIDTH / 2, HEIGHT / 2, WIDTH - 80);
  }
}

/**
 * The signature as a picture.
 * @param {Ink} ink
 * @returns {Promise<Blob>}
 */
export function pictureOf(ink) {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  paint(canvas, ink);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("No picture"))), "image/png");
  });
}
