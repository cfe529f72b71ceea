// The live line's first connection, asked for while the other scripts of the page are still on their way: the server reads
// the board meanwhile. It imports nothing, so that it runs at once; link.js takes the socket over with what it has heard.

export const SUBPROTOCOL = "baton.v1";

/** @param {string} path */
export function openSocket(path) {
  const address = new URL(path, location.href);
  // Twenty thousand drivers in one frame would hold everything up.
  address.searchParams.set("chunked", "1");
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(address, SUBPROTOCOL);
}

/** @typedef {{socket: WebSocket, heard: string[]}} Early */

/** @type {Early | null} */
let early = null;
const settings = document.getElementById("board-settings")?.textContent;
if (settings) {
  const socket = openSocket(JSON.parse(settings).urls.socket);
  /** @type {string[]} */
  const heard = [];
  socket.onmessage = ({ data }) => heard.push(data);
  early = { socket, heard };
}

/** The connection of the page's beginning, for whoever asks first; null if it has come to nothing. */
export function takeEarly() {
  const mine = early;
  early = null;
  return mine && mine.socket.readyState <= WebSocket.OPEN ? mine : null;
}
