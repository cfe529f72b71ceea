// The panel of a driver: how they are, what they hold, what was written to them, and putting them on or off duty.

import { actButton, setWhy } from "./buttons.js";
import { h, mark, refill, say } from "./dom.js";
import { clock, label, ms, span, statusWord, where } from "./format.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./acts.js").Acts} Acts
 * @typedef {{id: number, at: string, text: string, from: string, read_at: string | null}} Message
 */

/**
 * @param {HTMLElement} body
 * @param {number} id
 * @param {{store: Store, api: import("./api.js").Api, acts: Acts, rows: ReturnType<typeof import("./rows.js").createRows>,
 *   isShown: (id: number) => boolean, onName: (name: string) => void}} context
 */
export function openDriver(body, id, { store, api, acts, rows, isShown, onName }) {
  /** What was read when the panel was opened: all there is of a driver off duty, whom no push tells of. @type {import("./store.js").Driver | undefined} */
  let told;
  const [phone, vehicle, load, heard] = [h("dd"), h("dd"), h("dd"), h("dd")];
  const [dot, word] = [h("span", { class: "dot" }), h("span")];
  const facts = h(
    "dl",
    { class: "facts" },
    h("dt", null, "Phone"),
    phone,
    h("dt", null, "Vehicle"),
    vehicle,
    h("dt", null, "Holds"),
    load,
    h("dt", null, "Last heard of"),
    heard,
  );
  const orders = h("ul", { class: "driver-orders" });
  const messages = h("ol", { class: "messages" });
  const here = [{ driver: id }];
  const duty = acts.allowed("duty") ? h("button", { type: "button", class: "act act-duty" }) : null;
  duty?.addEventListener("click", () => {
    if (duty.getAttribute("aria-disabled") !== "true")
      void acts.run("duty", here, { is_online: !isOnline() }).then(read);
  });
  const message = actButton(acts, "message", () => here);
  refill(
    body,
    h("p", { class: "driver-state" }, dot, word),
    h("div", { class: "buttons acts" }, duty, message),
    facts,
    h("h3", null, "Orders"),
    orders,
    h("h3", null, "Messages"),
    messages,
  );
  refill(messages, h("li", { class: "quiet" }, "Reading…"));

  /** Whom the store does not know is off duty and holds nothing; of whom it knows only a heartbeat, `told` says the rest. */
  const known = () => {
    const now = store.drivers.get(id);
    return now || told ? { id, ...told, ...(now ?? { is_online: false, load: 0 }) } : undefined;
  };
  const isOnline = () => Boolean(known()?.is_online);

  /** Only what is different is touched: the focus may be on it. */
  function draw() {
    const driver = known();
    onName(driver?.name ?? rows.nameOf(id));
    const is = driver ? rows.stateOf(driver) : { key: "off", word: "off duty" };
    mark(dot, "class", `dot ${is.key}`);
    say(word, is.word || "on duty");
    say(vehicle, driver?.vehicle ?? "–");
    say(load, driver ? `${driver.load ?? 0} of ${driver.capacity ?? 1}` : "–");
    say(heard, driver?.last_seen ? `${span(store.now() - ms(driver.last_seen))} ago` : "never");
    gate();
  }

  function drawOrders() {
    const held = [...store.orders.values()].filter(
      (order) => order.driver === id && (order.status === "assigned" || order.status === "picked_up"),
    );
    refill(
      orders,
      held.map((order) =>
        h(
          "li",
          null,
          h(
            "button",
            { type: "button", class: "link", onclick: () => store.select({ order: order.id }) },
            label(order),
          ),
          " ",
          h("span", { class: `badge status-${order.status}` }, statusWord(order)),
          h("span", { class: "quiet" }, ` ${where(order.pickup)} → ${where(order.dropoff)}`),
        ),
      ),
      held.length === 0 && h("li", { class: "quiet" }, "none"),
    );
  }

  function gate() {
    if (duty) {
      say(duty, isOnline() ? "Put off duty" : "Put on duty");
      setWhy(duty, acts.why("duty", here));
    }
    if (message) setWhy(message, acts.why("message", here));
  }

  async function read() {
    try {
      const answer = await api.get(`board/drivers/${id}/`);
      if (!isShown(id)) return;
      told = answer;
      draw();
      refill(phone, answer.phone ? h("a", { href: `tel:${answer.phone}` }, answer.phone) : "–");
      /** @type {Message[]} */
      const said = answer.messages;
      refill(
        messages,
        said.map((one) =>
          h(
            "li",
            null,
            h("p", { class: "said" }, one.text),
            h("span", { class: "quiet" }, `${one.from}, ${clock(one.at, store.now())}${one.read_at ? ", read" : ""}`),
          ),
        ),
        said.length === 0 && h("li", { class: "quiet" }, "none"),
      );
    } catch (/** @type {any} */ error) {
      if (isShown(id)) refill(messages, h("li", { class: "refused" }, error.message));
    }
  }

  draw();
  drawOrders();
  void read();
  return { draw, drawOrders, gate, read };
}
