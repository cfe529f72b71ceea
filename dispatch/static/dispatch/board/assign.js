// Who gets it: the nearest drivers with how far, how old their position is, how much they carry, and why the rest cannot.

import { openDialog } from "./dialogs.js";
import { h, refill, say } from "./dom.js";
import { distance, plural, span, where } from "./format.js";
import { verdictWord } from "./words.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./acts.js").Acts} Acts
 * @typedef {import("./acts.js").ActRow} ActRow
 * @typedef {{driver: number, name: string, vehicle?: string, distance_m: number | null, position_age_s: number | null,
 *   load: number | null, capacity: number | null, cost?: number | null, verdict?: string | null}} Candidate
 */

const FOUND = 8;

/** A position's age as it reads in a table. @param {number | null | undefined} seconds */
export const ageWord = (seconds) => (seconds === null || seconds === undefined ? "–" : span(seconds * 1000));

/**
 * The dialog of an assignment: for one order a table of candidates, for many "the nearest for each"; for both anybody by
 * name.
 * @param {HTMLElement} parent
 * @param {{store: Store, api: import("./api.js").Api, acts: Acts}} context
 * @param {ActRow[]} rows
 */
export function askWhom(parent, { store, api, acts }, rows) {
  const orders = rows.flatMap((row) => ("order" in row ? (store.orders.get(row.order) ?? []) : []));
  const [first] = orders;
  if (!first) return;
  const isOne = orders.length === 1;
  const verb = orders.every((order) => order.status === "assigned") ? "Reassign" : "Assign";
  const { dialog, body } = openDialog(
    parent,
    `${verb} ${isOne ? acts.called(rows[0] ?? { driver: 0 }) : plural(rows.length, "order")}`,
    "ask assign",
  );
  const why = h("p", { class: "why", role: "status" });
  const table = h("div", { class: "candidates" });
  const search = h("input", {
    type: "search",
    "aria-label": "Somebody else, by name",
    placeholder: "Somebody else: type a name",
    autocomplete: "off",
  });
  const found = h("ul", { class: "found" });

  /** @param {number} driver */
  function give(driver) {
    const still = acts.why("assign", rows);
    if (still) {
      say(why, still);
      return;
    }
    dialog.close();
    void acts.run("assign", rows, { driver });
  }

  if (isOne) {
    body.append(
      h(
        "p",
        { class: "route" },
        where(first.pickup),
        " → ",
        where(first.dropoff),
        first.vehicle && ` · ${first.vehicle}`,
      ),
    );
    table.append(h("p", { class: "quiet" }, "Looking for the nearest drivers…"));
    void load();
  } else {
    const pending = rows.filter((row) => "order" in row && store.orders.get(row.order)?.status === "pending");
    const nearest = h(
      "button",
      {
        type: "button",
        class: "primary",
        onclick: () => {
          dialog.close();
          void acts.run("assign_nearest", pending);
        },
      },
      `The nearest free driver for each of ${plural(pending.length, "order")}`,
    );
    table.append(pending.length ? nearest : h("p", null, "All of them are held already: choose who gets them."));
    queueMicrotask(() => (pending.length ? nearest : search).focus());
  }

  async function load() {
    if (!first) return;
    /** @type {Candidate[]} */
    let able;
    /** @type {Candidate[]} */
    let others;
    try {
      const answer = await api.get("board/candidates/", { order: first.id });
      [able, others] = [answer.results, answer.ruled_out];
    } catch (/** @type {any} */ error) {
      refill(table, h("p", { class: "refused" }, error.message));
      return;
    }
    if (!dialog.open) return;
    // Whom it is to be taken from is no candidate.
    const holder = able.find((one) => one.driver === first.driver);
    if (holder) {
      able = able.filter((one) => one !== holder);
      others = [{ ...holder, verdict: "holds_it" }, ...others];
    }
    refill(
      table,
      able.length === 0 && h("p", { class: "none" }, "No driver in reach could take it now."),
      able.length > 0 && tableOf(able, give),
      others.length > 0 &&
        h(
          "details",
          { class: "ruled-out", open: able.length === 0 },
          h("summary", null, `${plural(others.length, "driver")} in reach who cannot`),
          tableOf(others),
        ),
    );
    const input = /** @type {HTMLElement | null} */ (table.querySelector("tbody button"));
    if (document.activeElement !== search || !search.value) (input ?? search).focus();
  }

  // Up and down through the candidates, without the mouse.
  body.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = /** @type {HTMLElement[]} */ ([...body.querySelectorAll("tbody button, .found button, input")]);
    const at = stops.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = stops[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  });

  search.addEventListener("input", () => {
    const text = search.value.trim().toLowerCase();
    const hits = [];
    if (text) {
      for (const driver of store.drivers.values()) {
        if (!driver.is_online || !driver.name?.toLowerCase().includes(text)) continue;
        hits.push(driver);
        if (hits.length === FOUND) break;
      }
    }
    refill(
      found,
      hits.map((driver) =>
        h(
          "li",
          null,
          h("button", { type: "button", onclick: () => give(driver.id) }, driver.name ?? ""),
          h("span", { class: "quiet" }, ` ${driver.vehicle ?? ""} · holds ${driver.load ?? 0}/${driver.capacity ?? 1}`),
        ),
      ),
      text !== "" && hits.length === 0 && h("li", { class: "quiet" }, "Nobody on duty has that name."),
    );
  });
  body.append(table, h("div", { class: "somebody" }, search, found), why);
}

/**
 * Drivers with what decides: also for "why this driver?".
 * @param {Candidate[]} candidates
 * @param {(driver: number) => void} [give] puts a button into each row
 * @param {number | null} [chosen]
 */
export function tableOf(candidates, give, chosen = null) {
  const hasCost = candidates.some((one) => typeof one.cost === "number");
  const hasVerdict = candidates.some((one) => one.verdict || one.driver === chosen);
  const heads = [
    "Driver",
    "Distance",
    "Position",
    "Holds",
    ...(hasCost ? ["Cost"] : []),
    ...(hasVerdict ? [chosen ? "Outcome" : "Why not"] : []),
  ];
  return h(
    "table",
    { class: "drivers-table" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        heads.map((text) => h("th", { scope: "col" }, text)),
      ),
    ),
    h(
      "tbody",
      null,
      candidates.map((one) =>
        h(
          "tr",
          { class: one.driver === chosen ? "chosen" : null },
          h(
            "th",
            { scope: "row" },
            give
              ? h(
                  "button",
                  {
                    type: "button",
                    onclick: () => give(one.driver),
                    "aria-label": `Assign to ${one.name}, ${distance(one.distance_m)}`,
                  },
                  one.name,
                )
              : one.name,
          ),
          h("td", null, distance(one.distance_m)),
          h("td", { title: "age of the position" }, ageWord(one.position_age_s)),
          h("td", null, typeof one.load === "number" ? `${one.load}/${one.capacity ?? "?"}` : "–"),
          hasCost && h("td", null, distance(one.cost)),
          hasVerdict && h("td", null, one.driver === chosen ? "chosen" : verdictWord(one.verdict)),
        ),
      ),
    ),
  );
}
