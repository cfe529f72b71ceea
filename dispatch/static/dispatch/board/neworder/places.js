// Places as people write and paste them: coordinates in any usual form, geo: links, links to maps. Pure functions, no page.

/**
 * @typedef {{lat: number, lng: number}} LatLng
 * @typedef {{place: LatLng, note: string} | {place: null, note: string}} Reading a place, or why it is none ("" if the text is
 *   no attempt at coordinates at all)
 */

const NOTHING = { place: null, note: "" };
const NUMBER = "[-+−]?\\d{1,3}(?:[.,]\\d+)?";

/** @param {string} text */
const number = (text) => Number(text.replace("−", "-").replace(",", "."));

/** To five decimals: about a metre. @param {number} degrees */
const rounded = (degrees) => Math.round(degrees * 1e6) / 1e6;

/** A place in the form that everybody reads. @param {LatLng} place */
export const written = ({ lat, lng }) => `${lat.toFixed(5)}, ${lng.toFixed(5)}`;

/** @param {number} lat @param {number} lng @returns {Reading} */
function checked(lat, lng) {
  if (Number.isNaN(lat) || Number.isNaN(lng)) return NOTHING;
  if (Math.abs(lat) <= 90 && Math.abs(lng) <= 180) return { place: { lat: rounded(lat), lng: rounded(lng) }, note: "" };
  // The other way round can only be meant where it cannot be meant this way.
  if (Math.abs(lng) <= 90 && Math.abs(lat) <= 180) {
    return { place: { lat: rounded(lng), lng: rounded(lat) }, note: "Longitude came first: read the other way round." };
  }
  return { place: null, note: "Latitude is −90 to 90, longitude −180 to 180." };
}

/** Two numbers that stand for themselves: `37.77, -122.41`, `37,77; -122,41`, `37.77 -122.41`. @param {string} text */
function plain(text) {
  const points = /^\(?\s*([-+−]?\d{1,3}(?:\.\d+)?)\s*°?\s*[,;/\s]\s*([-+−]?\d{1,3}(?:\.\d+)?)\s*°?\s*\)?$/.exec(text);
  if (points) return checked(number(points[1] ?? ""), number(points[2] ?? ""));
  const commas = /^([-+−]?\d{1,3},\d+)\s*(?:[;/]|,\s|\s)\s*([-+−]?\d{1,3},\d+)$/.exec(text);
  return commas ? checked(number(commas[1] ?? ""), number(commas[2] ?? "")) : null;
}

/** Degrees, minutes and seconds, with the four directions: `37°46′30″N 122°25′10″W`, `N 37 46.5 W 122 25.2`. @param {string} text */
function compass(text) {
  const upper = text.toUpperCase();
  if (!/[NS]/.test(upper) || !/[EWO]/.test(upper) || /[A-DF-MP-RT-VX-Z]/.test(upper)) return null;
  const angle =
    "(\\d{1,3}(?:[.,]\\d+)?)\\s*[°º:\\s]?\\s*(?:(\\d{1,2}(?:[.,]\\d+)?)\\s*['’′:\\s]\\s*)?(?:(\\d{1,2}(?:[.,]\\d+)?)\\s*(?:\"|”|″|''|’’|′′)?)?";
  const after = new RegExp(`^${angle}\\s*([NS])[\\s,;/]*${angle}\\s*([EWO])$`).exec(upper);
  const before = new RegExp(`^([NS])\\s*${angle}[\\s,;/]*([EWO])\\s*${angle}$`).exec(upper);
  /** @param {(string | undefined)[]} parts */
  const degrees = ([whole, minutes, seconds]) =>
    number(whole ?? "") + number(minutes ?? "0") / 60 + number(seconds ?? "0") / 3600;
  const found = after
    ? { lat: after.slice(1, 4), ns: after[4], lng: after.slice(5, 8), ew: after[8] }
    : before && { ns: before[1], lat: before.slice(2, 5), ew: before[5], lng: before.slice(6, 9) };
  if (!found) return null;
  if ([...found.lat.slice(1), ...found.lng.slice(1)].some((part) => part !== undefined && number(part) >= 60)) {
    return { place: null, note: "Minutes and seconds are below 60." };
  }
  return checked(degrees(found.lat) * (found.ns === "S" ? -1 : 1), degrees(found.lng) * (found.ew === "W" ? -1 : 1));
}

/** What links to maps have in them, the exact pin before the middle of the view. */
const IN_LINKS = [
  new RegExp(`!3d(${NUMBER})!4d(${NUMBER})`),
  new RegExp(`[?&]mlat=(${NUMBER})&mlon=(${NUMBER})`),
  new RegExp(
    `[?&](?:q|query|destination|daddr|ll|sll|center|cp|at|pin|point|map)=(?:loc:|place:)?(${NUMBER})(?:,|~|\\s)\\+?(${NUMBER})`,
  ),
  new RegExp(`/@(${NUMBER}),(${NUMBER})`),
  new RegExp(`[#&?]map=\\d+(?:\\.\\d+)?/(${NUMBER})/(${NUMBER})`),
  new RegExp(`/(?:place|search|dir)/(?:[^/]*/)*?(${NUMBER}),\\+?(${NUMBER})`),
];

/** @param {string} text */
function link(text) {
  let whole = text;
  try {
    whole = decodeURIComponent(text);
  } catch {
    // A stray percent sign: as it is, then.
  }
  if (/^geo:/i.test(whole)) {
    // `geo:0,0?q=…` is how a place with a name is written.
    const query = new RegExp(`[?&]q=(${NUMBER}),(${NUMBER})`).exec(whole);
    const own = new RegExp(`^geo:(${NUMBER}),(${NUMBER})`, "i").exec(whole);
    const found = query ?? own;
    return found ? checked(number(found[1] ?? ""), number(found[2] ?? "")) : NOTHING;
  }
  if (!/^[a-z]+:\/\//i.test(whole)) return null;
  for (const form of IN_LINKS) {
    const found = form.exec(whole);
    if (found) return checked(number(found[1] ?? ""), number(found[2] ?? ""));
  }
  return {
    place: null,
    note: "This link has no coordinates in it. Open it, and copy the address of the page that it leads to.",
  };
}

/** Words around two numbers: `lat: 37.77, lng: -122.41`, JSON, `POINT(-122.41 37.77)`. @param {string} text */
function labelled(text) {
  const lat = /lat(?:itude)?["']?\s*[:=]?\s*["']?([-+−]?\d{1,3}(?:\.\d+)?)/i.exec(text);
  const lng = /(?:lng|lon(?:g(?:itude)?)?)["']?\s*[:=]?\s*["']?([-+−]?\d{1,3}(?:\.\d+)?)/i.exec(text);
  if (lat && lng) return checked(number(lat[1] ?? ""), number(lng[1] ?? ""));
  const point = /^(?:SRID=4326;)?POINT\s*\(\s*(-?\d+(?:\.\d+)?)\s+(-?\d+(?:\.\d+)?)\s*\)$/i.exec(text);
  return point ? checked(number(point[2] ?? ""), number(point[1] ?? "")) : null;
}

/** What somebody typed or pasted, as a place. @param {string} text @returns {Reading} */
export function readPlace(text) {
  const whole = text.trim().replace(/\s+/g, " ");
  if (!whole || whole.length > 2000) return NOTHING;
  return link(whole) ?? plain(whole) ?? compass(whole) ?? labelled(whole) ?? NOTHING;
}
