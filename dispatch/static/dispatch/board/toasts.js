// What became of an act: a line that says so, for ten seconds with its undo, or a report of every row that failed with a
// retry of only those.

import { h, refill, say } from "./dom.js";
import { plural } from "./format.js";
import { refusal } from "./words.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./acts.js").Acts} Acts
 * @typedef {import("./acts.js").Outcome} Outcome
 * @typedef {{element: HTMLElement, undos: string[], until: number, words: HTMLElement, said: () => string, clock: HTMLElement | null, gone: number}} Toast
 */

const UNDO_MS = 10_000;
const SAID_MS = 6000;
const REFUSED_MS = 15_000;
const MOST = 4;

/** @typedef {ReturnType<typeof createToasts>} Toasts */

/**
 * @param {HTMLElement} element
 * @param {{store: Store, nameOf: (id: number) => string, onLeave: () => void}} context onLeave: the focus needs a place
 */
export function createToasts(element, { store, nameOf, onLeave }) {
  /** @type {Acts} */
  let acts;
  const region = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  const report = h("section", { class: "report", "aria-label": "What was not done", tabindex: "-1", hidden: true });
  element.append(report, region);
  /** @type {Toast[]} */
  let toasts = [];

  /** @param {string | (() => string)} text a function is asked again: names may come later @param {{kind?: "done" | "refused" | "info", undos?: string[], until?: number, lasts?: number}} [options] */
  function toast(text, { kind = "info", undos = [], until = 0, lasts = SAID_MS } = {}) {
    const clock = undos.length ? h("span", { class: "left" }) : null;
    const undo = undos.length
      ? h("button", { type: "button", class: "undo", onclick: () => void undoOf(made) }, "Undo ", h("kbd", null, "z"))
      : null;
    const words = h("span", { class: "text" });
    const close = h(
      "button",
      { type: "button", class: "close", "aria-label": "Dismiss", onclick: () => leave(made) },
      "×",
    );
    const box = h("div", { class: `toast ${kind}` }, words, clock, undo, close);
    /** @type {Toast} */
    const made = {
      element: box,
      undos,
      until,
      words,
      said: typeof text === "string" ? () => text : text,
      clock,
      gone: undos.length ? until : store.now() + lasts,
    };
    toasts.push(made);
    region.append(box);
    while (toasts.length > MOST && toasts[0]) leave(toasts[0]);
    tick();
    return made;
  }

  /** @param {Toast} which */
  function leave(which) {
    const hadFocus = which.element.contains(document.activeElement);
    which.element.remove();
    toasts = toasts.filter((one) => one !== which);
    if (hadFocus) onLeave();
  }

  function tick() {
    const now = store.now();
    for (const one of [...toasts]) {
      say(one.words, one.said());
      if (one.clock) say(one.clock, `${Math.max(0, Math.ceil((one.until - now) / 1000))} s`);
      // Whoever is about to press it shall not see it vanish.
      if (now >= one.gone && !(one.clock === null && one.element.matches(":hover, :focus-within"))) leave(one);
    }
  }

  /** @param {Toast} which */
  async function undoOf(which) {
    leave(which);
    const results = await acts.undo(which.undos);
    const failed = results.filter((result) => !result.ok);
    const done = results.length - failed.length;
    if (done) toast(results.length === 1 ? "Undone." : `${plural(done, "act")} undone.`, { kind: "done" });
    for (const { problem } of failed.slice(0, 3)) {
      toast(problem ? `Not undone: ${refusal(problem, nameOf, store.now())}` : "Not undone.", {
        kind: "refused",
        lasts: REFUSED_MS,
      });
    }
  }

  /** Say what became of an act. @param {Outcome} outcome */
  function tell(outcome) {
    const { act, rows, results } = outcome;
    const { verb, done: past } = acts.ACTS[act];
    const done = results.filter((result) => result.ok);
    const failed = results.filter((result) => !result.ok);
    const undos = done.flatMap((result) => (result.undo ? [result.undo.id] : []));
    const ends = done.flatMap((result) => (result.undo ? [Date.parse(result.undo.until)] : []));
    const until = ends.length ? Math.min(...ends, store.now() + UNDO_MS) : 0;
    if (done.length) {
      const [first] = done;
      const name = rows.length === 1 && first ? acts.called(first) : plural(done.length, "row");
      const holder = first?.document?.driver ?? null;
      const to = () => (past.endsWith("assigned") && holder ? ` to ${nameOf(holder)}` : "");
      const text = () => (rows.length === 1 ? `${name}: ${past}${to()}.` : `${done.length} of ${rows.length} ${past}.`);
      toast(text, { kind: "done", undos, until });
    }
    if (!failed.length) return;
    showReport(outcome, `${verb}: ${rows.length === 1 ? "not done" : `${failed.length} of ${rows.length} not done`}`);
  }

  /** @param {Outcome} outcome @param {string} title */
  function showReport(outcome, title) {
    const failed = outcome.results.filter((result) => !result.ok);
    const again = acts.again(outcome);
    const retry = h(
      "button",
      {
        type: "button",
        class: "primary retry",
        onclick: () => {
          leaveReport();
          // As they are now: whoever presses this has read who did what.
          void acts.run(outcome.act, acts.again(outcome), outcome.details);
        },
      },
      failed.length === 1 ? "Try again" : `Try the ${plural(again.length, "failed one")} again`,
    );
    const close = h("button", { type: "button", class: "dismiss", onclick: leaveReport }, "Close");
    refill(
      report,
      h("h3", { role: "alert" }, title),
      h(
        "ul",
        null,
        failed.map((result) => {
          const text = result.problem ? refusal(result.problem, nameOf, store.now()) : "No result.";
          const name = acts.called(result);
          const { order } = result;
          const link = order
            ? h("button", { type: "button", class: "link", onclick: () => store.select({ order }) }, name)
            : h("strong", null, name);
          return h("li", null, link, " ", h("span", null, text));
        }),
      ),
      h("div", { class: "buttons" }, again.length > 0 && retry, close),
    );
    report.hidden = false;
    if (document.activeElement === document.body) report.focus();
  }

  function leaveReport() {
    hideReport();
    onLeave();
  }

  function hideReport() {
    report.hidden = true;
    report.replaceChildren();
  }

  return {
    toast,
    tell,
    tick,
    /** @param {Acts} made */
    use(made) {
      acts = made;
    },
    /** Undo the latest act that still can be. Returns whether there was one. */
    undoLatest() {
      const latest = toasts.findLast((one) => one.undos.length);
      if (latest) void undoOf(latest);
      return Boolean(latest);
    },
    /** Close the report, if there is one. */
    dismiss() {
      if (report.hidden) return false;
      hideReport();
      return true;
    },
  };
}
