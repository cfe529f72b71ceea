// What the core and the screens call things. Types only: nothing here runs.

/**
 * A place with its address; an area has none (rounded to about a kilometre before the order is held).
 * @typedef {{lat: number, lng: number, address: string}} Place
 * @typedef {{lat: number, lng: number}} Area
 *
 * @typedef {{name: string, phone: string, notes: string, has_pin?: boolean}} Contact
 *
 * @typedef {{
 *   id: number, username: string, name: string, phone: string, vehicle: string, capacity: number,
 * }} Driver
 */

/**
 * An order on offer. `act` is the driver's own answer that the server has not confirmed yet.
 * @typedef {{
 *   order: string, distance_m: number, expires_at: string, payout: string, currency: string,
 *   pickup: Place, dropoff_area: Area, version: number,
 * }} ApiOffer
 * @typedef {ApiOffer & {act: Act | null}} Offer
 */

/**
 * An order that the driver holds (or, in the history, held). `act` is the newest tap that the server has not confirmed.
 * @typedef {"pending" | "assigned" | "picked_up" | "delivered" | "cancelled" | "failed"} OrderStatus
 * @typedef {{
 *   id: string, reference?: string, status: OrderStatus, expired: boolean, version: number,
 *   pickup: Place, dropoff?: Place, dropoff_area?: Area, vehicle: string, priority: number,
 *   payout: string, currency: string, driver: number | null, contact: Contact | null,
 *   created_at: string, release_at: string, auto_assign_at: string, expires_at: string,
 *   assigned_at: string | null, picked_up_at: string | null, delivered_at: string | null,
 *   cancelled_at: string | null, failed_at: string | null,
 * }} ApiOrder
 * @typedef {ApiOrder & {act: Act | null}} Order
 */

/**
 * RFC 9457 as Baton answers it. `status` 0: no answer came (`code` "network"), or not one of Baton's ("not_baton").
 * @typedef {{
 *   status: number, code: string, title: string, detail: string, errors?: Record<string, string[]>,
 *   seconds_ago?: number, order_status?: string, retry_after?: number,
 * }} Problem
 */

/**
 * @typedef {"accept" | "decline" | "pick_up" | "deliver" | "fail" | "release"} Verb
 *
 * A tap that is not settled yet.
 * waiting: stored, to be sent as soon as there is network and its turn.
 * sending: on its way right now.
 * stuck:   cannot go on by itself: signed out, or refused by the network again and again. Still kept, still tried.
 * `stored` is false when the phone could not keep it: it lives as long as this page does.
 * @typedef {{
 *   action_id: string, kind: Verb | "proof", order: string, tappedAt: number, tries: number,
 *   state: "waiting" | "sending" | "stuck", lastProblem: Problem | null, stored: boolean,
 * }} Act
 */

/**
 * What happened, to be read by the driver. `code` is a key for the screens' words, `data` what the words need.
 *
 * | code | tone | data |
 * |---|---|---|
 * | `accepted`, `declined`, `picked_up`, `delivered`, `failed`, `released`, `proof_sent` | good | `late`: seconds it waited |
 * | the server's refusal: `order_taken`, `order_expired`, `order_cancelled`, `not_offered`, `driver_at_capacity`, `driver_offline`, `order_not_pending`, `not_found`, `invalid`, … | bad | `kind`, `problem`, `seconds`: how long before the tap arrived; `follows` if an earlier tap for the order was refused, too |
 * | `order_removed` | info | `reason`: released, unassigned, order_cancelled … (not by this driver's own tap) |
 * | `order_assigned` | info | an order came without a tap: the system or a dispatcher assigned it |
 * | `not_kept` | bad | `kind`: the phone has no room or no storage; the tap is being sent directly, keep the app open |
 * | `photo_not_kept` | bad | the same for a photo or signature |
 * | `duty_ended` | info | the server took the driver off duty |
 * | `message` | info | `text`, `from`, `id` |
 * | `update` | info | a new version is ready (`applyUpdate`) |
 *
 * @typedef {{
 *   id: string, at: number, tone: "good" | "bad" | "info", code: string, order?: string, data: Record<string, any>,
 * }} Notice
 */

