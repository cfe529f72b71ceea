// On and off duty, and leaving. Not taps in the outbox: only the last wish counts, and it is told until the server has
// heard it.

import { ask, backoffMs } from "./api.js";
import * as session from "./session.js";

/** @typedef {import("./types.js").Driver} Driver */

/**
 * @param {{
 *   changed: () => Promise<void>,
 *   confirmed: (isOnline: boolean) => void,
 *   ended: () => void,
 *   signedOut: (token: string, why: "revoked" | "suspended") => void,
 * }} options `changed`: the session's record is another. `confirmed`: the server's word. `ended`: not by the driver.
 */
export function createDuty({ changed, confirmed, ended, signedOut }) {
  let timer = 0;
  let tries = 0;
  let isBusy = false;

  /** Tell the server what the driver wants, until it has heard; then nothing. */
  async function tell() {
    if (isBusy) return;
    isBusy = true;
    clearTimeout(timer);
    try {
      for (;;) {
        const record = await session.current();
        if (!record?.token || !record.pending) return;
        const answer = await ask("driver/", {
          method: "PATCH",
          token: record.token,
          json: { is_online: record.wanted },
        });
        if (answer.kind === "signed_out") return signedOut(record.token, answer.why);
        if (answer.kind !== "ok" && answer.kind !== "refused") {
          const wait = answer.kind === "retry" ? (answer.retryAfterMs ?? 0) : 0;
          timer = Number(setTimeout(() => void tell(), Math.max(wait, 250, backoffMs(tries))));
          tries += 1;
          return;
        }
        tries = 0;
        const is = answer.kind === "ok" ? Boolean(answer.data.is_online) : false;
        // Tapped again meanwhile: once more.
        await session.settleDuty(record, is);
        confirmed(is);
        await changed();
      }
    } finally {
      isBusy = false;
    }
  }

  /** Hear from the server who the driver is and whether on duty; after a heartbeat, which ends a silence. */
  async function look() {
    const before = await session.current();
    if (!before?.token || before.pending) return;
    const answer = await ask("driver/", { token: before.token });
    if (answer.kind === "signed_out") return signedOut(before.token, answer.why);
    if (answer.kind !== "ok" || !(await session.settleDuty(before, answer.data.is_online))) return;
    const { id, name, phone, vehicle, capacity, is_online } = answer.data;
    await session.setDriver({ id, name, phone, vehicle, capacity, username: before.driver.username });
    confirmed(is_online);
    if (before.wanted && !is_online) ended();
    await changed();
  }

  /** Tell the server of those who signed out without network. */
  async function farewell() {
    for (const token of await session.leaving()) {
      const answer = await ask("auth/logout/", { method: "POST", token, json: {} });
      if (answer.kind === "retry") continue;
      await session.left(token);
      // Signing out takes the driver off duty, also one who has signed in again since.
      const record = await session.current();
      if (record?.token && record.wanted) {
        await session.setDuty(record.driver.id, { wanted: true, pending: true });
        void tell();
      }
    }
  }

  return { tell, look, farewell, stop: () => clearTimeout(timer) };
}
