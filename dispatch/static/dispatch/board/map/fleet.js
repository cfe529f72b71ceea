// The drivers as the map needs them: typed arrays instead of objects, states, clusters. Pure computing, no page: with 20,000
// drivers a whole round (take what changed, judge, cluster, pack) must cost a few milliseconds.

/**
 * @typedef {import("../store.js").Driver} Driver
 * @typedef {{x: number, y: number, count: number, states: Uint32Array, west: number, north: number, east: number, south: number}} Cluster
 */

/** What a driver can be, in the order of the legend. The index is the state's number everywhere on the map. */
export const STATES = ["free", "carrying", "full", "silent", "off", "suspended"];
export const FREE = 0;
export const CARRYING = 1;
export const FULL = 2;
export const SILENT = 3;
export const OFF = 4;
export const SUSPENDED = 5;

/** Floats per driver in `packed`: x, y, heading (radians, -1 unknown), accuracy (mercator), seen (s), state. */
export const STRIDE = 6;
/** Drivers nearer than this on screen, and more than so many of them, become one cluster. */
const CELL_PX = 72;
const ALONE = 5;
/** So few are never clustered, whatever the zoom; from this zoom on nobody is. */
const NEVER_BELOW = 120;
export const CLUSTERED_BELOW_ZOOM = 15;

const EARTH_M = 40_075_016.7;
const ON_DUTY = 1;
const IS_SUSPENDED = 2;

