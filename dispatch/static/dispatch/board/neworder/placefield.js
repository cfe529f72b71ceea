// A field for a place: coordinates in any form, a saved place by a part of its name, or a click on the map.

import { h, mark, refill, say } from "../dom.js";
import { readPlace, written } from "./places.js";

/**
 * @typedef {{lat: number, lng: number, address: string}} Chosen
 * @typedef {{id: string, title: string, about: string, place: Chosen}} Option
 * @typedef {ReturnType<typeof placeField>} PlaceField
 */

const TYPING_MS = 150;
let fields = 0;

/**
 * @param {{
 *   label: string, name: string, api: import("../api.js").Api,
 *   onChange: () => void, onMap: (() => void) | null,
 * }} context
 */
export function placeField({ label, name, api, onChange, onMap }) {
  fields += 1;
  const id = `place-${fields}`;
  const input = h("input", {
    type: "text",
    id,
    name,
    role: "combobox",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": `${id}-list`,
    "aria-describedby": `${id}-told`,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "Saved place, coordinates or map link",
  });
  const list = h("ul", {
    class: "place-options",
    id: `${id}-list`,
    role: "listbox",
    "aria-label": `${label}: places`,
    hidden: true,
  });
  const told = h("p", { class: "field-told", id: `${id}-told` });
  const address = h("input", {
    type: "text",
    name: `${name}.address`,
    "aria-label": `${label}: address`,
    placeholder: "Address for the driver",
    maxlength: "300",
    autocomplete: "off",
  });
  const button =
    onMap &&
    h(
      "button",
      { type: "button", class: "button quiet place-map", "aria-label": `${label}: show on the map`, onclick: onMap },
      "Map",
    );
  const element = h(
    "div",
    { class: "field place-field" },
    h("label", { for: id }, label),
    h("div", { class: "place-row" }, input, button),
    list,
    told,
    address,
  );

  /** @type {{lat: number, lng: number} | null} */
  let place = null;
  /** @type {Option[]} */
  let options = [];
  let active = -1;
  let timer = 0;
  let asked = 0;
  /** The address was put there by us: another place may replace it. */
  let ownAddress = "";

  /** @param {string} text @param {boolean} isError */
  function tell(text, isError) {
    say(told, text);
    element.classList.toggle("has-error", isError);
    mark(input, "aria-invalid", isError ? "true" : null);
  }

  function close() {
    list.hidden = true;
    active = -1;
    mark(input, "aria-expanded", "false");
    mark(input, "aria-activedescendant", null);
  }

  /** @param {Option[]} found */
  function open(found) {
    options = found;
    active = -1;
    refill(
      list,
      found.map((option, index) =>
        h(
          "li",
          {
            id: `${id}-${index}`,
            role: "option",
            "aria-selected": "false",
            // Before the field loses the focus, and the list with it.
            onpointerdown: (/** @type {Event} */ event) => {
              event.preventDefault();
              choose(option);
            },
          },
          h("strong", null, option.title),
          option.about && ` ${option.about}`,
        ),
      ),
    );
    list.hidden = !found.length;
    mark(input, "aria-expanded", String(Boolean(found.length)));
  }

  /** @param {number} by */
  function move(by) {
    if (list.hidden || !options.length) return;
    active = (active + by + options.length + (active < 0 && by < 0 ? 1 : 0)) % options.length;
    for (const [index, item] of [...list.children].entries()) {
      mark(item, "aria-selected", String(index === active));
      if (index === active) item.scrollIntoView({ block: "nearest" });
    }
    mark(input, "aria-activedescendant", `${id}-${active}`);
  }

  /** @param {Option} option */
  function choose(option) {
    place = { lat: option.place.lat, lng: option.place.lng };
    input.value = option.title;
    if (!address.value || address.value === ownAddress) {
      ownAddress = option.place.address;
      address.value = ownAddress;
    }
    tell(written(place), false);
    close();
    onChange();
  }

  function typed() {
    const reading = readPlace(input.value);
    place = reading.place;
    tell(
      reading.place ? `${written(reading.place)} ${reading.note}`.trim() : reading.note,
      !reading.place && reading.note !== "",
    );
    onChange();
    clearTimeout(timer);
    if (reading.place || reading.note) {
      asked += 1;
      close();
    } else timer = setTimeout(suggest, TYPING_MS);
  }

  async function suggest() {
    asked += 1;
    const mine = asked;
    try {
      const { results } = await api.get("board/places/", { q: input.value.trim().slice(0, 100) });
      if (mine !== asked || document.activeElement !== input) return;
      open(
        results.map((/** @type {{id: number, name: string, address: string, lat: number, lng: number}} */ saved) => ({
          id: String(saved.id),
          title: saved.name,
          about: saved.address,
          place: { lat: saved.lat, lng: saved.lng, address: saved.address || saved.name },
        })),
      );
      if (!results.length && input.value.trim()) tell("No saved place is called so.", false);
    } catch {
      // Without suggestions coordinates and the map still work.
    }
  }

  input.addEventListener("input", typed);
  input.addEventListener("focus", () => {
    if (!place && !input.value) void suggest();
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && list.hidden && !place) void suggest();
    else if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter" && !list.hidden && active >= 0) choose(/** @type {Option} */ (options[active]));
    else if (event.key === "Escape" && !list.hidden) close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    element,
    input,
    get value() {
      return place && { ...place, address: address.value.trim() };
    },
    /** A place from the map. @param {{lat: number, lng: number}} shown */
    set(shown) {
      place = { lat: Math.round(shown.lat * 1e6) / 1e6, lng: Math.round(shown.lng * 1e6) / 1e6 };
      input.value = written(place);
      if (address.value === ownAddress) address.value = ownAddress = "";
      tell("From the map.", false);
      close();
      onChange();
    },
    clear() {
      place = null;
      input.value = address.value = ownAddress = "";
      tell("", false);
      close();
    },
    /** @param {string} text */
    fail: (text) => tell(text, true),
    /** Something was typed that is no place. */
    get isUnread() {
      return !place && input.value.trim() !== "";
    },
  };
}
