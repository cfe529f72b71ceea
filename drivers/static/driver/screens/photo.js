/** A photo of the camera, made small enough for a bad network before it is kept. */

/** Pixels of the longer side, and the JPEG's quality: a door number stays readable at about 250 kB. */
const LONGEST = 1600;
const QUALITY = 0.78;

/**
 * Upright, at most LONGEST pixels, as JPEG; without where and when it was taken. Rejects when it is no picture.
 * @param {Blob} file
 * @returns {Promise<{ blob: Blob, canvas: HTMLCanvasElement }>}
 */
export async function downsized(file) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const brush = canvas.getContext("2d");
  if (!brush) throw new Error("No canvas");
  // JPEG knows no transparency.
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const blob = await new Promise((/** @type {(blob: Blob | null) => void} */ resolve) => {
    canvas.toBlob(resolve, "image/jpeg", QUALITY);
  });
  if (!blob) throw new Error("No picture");
  return { blob, canvas };
}
