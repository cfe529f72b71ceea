// The way to the server: one call, one answer of a few kinds, never an exception and never an endless wait.
//
// Only what Baton itself says is believed. A hotel's sign-in page answers 200 to everything, a proxy in the middle of a
// deployment answers 404 or 413 in HTML: to take that for an answer would be to lose a tap. So a success must be JSON and
// a refusal a problem document; whatever else comes back counts as no answer.

/** @typedef {import("./types.js").Problem} Problem */

/**
 * @typedef {{kind: "ok", status: number, data: any, headers: Headers, sentAt: number, heardAt: number}} Ok
 * @typedef {{kind: "unchanged", headers: Headers}} Unchanged 304
 * @typedef {{kind: "refused", problem: Problem}} Refused final: the same again would be refused again
 * @typedef {{kind: "signed_out", why: "revoked" | "suspended", problem: Problem}} SignedOut
 * @typedef {{kind: "retry", problem: Problem, retryAfterMs: number | null}} Retry no answer, or one that means "later"
 * @typedef {Ok | Unchanged | Refused | SignedOut | Retry} Answer
 *
 * @typedef {{
 *   method?: string, token?: string | null, json?: unknown, body?: BodyInit, contentType?: string,
 *   headers?: Record<string, string>, timeoutMs?: number, keepalive?: boolean,
 * }} Call
 */

export const BASE = "/api/v1/";
/** What the server or something before it cannot answer now but may later. */
const LATER = new Set([408, 425, 429]);
const TIMEOUT_MS = 15_000;
/** Nobody is kept waiting longer than this by a Retry-After, however it came about. */
const LONGEST_RETRY_AFTER_MS = 10 * 60_000;

/**
 * @param {string} code
 * @param {string} detail
 * @param {number} [status]
 * @returns {Problem}
 */
export function trouble(code, detail, status = 0) {
  return { status, code, title: "No answer", detail };
}

/**
 * Why it did not work, for whoever asked.
 * @param {Exclude<Answer, Ok>} answer
 * @returns {Problem}
 */
export function problemOf(answer) {
  return answer.kind === "unchanged" ? trouble("not_baton", "Nothing that was asked for.", 304) : answer.problem;
}

/**
 * A Retry-After header as milliseconds from now: seconds, or a date.
 * @param {string | null} value
 * @param {number} now
 */
export function retryAfterMs(value, now) {
  if (!value) return null;
  const seconds = Number(value);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - now;
  return Number.isNaN(wait) ? null : Math.min(Math.max(wait, 0), LONGEST_RETRY_AFTER_MS);
}

/**
 * Ask the server. `path` is relative to the API.
 * @param {string} path
 * @param {Call} [call]
 * @returns {Promise<Answer>}
 */
export async function ask(path, call = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), call.timeoutMs ?? TIMEOUT_MS);
  const sentAt = Date.now();
  try {
    const response = await fetch(BASE + path, {
      method: call.method ?? "GET",
      headers: headersOf(call),
      body: call.json === undefined ? call.body : JSON.stringify(call.json),
      signal: stop.signal,
      // The token says who asks, the service worker keeps no answers, and an answer from elsewhere is none.
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      keepalive: call.keepalive ?? false,
    });
    // The body counts, too: an answer that was cut off in the middle is none.
    const text = await response.text();
    return judge(response, text, sentAt);
  } catch (error) {
    const late = stop.signal.aborted;
    const detail = late ? "The server did not answer in time." : `There is no connection. ${error}`;
    return { kind: "retry", problem: trouble(late ? "timeout" : "network", detail), retryAfterMs: null };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {Call} call
 * @returns {Record<string, string>}
 */
function headersOf(call) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...call.headers };
  if (call.token) headers.Authorization = `Bearer ${call.token}`;
  if (call.json !== undefined) headers["Content-Type"] = "application/json";
  else if (call.contentType) headers["Content-Type"] = call.contentType;
  return headers;
}

/**
 * @param {Response} response
 * @param {string} text
 * @param {number} sentAt
 * @returns {Answer}
 */
function judge(response, text, sentAt) {
  const { status, headers } = response;
  if (status === 304) return { kind: "unchanged", headers };
  const type = headers.get("Content-Type") ?? "";
  const data = type.includes("json") ? parsed(text) : undefined;
  if (status === 204 || (response.ok && type.startsWith("application/json") && data !== undefined)) {
    return { kind: "ok", status, data: data ?? null, headers, sentAt, heardAt: Date.now() };
  }
  const problem = type.startsWith("application/problem+json") && data && typeof data.code === "string" ? data : null;
  const wait = retryAfterMs(headers.get("Retry-After"), Date.now());
  if (!problem || status >= 500 || LATER.has(status)) {
    const foreign = trouble("not_baton", `Something that is not Baton answered ${status}.`, status);
    return { kind: "retry", problem: problem ?? foreign, retryAfterMs: wait };
  }
  if (status === 401 && problem.code !== "sign_in_refused") return { kind: "signed_out", why: "revoked", problem };
  if (problem.code === "driver_suspended") return { kind: "signed_out", why: "suspended", problem };
  return { kind: "refused", problem };
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Full jitter: anything from nothing to the bound, which doubles with every try.
 * @param {number} tries
 * @param {{firstMs?: number, longestMs?: number}} [bounds]
 */
export function backoffMs(tries, { firstMs = 1000, longestMs = 30_000 } = {}) {
  return Math.random() * Math.min(longestMs, firstMs * 2 ** Math.min(tries, 20));
}
