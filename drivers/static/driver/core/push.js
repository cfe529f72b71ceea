// Web Push: offers to a closed app. Only by the driver's own tap, and only where the server has keys for it.

import { ask, problemOf } from "./api.js";

/**
 * @param {ServiceWorkerRegistration | null} registration
 * @param {(path: string) => Promise<any>} fetched
 * @param {string | null} token
 * @returns {Promise<boolean>} whether offers will come; false: the server or the driver does not want it
 */
export async function enablePush(registration, fetched, token) {
  if (!registration || !("PushManager" in window)) return false;
  const { public_key: key } = await fetched("driver/push/");
  if (!key || (await Notification.requestPermission()) !== "granted") return false;
  const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = subscription.toJSON();
  const json = { endpoint, keys: { p256dh: keys?.p256dh, auth: keys?.auth } };
  const answer = await ask("driver/push/", { method: "POST", token, json });
  if (answer.kind !== "ok") throw problemOf(answer);
  return true;
}

/**
 * @param {ServiceWorkerRegistration | null} registration
 * @param {string | null} token
 */
export async function disablePush(registration, token) {
  const subscription = await registration?.pushManager?.getSubscription();
  if (!subscription) return;
  await ask("driver/push/", { method: "DELETE", token, json: { endpoint: subscription.endpoint } });
  await subscription.unsubscribe();
}
