// The dispatcher's board: wires the store, the live line and what is drawn. Runs once, on /admin/board/.

import { createLink } from "./link.js";
import { createStore } from "./store.js";

/**
 * @typedef {{
 *   user: {id: number, name: string},
 *   can: {assign: boolean, cancel: boolean, offer: boolean, duty: boolean, message: boolean, place: boolean, contacts: boolean},
 *   urls: {api: string, socket: string, order: string},
 *   live_seconds: number, radius_km: number,
 *   map: {style: string | null, tiles: string | null, attribution: string, worker: string},
 *   center: [number, number] | null,
 * }} Settings
 */

const element = document.getElementById("board-settings");
/** @type {Settings} */
const settings = JSON.parse(element?.textContent ?? "{}");
const store = createStore();
const link = createLink({ store, path: settings.urls.socket });
link.start();
