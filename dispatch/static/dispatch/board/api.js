// The board's way to the REST interface: this page's session, the CSRF token, and problem documents as errors.

/** @typedef {{status: number, code: string, detail: string, errors?: Record<string, string[]>, [more: string]: any}} ProblemDocument */

/** A refusal as the server worded it; code `unreachable` when there was no answer at all. */
export class Problem extends Error {
  /** @param {ProblemDocument} document */
  constructor(document) {
    const fields = Object.entries(document.errors ?? {}).map(([field, told]) => `${field}: ${told.join(" ")}`);
    super(fields.length ? `${document.detail} ${fields.join("; ")}` : document.detail);
    this.document = document;
  }
}

const TIMEOUT_MS = 20_000;
const UNREACHABLE = {
  status: 0,
  code: "unreachable",
  detail: "No answer from the server. Trying again is safe: nothing is done twice.",
};

/** Bad gateway and gateway timeout, if nobody of ours says so. */
const LOST = new Set([502, 504]);

/** A key that nobody else has; also where the page is not served over TLS, which `crypto.randomUUID` asks for. */
export const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const token = () => /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? "";

/** @typedef {ReturnType<typeof createApi>} Api */

/** @param {string} base where the interface begins: `/api/v1/` */
export function createApi(base) {
  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {Record<string, string>} [headers]
   * @returns {Promise<any>} the answer's document
   */
  async function ask(method, path, body, headers) {
    let answer;
    try {
      answer = await fetch(base + path, {
        method,
        credentials: "same-origin",
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: {
          Accept: "application/json",
          ...(body === undefined ? {} : { "Content-Type": "application/json", "X-CSRFToken": token() }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch {
      throw new Problem(UNREACHABLE);
    }
    const document = await answer.json().catch(() => null);
    // Cut off on its way, or a proxy's word for a server that did not answer: it may have been done.
    if (answer.ok ? !document : LOST.has(answer.status) && !document?.code) throw new Problem(UNREACHABLE);
    if (answer.ok) return document;
    throw new Problem(
      document?.code ? document : { status: answer.status, code: "refused", detail: `Refused (${answer.status}).` },
    );
  }
  return {
    /** @param {string} path @param {Record<string, string | number>} [query] */
    get: (path, query) => ask("GET", query ? `${path}?${new URLSearchParams(/** @type {any} */ (query))}` : path),
    /** @param {string} path @param {unknown} body @param {Record<string, string>} [headers] */
    post: (path, body, headers) => ask("POST", path, body, headers),
  };
}