/**
 * @typedef {{lat: number, lng: number, accuracy_m: number, at: number, heading?: number, speed_mps?: number}} Position
 * @typedef {{id: string | number, at: string, text: string, from: string, read_at: string | null}} Message
 * @typedef {"granted" | "prompt" | "denied" | "unavailable"} Permission
 *
 * @typedef {{
 *   state: "live" | "connecting" | "offline", since: number, heardAt: number | null, roundTripMs: number | null,
 *   replaced?: boolean,
 * }} Link live: the socket answers. connecting: trying. offline: the device says that there is no network. `replaced`: newer sockets of the same driver took its place; it does not reconnect by itself (`sync()` does).
 */

/**
 * An immutable snapshot of all that the screens show. Times are milliseconds by the device's clock unless they are the
 * API's own texts; the server's time now is `Date.now() + clockOffsetMs`.
 * @typedef {{
 *   phase: "starting" | "signed_out" | "ready",
 *   signedOutWhy: null | "revoked" | "suspended" | "replaced" | "other_driver",
 *   driver: Driver | null,
 *   kept: {driver: string, count: number} | null,
 *   duty: {wanted: boolean, confirmed: boolean | null},
 *   link: Link,
 *   clockOffsetMs: number,
 *   asOf: number | null,
 *   offers: Offer[],
 *   active: Order[],
 *   waiting: Act[],
 *   notices: Notice[],
 *   position: Position | null,
 *   geolocation: Permission,
 *   messages: Message[],
 *   storage: "ok" | "full" | "unavailable",
 *   updateReady: boolean,
 * }} State
 * `kept`: taps of the driver who was signed in last that wait until that driver signs in again (only while signed out).
 */

/**
 * @typedef {{
 *   kind: "photo" | "signature" | "pin" | "name" | "none", note?: string, recipient?: string, pin?: string,
 *   photo?: Blob, signature?: Blob,
 * }} Proof
 * @typedef {{results: ApiOrder[], next: string | null, previous: string | null}} HistoryPage
 * @typedef {{
 *   date: string, delivered: number, failed: number, released: number,
 *   payouts: {currency: string, amount: string}[], on_duty_seconds?: number,
 * }} Figures
 *
 * What the phone check shows. Null: the browser does not tell.
 * @typedef {{
 *   clockOffsetMs: number | null, roundTripMs: number | null, link: Link["state"],
 *   storage: {state: State["storage"], persisted: boolean | null, usedBytes: number | null, quotaBytes: number | null},
 *   wakeLock: "held" | "released" | "unsupported", geolocation: Permission, accuracyM: number | null,
 *   notifications: "granted" | "denied" | "default" | "unsupported", push: boolean,
 *   serviceWorker: {state: "none" | "installing" | "waiting" | "active", build: string | null}, build: string | null,
 *   standalone: boolean, saveData: boolean | null, batteryLevel: number | null, charging: boolean | null,
 *   waiting: number, userAgent: string,
 * }} Facts
 */

/**
 * What the driver can do. Acts (`accept` … `release`) resolve when the tap is safe: stored, or being sent. What became of
 * it shows in the state, first as `act`, then as a notice and a changed card. `signIn`, `history`, `figures`,
 * `enablePush` and `readMessage` reject with a Problem.
 * @typedef {{
 *   signIn: (username: string, password: string) => Promise<void>,
 *   signOut: () => Promise<void>,
 *   setDuty: (on: boolean) => Promise<void>,
 *   accept: (order: string) => Promise<void>,
 *   decline: (order: string) => Promise<void>,
 *   pickUp: (order: string) => Promise<void>,
 *   deliver: (order: string, proof: Proof) => Promise<void>,
 *   fail: (order: string, reason: string) => Promise<void>,
 *   release: (order: string, reason: string) => Promise<void>,
 *   seen: (order: string) => void,
 *   sync: () => Promise<void>,
 *   history: (cursor?: string) => Promise<HistoryPage>,
 *   figures: () => Promise<Figures>,
 *   dismiss: (notice: string) => Promise<void>,
 *   applyUpdate: () => Promise<boolean>,
 *   enablePush: () => Promise<boolean>,
 *   disablePush: () => Promise<void>,
 *   readMessage: (id: string | number) => Promise<void>,
 *   askPosition: () => void,
 *   measure: () => Promise<Facts>,
 * }} Actions
 * `applyUpdate` is false, and does nothing, while an order is active or a tap waits. `askPosition` brings up the browser's
 * own question for the location.
 *
 * @typedef {{state: () => State, subscribe: (listener: (state: State) => void) => (() => void), actions: Actions, close: () => void}} App
 */

export {};