/** Web mercator, 0 to 1 from west to east. @param {number} lng */
export const mercatorX = (lng) => (lng + 180) / 360;
/** Web mercator, 0 to 1 from north to south. @param {number} lat */
export const mercatorY = (lat) => {
  const sine = Math.sin((Math.max(-85.0511, Math.min(85.0511, lat)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
};
/** @param {number} x */
export const lngOf = (x) => x * 360 - 180;
/** @param {number} y */
export const latOf = (y) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;

/** Metres between two places on a sphere. @param {{lat: number, lng: number}} a @param {{lat: number, lng: number}} b */
export function metresBetween(a, b) {
  const rad = Math.PI / 180;
  const north = Math.sin(((b.lat - a.lat) * rad) / 2);
  const east = Math.sin(((b.lng - a.lng) * rad) / 2);
  const h = north * north + Math.cos(a.lat * rad) * Math.cos(b.lat * rad) * east * east;
  return 2 * 6_371_008.8 * Math.asin(Math.sqrt(Math.min(1, h)));
}

/** @param {number} liveSeconds a driver who has not been heard of for longer is silent */
export function createFleet(liveSeconds) {
  let size = 1024;
  let count = 0;
  /** @type {Map<number, number>} driver → slot */
  const slots = new Map();
  let ids = new Int32Array(size);
  let xs = new Float64Array(size);
  let ys = new Float64Array(size);
  let headings = new Float32Array(size);
  let accuracies = new Float32Array(size);
  /** Seconds since 1970, too many for a 32 bit float. */
  let seens = new Float64Array(size);
  let flags = new Uint8Array(size);
  let loads = new Uint8Array(size);
  let capacities = new Uint8Array(size);
  let states = new Uint8Array(size);
  let clusterOf = new Int32Array(size);

  // The grid: an open hash of cells, emptied by counting up `round` instead of being cleared.
  let cells = 1 << 12;
  let keyX = new Int32Array(cells);
  let keyY = new Int32Array(cells);
  let used = new Int32Array(cells);
  let counts = new Int32Array(cells);
  let numbers = new Int32Array(cells);
  let cellOf = new Int32Array(size);
  let round = 0;

  const fleet = {
    /** Everything that is drawn one by one, STRIDE floats each, relative to `origin`. */
    packed: new Float32Array(size * STRIDE),
    /** Who that is, in the same order. */
    packedIds: new Int32Array(size),
    packedCount: 0,
    /** @type {Cluster[]} */
    clusters: [],
    /** How many drivers are in each state. */
    totals: new Uint32Array(STATES.length),
    /** Mercator: what positions in `packed` count from, so that 32 bits are enough. */
    origin: { x: 0, y: 0 },
    /** Seconds since 1970 that `seen` in `packed` counts from. */
    epoch: 0,

    get count() {
      return count;
    },

    /** Forget everybody who is not among these. @param {{has: (id: number) => boolean}} drivers */
    keep(drivers) {
      for (let at = count - 1; at >= 0; at -= 1) if (!drivers.has(/** @type {number} */ (ids[at]))) remove(at);
    },

    /** Take in a driver as the store knows them now. @param {Driver} driver */
    take(driver) {
      const slot = slots.get(driver.id);
      if (typeof driver.lat !== "number" || typeof driver.lng !== "number") {
        if (slot !== undefined) remove(slot);
        return;
      }
      // Off duty and nothing in hand: nobody for the map.
      if (!driver.is_online && !driver.load && !isSilentLately(driver)) {
        if (slot !== undefined) remove(slot);
        return;
      }
      const at = slot ?? add(driver.id);
      xs[at] = mercatorX(driver.lng);
      ys[at] = mercatorY(driver.lat);
      headings[at] = typeof driver.heading === "number" ? (driver.heading * Math.PI) / 180 : -1;
      const shrink = Math.cos((driver.lat * Math.PI) / 180) * EARTH_M;
      accuracies[at] = typeof driver.accuracy_m === "number" ? driver.accuracy_m / shrink : 0;
      seens[at] = driver.last_seen ? Date.parse(driver.last_seen) / 1000 : 0;
      flags[at] = (driver.is_online ? ON_DUTY : 0) | (driver.suspended ? IS_SUSPENDED : 0);
      loads[at] = Math.min(255, driver.load ?? 0);
      capacities[at] = Math.min(255, driver.capacity ?? 1);
    },

    /** @param {number} id */
    forget(id) {
      const slot = slots.get(id);
      if (slot !== undefined) remove(slot);
    },

    /**
     * Where somebody is (mercator) and what state they are in; null: not on the map.
     * @param {number} id @returns {{x: number, y: number, state: number, clustered: boolean} | null}
     */
    find(id) {
      const slot = slots.get(id);
      if (slot === undefined) return null;
      return {
        x: xs[slot] ?? 0,
        y: ys[slot] ?? 0,
        state: states[slot] ?? 0,
        clustered: (clusterOf[slot] ?? -1) >= 0,
      };
    },

    /**
     * Judge everybody's state, cluster for a zoom and pack what is drawn one by one.
     * @param {number} now the server's time, milliseconds
     * @param {number} zoom
     * @param {number} [apart] a driver who is never put into a cluster (the selected one)
     */
    arrange(now, zoom, apart = -1) {
      judge(now / 1000);
      cluster(zoom, slots.get(apart) ?? -1);
      pack(now / 1000);
    },

    /** West, north, east, south of everybody, mercator; null: nobody. */
    bounds() {
      if (!count) return null;
      let [west, north, east, south] = [1, 1, 0, 0];
      for (let at = 0; at < count; at += 1) {
        west = Math.min(west, /** @type {number} */ (xs[at]));
        east = Math.max(east, /** @type {number} */ (xs[at]));
        north = Math.min(north, /** @type {number} */ (ys[at]));
        south = Math.max(south, /** @type {number} */ (ys[at]));
      }
      return { west, north, east, south };
    },

    /**
     * The drivers nearest to a place who pass a test, nearest first. Distances on the plane: near enough to rank.
     * @param {{lat: number, lng: number}} place @param {number} limit @param {(state: number, id: number) => boolean} test
     * @returns {number[]} ids
     */
    nearest(place, limit, test) {
      const [x, y] = [mercatorX(place.lng), mercatorY(place.lat)];
      /** @type {{id: number, d: number}[]} */
      const best = [];
      let worst = Number.POSITIVE_INFINITY;
      for (let at = 0; at < count; at += 1) {
        const dx = /** @type {number} */ (xs[at]) - x;
        const dy = /** @type {number} */ (ys[at]) - y;
        const d = dx * dx + dy * dy;
        if (d >= worst && best.length >= limit) continue;
        const id = /** @type {number} */ (ids[at]);
        if (!test(/** @type {number} */ (states[at]), id)) continue;
        let into = best.length;
        while (into > 0 && /** @type {{d: number}} */ (best[into - 1]).d > d) into -= 1;
        best.splice(into, 0, { id, d });
        if (best.length > limit) best.pop();
        worst = best.length === limit ? /** @type {{d: number}} */ (best.at(-1)).d : worst;
      }
      return best.map((one) => one.id);
    },
  };

  /** Taken off duty by the server because nobody heard of them: still of interest for a while. @param {Driver} driver */
  function isSilentLately(driver) {
    return (
      Boolean(driver.last_seen) && fleet.epoch > 0 && fleet.epoch - Date.parse(driver.last_seen ?? "") / 1000 < 600
    );
  }

  /** @param {number} id */
  function add(id) {
    if (count === size) grow();
    ids[count] = id;
    slots.set(id, count);
    count += 1;
    return count - 1;
  }

  /** The last one takes the place of the one that goes. @param {number} slot */
  function remove(slot) {
    const last = count - 1;
    slots.delete(/** @type {number} */ (ids[slot]));
    if (slot !== last) {
      for (const column of [ids, xs, ys, headings, accuracies, seens, flags, loads, capacities, states]) {
        column[slot] = /** @type {number} */ (column[last]);
      }
      slots.set(/** @type {number} */ (ids[slot]), slot);
    }
    count -= 1;
  }

  function grow() {
    size *= 2;
    /** @template {Int32Array | Float64Array | Float32Array | Uint8Array} T @param {T} old @returns {T} */
    const larger = (old) => {
      const Kind = /** @type {new (length: number) => T} */ (old.constructor);
      const made = new Kind(size);
      made.set(/** @type {any} */ (old));
      return made;
    };
    ids = larger(ids);
    xs = larger(xs);
    ys = larger(ys);
    headings = larger(headings);
    accuracies = larger(accuracies);
    seens = larger(seens);
    flags = larger(flags);
    loads = larger(loads);
    capacities = larger(capacities);
    states = larger(states);
    clusterOf = larger(clusterOf);
    cellOf = larger(cellOf);
    fleet.packed = new Float32Array(size * STRIDE);
    fleet.packedIds = new Int32Array(size);
  }

  /** @param {number} now seconds */
  function judge(now) {
    fleet.totals.fill(0);
    for (let at = 0; at < count; at += 1) {
      const flag = /** @type {number} */ (flags[at]);
      const load = /** @type {number} */ (loads[at]);
      const silent = now - /** @type {number} */ (seens[at]) > liveSeconds;
      let state = FREE;
      if (flag & IS_SUSPENDED) state = SUSPENDED;
      else if (silent) state = SILENT;
      else if (!(flag & ON_DUTY)) state = OFF;
      else if (load >= /** @type {number} */ (capacities[at])) state = FULL;
      else if (load) state = CARRYING;
      states[at] = state;
      fleet.totals[state] = (fleet.totals[state] ?? 0) + 1;
    }
  }

  /** The cell of a place in the hash, made if need be. @param {number} cellX @param {number} cellY */
  function cellAt(cellX, cellY) {
    let at = (Math.imul(cellX, 73856093) ^ Math.imul(cellY, 19349663)) & (cells - 1);
    while (used[at] === round) {
      if (keyX[at] === cellX && keyY[at] === cellY) return at;
      at = (at + 1) & (cells - 1);
    }
    used[at] = round;
    keyX[at] = cellX;
    keyY[at] = cellY;
    counts[at] = 0;
    numbers[at] = -1;
    return at;
  }

  /** @param {number} zoom @param {number} apart slot */
  function cluster(zoom, apart) {
    clusterOf.fill(-1, 0, count);
    fleet.clusters = [];
    if (count <= NEVER_BELOW || zoom >= CLUSTERED_BELOW_ZOOM) return;
    if (cells < 2 * count) {
      while (cells < 2 * count) cells *= 2;
      keyX = new Int32Array(cells);
      keyY = new Int32Array(cells);
      used = new Int32Array(cells);
      counts = new Int32Array(cells);
      numbers = new Int32Array(cells);
      round = 0;
    }
    round += 1;
    // In steps of half a zoom, so that clusters stand still while one zooms a little.
    const scale = (512 * 2 ** (Math.round(zoom * 2) / 2)) / CELL_PX;
    for (let at = 0; at < count; at += 1) {
      const cell = cellAt(
        Math.floor(/** @type {number} */ (xs[at]) * scale),
        Math.floor(/** @type {number} */ (ys[at]) * scale),
      );
      cellOf[at] = cell;
      counts[cell] = /** @type {number} */ (counts[cell]) + 1;
    }
    for (let at = 0; at < count; at += 1) {
      const cell = /** @type {number} */ (cellOf[at]);
      if (/** @type {number} */ (counts[cell]) <= ALONE || at === apart) continue;
      let number = /** @type {number} */ (numbers[cell]);
      if (number < 0) {
        number = fleet.clusters.length;
        numbers[cell] = number;
        fleet.clusters.push({
          x: 0,
          y: 0,
          count: 0,
          states: new Uint32Array(STATES.length),
          west: 1,
          north: 1,
          east: 0,
          south: 0,
        });
      }
      const into = /** @type {Cluster} */ (fleet.clusters[number]);
      const [x, y] = [/** @type {number} */ (xs[at]), /** @type {number} */ (ys[at])];
      const state = /** @type {number} */ (states[at]);
      clusterOf[at] = number;
      into.x += x;
      into.y += y;
      into.count += 1;
      into.states[state] = /** @type {number} */ (into.states[state]) + 1;
      if (x < into.west) into.west = x;
      if (x > into.east) into.east = x;
      if (y < into.north) into.north = y;
      if (y > into.south) into.south = y;
    }
    for (const made of fleet.clusters) {
      made.x /= made.count;
      made.y /= made.count;
    }
  }

  /** @param {number} now seconds */
  function pack(now) {
    if (Math.abs(now - fleet.epoch) > 3600) fleet.epoch = Math.floor(now);
    const { origin, epoch, packed, packedIds } = fleet;
    let to = 0;
    let number = 0;
    for (let at = 0; at < count; at += 1) {
      if (/** @type {number} */ (clusterOf[at]) >= 0) continue;
      packedIds[number] = /** @type {number} */ (ids[at]);
      packed[to] = /** @type {number} */ (xs[at]) - origin.x;
      packed[to + 1] = /** @type {number} */ (ys[at]) - origin.y;
      packed[to + 2] = /** @type {number} */ (headings[at]);
      packed[to + 3] = /** @type {number} */ (accuracies[at]);
      packed[to + 4] = /** @type {number} */ (seens[at]) - epoch;
      packed[to + 5] = /** @type {number} */ (states[at]);
      to += STRIDE;
      number += 1;
    }
    fleet.packedCount = number;
  }

  return fleet;
}
