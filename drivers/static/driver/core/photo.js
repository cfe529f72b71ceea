// Photos, small enough to be sent from a basement.

/** The server takes 5 MB and keeps 2000 pixels. */
const SMALL_BYTES = 1_000_000;
const LONGEST_SIDE = 2000;
const QUALITY = 0.85;
const TYPES = ["image/jpeg", "image/png", "image/webp"];

/**
 * The picture with at most 2000 pixels a side, as a JPEG; as it is when it is small already or cannot be read. Works in
 * the service worker, too.
 * @param {Blob} picture
 * @returns {Promise<Blob>}
 */
export async function shrunk(picture) {
  const type = picture.type || typeOf(new Uint8Array(await picture.slice(0, 12).arrayBuffer()));
  const typed = new Blob([picture], { type });
  if (typed.size <= SMALL_BYTES && TYPES.includes(type)) return typed;
  try {
    const bitmap = await createImageBitmap(typed);
    const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const smaller = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    return smaller.size < typed.size || !TYPES.includes(type) ? smaller : typed;
  } catch {
    return typed;
  }
}

/**
 * By its first bytes.
 * @param {Uint8Array} head
 */
function typeOf(head) {
  if (head[0] === 0xff && head[1] === 0xd8) return "image/jpeg";
  if (head[0] === 0x89 && head[1] === 0x50) return "image/png";
  if (head[0] === 0x52 && head[8] === 0x57) return "image/webp";
  return "application/octet-stream";
}
