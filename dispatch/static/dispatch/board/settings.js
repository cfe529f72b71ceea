// What the server tells this page: who asks, what they may do, and where things are.

/**
 * @typedef {{
 *   user: {id: number, name: string},
 *   can: {assign: boolean, cancel: boolean, offer: boolean, duty: boolean, message: boolean, place: boolean, contacts: boolean},
 *   urls: {api: string, socket: string, order: string},
 *   live_seconds: number, radius_km: number,
 *   map: {style: string | null, tiles: string | null, attribution: string, worker: string, styles: string},
 *   center: [number, number] | null,
 * }} Settings
 */

/** @returns {Settings} */
export const readSettings = () => JSON.parse(document.getElementById("board-settings")?.textContent ?? "{}");
