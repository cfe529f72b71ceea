"""The console with a big fleet: what it costs the dispatcher's browser. Against a running stack, prints a table.

    BATON_PASSWORD=… python benchmarks/console.py --url http://localhost:8000 --user admin \\
        --dsn postgresql://postgres@127.0.0.1:5432/scratch

The database behind the address is a migrated scratch database and the login a superuser's: it is filled with --drivers
live drivers and --orders open orders unless there are orders already. While it measures, --moving drivers a second move:
their rows are written, and what the server's own heartbeats would publish is published (msgpack over Redis, as
dispatch/live.py does). Medians of --runs; a browser in software rendering shares the machine with everything else.
"""

import argparse
import os
import random
import statistics
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg
from playwright.sync_api import CDPSession, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

CENTRE = (37.77, -122.42)
PLACED = count(int(time.time()) // 60 % 240)
#: What the first paint waits for, one after the other: milliseconds from the click.
PHASES = {
    "  the page's HTML is there, ms": "performance.getEntriesByType('navigation')[0].responseEnd",
    "  its styles are there, ms": "Math.max(...performance.getEntriesByType('resource')"
    ".filter(one => one.initiatorType === 'link' && one.name.endsWith('.css')).map(one => one.responseEnd))",
    "  its scripts have run, ms": "watched.asked",
    "  the socket is open, ms": "watched.open",
    "  it has brought the orders, ms": "watched.told",
}
GOALS = {
    **dict.fromkeys(PHASES),
    "first paint, ms": 1500,
    "  the browser's processor time until then, ms": None,
    "all drivers on the map, ms": None,
    "  its frame at the socket, p50 ms": None,
    "  its frame at the socket, worst ms": None,
    "push on screen, p50 ms": 500,
    "push on screen, worst ms": 500,
    "longest task while typing, ms": 50,
    "map update, p50 ms": 16,
    "map update, p95 ms": 16,
    "map frame (overlay), p50 ms": 16,
    "tab's processor time, ms per update": None,
    "tab memory, MB": 400,
}

STEPS = [
    """INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
       date_joined)
       SELECT '!', false, 'bench' || n, '', '', '', false, true, now() FROM generate_series(1, %(drivers)s) n""",
    """INSERT INTO drivers_driver (user_id, name, phone, vehicle, capacity, suspended, created_at)
       SELECT id, 'Driver ' || id, '', (ARRAY['bicycle','motorbike','car','van'])[1 + id %% 4], 1 + id %% 3, false, now()
       FROM auth_user WHERE username LIKE 'bench%%'""",
    """INSERT INTO drivers_presence (driver_id, is_online, last_seen, location, recorded_at, located_at, heading, accuracy_m)
       SELECT id, true, now(), ST_SetSRID(ST_MakePoint(-122.42 + (random() + random() - 1) * 0.14,
       37.77 + (random() + random() - 1) * 0.1), 4326)::geography, now(), now(), random() * 360, 5 + random() * 60
       FROM drivers_driver""",
    """INSERT INTO orders_order (id, reference, pickup, pickup_address, dropoff, dropoff_address, vehicle, priority, payout,
       currency, metadata, status, expired, pinned, driver_id, version, created_at, release_at, auto_assign_at, expires_at,
       offered_at, assigned_at, picked_up_at)
       SELECT gen_random_uuid(), 'B-' || n,
         ST_SetSRID(ST_MakePoint(-122.42 + (random() - .5) * 0.16, 37.77 + (random() - .5) * 0.12), 4326)::geography,
         n || ' Market Street',
         ST_SetSRID(ST_MakePoint(-122.42 + (random() - .5) * 0.16, 37.77 + (random() - .5) * 0.12), 4326)::geography,
         n || ' Valencia Street', '', 0, 5, 'USD', '{}', state, false, false,
         CASE WHEN state <> 'pending' THEN (SELECT min(id) FROM drivers_driver) + n * 17 %% %(drivers)s END,
         CASE state WHEN 'pending' THEN 1 WHEN 'assigned' THEN 2 ELSE 3 END, now(), now(), now() + interval '6 hours',
         now() + interval '7 hours', NULL, CASE WHEN state <> 'pending' THEN now() END,
         CASE WHEN state = 'picked_up' THEN now() END
       FROM (SELECT n, (ARRAY['pending','pending','assigned','picked_up'])[1 + n %% 4] AS state
             FROM generate_series(1, %(orders)s) n) o""",
    """INSERT INTO orders_orderevent (order_id, version, kind, at, actor_type, actor_id, actor_name, data, txid)
       SELECT id, version, 'order.corrected', now(), 'system', '', '', '{}', pg_current_xact_id()::text::bigint
       FROM orders_order""",
]

#: Runs in the page from its first moment: when something of the board was on screen, and what blocked the page for long.
WATCH = """
window.watched = {long: [], rows: 0};
// When the socket was asked for, was open, and had brought the orders.
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    watched.asked ??= performance.now();
    this.addEventListener('open', () => { watched.open ??= performance.now(); });
    this.addEventListener('message', ({data}) => {
      if (data.startsWith('{"type":"snapshot"')) watched.told ??= performance.now();
      if (watched.awaited && data.includes(watched.awaited)) watched.heard ??= Date.now(); });
  }
};
new PerformanceObserver(list => { for (const e of list.getEntries()) watched.long.push([e.startTime, e.duration]); })
  .observe({type: 'longtask', buffered: true});
// The first order in the lists, at the frame after it was put there.
const look = new MutationObserver(() => { if (document.querySelector('.rows [role=row]')) { look.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { watched.rows = performance.now(); })); } });
look.observe(document, {subtree: true, childList: true});
"""


class Movers(threading.Thread):
    """So many drivers a second, in batches of a quarter of a second, as the server's own heartbeats are."""

    def __init__(self, dsn: str, per_second: int) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._batch = per_second // 4
        self.over = threading.Event()

    def run(self) -> None:
        from dispatch import live
        from drivers.services import Position, record_positions

        with psycopg.connect(self._dsn) as connection:
            ids = [row[0] for row in connection.execute("SELECT driver_id FROM drivers_presence ORDER BY random()")]
        at = 0
        while not self.over.is_set():
            began = time.monotonic()
            batch = [ids[(at + step) % len(ids)] for step in range(self._batch)]
            at += self._batch
            moved = [
                Position(
                    driver_id=driver,
                    lat=CENTRE[0] + random.triangular(-0.1, 0.1),
                    lng=CENTRE[1] + random.triangular(-0.14, 0.14),
                    heading=random.uniform(0, 360),
                    accuracy_m=random.uniform(5, 60),
                )
                for driver in batch
            ]
            live.drivers_moved(record_positions(positions=moved))
            self.over.wait(max(0.0, 0.25 - (time.monotonic() - began)))


def fill(dsn: str, drivers: int, orders: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM orders_order LIMIT 1").fetchone():
            # What an earlier run has placed would stand above what this one places.
            connection.execute("SET session_replication_role = replica")
            mine = "(SELECT id FROM orders_order WHERE reference LIKE 'P-%')"
            for table in ("dispatch_offer", "orders_ordercontact", "orders_orderevent"):
                connection.execute(f"DELETE FROM {table} WHERE order_id IN {mine}")
            connection.execute("DELETE FROM orders_order WHERE reference LIKE 'P-%'")
            connection.execute("UPDATE drivers_presence SET last_seen = now(), is_online = true, silent_since = NULL")
            # As far ahead as when they were poured in, or what this run places would not stand above them.
            connection.execute(
                "UPDATE orders_order SET auto_assign_at = now() + interval '6 hours',"
                " expires_at = now() + interval '7 hours' WHERE reference LIKE 'B-%' AND status = 'pending'"
            )
            return
        connection.execute("SET session_replication_role = replica")
        for step in STEPS:
            connection.execute(step, {"drivers": drivers, "orders": orders})
        connection.execute("VACUUM (ANALYZE)")


def first_paint(page: Page, browser: CDPSession, url: str) -> dict[str, float]:
    """Open the console, until the first orders are on screen."""
    spent = processor_seconds(browser)
    page.goto(f"{url}/admin/board/", wait_until="commit")
    while not (painted := page.evaluate("watched.rows")):
        page.wait_for_timeout(10)
    return {
        **{name: page.evaluate(expression) for name, expression in PHASES.items()},
        "first paint, ms": painted,
        "  the browser's processor time until then, ms": 1000 * (processor_seconds(browser) - spent),
    }


def measure(page: Page, browser: CDPSession, asked: argparse.Namespace) -> dict[str, float]:
    cdp = page.context.new_cdp_session(page)
    began = time.monotonic()
    found = first_paint(page, browser, asked.url)
    if asked.first_paint:
        return found
    while (shown := page.evaluate("window.baton?.map?.fleet.count ?? 0")) < asked.drivers * 0.95:
        if time.monotonic() - began > 60:
            raise SystemExit(f"only {shown} drivers are on the map after a minute")
        page.wait_for_timeout(50)
    found["all drivers on the map, ms"] = 1000 * (time.monotonic() - began)
    page.wait_for_timeout(3000)

    pushes = [push(page) for _ in range(8)]
    found["  its frame at the socket, p50 ms"] = statistics.median(heard for _, heard in pushes)
    found["  its frame at the socket, worst ms"] = max(heard for _, heard in pushes)
    found["push on screen, p50 ms"] = statistics.median(shown for shown, _ in pushes)
    found["push on screen, worst ms"] = max(shown for shown, _ in pushes)

    start = page.evaluate("performance.now()")
    page.locator("input[type=search], .strip input").first.click()
    for letter in "B-12 market status:assigned":
        page.keyboard.type(letter)
        page.wait_for_timeout(70)
    for _ in range(10):
        page.keyboard.press("Backspace")
        page.wait_for_timeout(50)
    long = page.evaluate("start => watched.long.filter(([at]) => at >= start).map(([, lasted]) => lasted)", start)
    found["longest task while typing, ms"] = max(long, default=0.0)
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")

    updates, frames = [], []
    seen = first = page.evaluate("baton.map.stats.updates")
    busy = tab(browser)["seconds"]
    until = time.monotonic() + 10
    while time.monotonic() < until:
        stats = page.evaluate("({...baton.map.stats})")
        if stats["updates"] != seen:
            seen = stats["updates"]
            updates.append(stats["updateMs"])
            frames.append(stats["renderMs"])
        page.wait_for_timeout(100)
    found["tab's processor time, ms per update"] = 1000 * (tab(browser)["seconds"] - busy) / max(1, seen - first)
    found["map update, p50 ms"] = statistics.median(updates)
    found["map update, p95 ms"] = sorted(updates)[int(len(updates) * 0.95)]
    found["map frame (overlay), p50 ms"] = statistics.median(frames)
    cdp.send("HeapProfiler.collectGarbage")
    found["tab memory, MB"] = tab(browser)["memory"]
    return found


def processor_seconds(browser: CDPSession) -> float:
    """Of all the browser's processes: what a wait is made of on a machine that has nothing else to do."""
    return sum(float(one["cpuTime"]) for one in browser.send("SystemInfo.getProcessInfo")["processInfo"])


def tab(browser: CDPSession) -> dict[str, float]:
    """The page's own process, the largest of the browser's renderers: memory in MB (its part of what is shared), seconds of
    processor time."""
    largest = {"memory": 0.0, "seconds": 0.0}
    for process in browser.send("SystemInfo.getProcessInfo")["processInfo"]:
        if process["type"] != "renderer":
            continue
        rollup = Path(f"/proc/{process['id']}/smaps_rollup").read_text()
        memory = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        if memory > largest["memory"]:
            largest = {"memory": memory, "seconds": float(process["cpuTime"])}
    return largest


def push(page: Page) -> tuple[float, float]:
    """From the commit of a new order to the animation frame that draws its reference, and to its frame at the page's
    socket; ms by this machine's clock."""
    from dispatch import services
    from orders import actors
    from orders.services import Contact, NewOrder, Place

    name = f"P-{random.randrange(10**9)}"
    page.evaluate(
        """name => { watched.awaited = name; watched.heard = null; window.appeared = new Promise((resolve, reject) => {
             setTimeout(() => reject(new Error(`${name} is not on screen after 20 s`)), 20000);
             const look = () => { if (!document.body.textContent.includes(name)) return;
               watcher.disconnect(); requestAnimationFrame(() => resolve(Date.now())); };
             const watcher = new MutationObserver(look);
             watcher.observe(document.body, {subtree: true, childList: true, characterData: true}); }); }""",
        name,
    )
    soon = datetime.now(UTC) + timedelta(hours=5, minutes=-next(PLACED))
    new = NewOrder(
        pickup=Place(*CENTRE, name),
        dropoff=Place(*CENTRE, "there"),
        contact=Contact(name="Carol", phone="1"),
        reference=name,
        # Ahead of all before it, so that it stands at the top of its list whatever has been placed so far.
        auto_assign_at=soon,
        expires_at=soon + timedelta(minutes=30),
    )
    services.place_order(new=new, actor=actors.dispatcher(1, "benchmark"))
    committed = time.time() * 1000
    appeared: float = page.evaluate("appeared")
    heard: float = page.evaluate("watched.heard")
    return appeared - committed, heard - committed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--dsn", required=True, help="a superuser's login to the scratch database behind the address")
    parser.add_argument("--drivers", type=int, default=20_000)
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--moving", type=int, default=1000, help="drivers who move, a second")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--first-paint", action="store_true", help="nothing but that")
    asked = parser.parse_args()

    fill(asked.dsn, asked.drivers, asked.orders)
    # The server's own settings are in the environment: the same Redis, prefix and database.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # Playwright's synchronous interface runs an event loop in this thread; Django would take that for async code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    import django

    django.setup()
    movers = Movers(asked.dsn, asked.moving)
    movers.start()
    runs: list[dict[str, float]] = []
    software = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    with sync_playwright() as playwright:
        program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
        browser = playwright.chromium.launch(executable_path=program, args=software)
        for _ in range(asked.runs):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            page.add_init_script(WATCH)
            page.goto(f"{asked.url}/admin/login/?next=/admin/")
            page.fill("#id_username", asked.user)
            page.fill("#id_password", os.environ["BATON_PASSWORD"])
            page.click("input[type=submit]")
            page.wait_for_url("**/admin/")
            runs.append(measure(page, browser.new_browser_cdp_session(), asked))
            context.close()
        browser.close()
    movers.over.set()
    print(
        f"{asked.drivers:,} drivers, {asked.moving:,} moving a second, {asked.orders} open orders; medians of {len(runs)}"
    )
    missed = 0
    for name, goal in GOALS.items():
        if name not in runs[0]:
            continue
        value = statistics.median(run[name] for run in runs)
        spread = f"{min(run[name] for run in runs):.0f} to {max(run[name] for run in runs):.0f}"
        verdict = "" if goal is None else "ok" if value < goal else "MISSED"
        missed += verdict == "MISSED"
        print(f"{name:45} {value:9.1f}   {spread:>16}   {'' if goal is None else f'< {goal}':>7} {verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
