"""Pictures of the console with 300 orders and 2,000 drivers, light and dark, for docs/console.md.

    BATON_PASSWORD=… python benchmarks/screenshots_board.py --url http://localhost:8000 --user admin \
        --dsn postgresql://postgres@127.0.0.1:5432/scratch --out docs/img

The database behind the address is filled first, unless it has orders already: it must be a migrated scratch database, and
the login a superuser's (triggers are switched off while rows are poured in, as in benchmarks/fill.py). Exits 1 when the
browser complained. The browser is Debian's Chromium, or the one that BATON_CHROMIUM names.
"""

import argparse
import io
import os
import sys
import threading
from pathlib import Path

import psycopg
from PIL import Image
from playwright.sync_api import Page, sync_playwright

#: Bytes; a picture that is larger is kept in 256 colours.
LARGEST = 390_000
SIZES = {"1280": (1280, 800), "tablet": (1024, 768), "upright": (820, 1180)}

NAMES = """
(ARRAY['Ada','Ben','Chloe','Dan','Eve','Finn','Gwen','Hugo','Ida','Jon','Kim','Lena','Mika','Noor','Omar','Pia','Quinn',
'Rosa','Sami','Tess','Uma','Vera','Will','Yara','Zoe'])[1 + id % 25] || ' ' || (ARRAY['Adams','Brown','Castro','Diaz',
'Evans','Fischer','Garcia','Hughes','Ito','Jones','Khan','Lopez','Moreau','Nguyen','Okafor','Park','Rossi','Silva','Tan',
'Varga','Wong'])[1 + id / 25 % 21]"""
STREETS = """
(ARRAY['Market St','Mission St','Valencia St','Folsom St','Howard St','Castro St','Divisadero St','Fillmore St','Geary Blvd',
'Irving St','Polk St','Union St','Columbus Ave','Embarcadero','Haight St','Hayes St','24th St','Bryant St'])"""

#: Triggers and foreign keys are off: what they would have kept is kept by hand here.
STEPS = [
    """INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
       date_joined) SELECT '!', false, 'pic' || n, '', '', '', false, true, now() FROM generate_series(1, 2000) n""",
    f"""INSERT INTO drivers_driver (user_id, name, phone, vehicle, capacity, suspended, created_at)
       SELECT id, {NAMES}, '+1 415 555 ' || lpad((id % 10000)::text, 4, '0'),
       (ARRAY['bicycle','motorbike','car','van'])[1 + id % 4], 3, false, now() - interval '1 year'
       FROM auth_user WHERE username LIKE 'pic%'""",
    """INSERT INTO drivers_presence (driver_id, is_online, last_seen, location, recorded_at, located_at, heading, accuracy_m)
       SELECT id, true, now(), ST_SetSRID(ST_MakePoint(-122.43 + 0.05 * cos(a) * r,
       37.765 + 0.037 * sin(a) * r), 4326)::geography, now(), now(), id * 37 % 360, 5 + id % 40
       FROM (SELECT id, id * 2.399963 AS a, sqrt((id * 7919 % 2000) / 2000.0) AS r FROM drivers_driver) d""",
    f"""INSERT INTO orders_order (id, reference, pickup, pickup_address, dropoff, dropoff_address, vehicle, priority, payout,
       currency, metadata, status, expired, pinned, driver_id, version, created_at, release_at, auto_assign_at, expires_at,
       offered_at, assigned_at, picked_up_at)
       SELECT (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
         || substr(md5(n::text), 4, 15))::uuid, 'SF-' || 20400 + n,
         ST_SetSRID(ST_MakePoint(-122.425 + 0.035 * r * cos(n * 2.4), 37.768 + 0.026 * r * sin(n * 2.4)), 4326)::geography,
         100 + n * 37 % 2900 || ' ' || ({STREETS})[1 + n % 18],
         ST_SetSRID(ST_MakePoint(-122.425 + 0.035 * r * cos(n * 2.4) + 0.011 * sin(n * 7.3),
         37.768 + 0.026 * r * sin(n * 2.4) + 0.009 * cos(n * 4.9)), 4326)::geography,
         100 + n * 53 % 2900 || ' ' || ({STREETS})[1 + n * 7 % 18],
         CASE WHEN n % 11 = 0 THEN 'van' WHEN n % 7 = 0 THEN 'bicycle' ELSE '' END,
         CASE WHEN n % 23 = 0 THEN 2 WHEN n % 9 = 0 THEN 1 ELSE 0 END, 6 + n % 180 / 10.0, 'USD', '{{}}',
         state, state = 'pending' AND n % 36 = 0, false,
         CASE WHEN state <> 'pending' THEN (SELECT min(id) FROM drivers_driver) + n / 4 * 13 % 2000 END,
         CASE state WHEN 'pending' THEN CASE WHEN n % 36 = 0 THEN 3 ELSE 2 END WHEN 'assigned' THEN 3 ELSE 4 END, made, made,
         CASE WHEN state = 'pending' AND n % 36 <> 0 THEN now() + (40 + n % 200) * interval '1 second'
              ELSE made + interval '15 seconds' END,
         CASE WHEN state = 'pending' AND n % 36 <> 0 THEN now() + (70 + n * 13 % 900) * interval '1 second'
              ELSE made + interval '2 minutes' END,
         made, CASE WHEN state <> 'pending' THEN made + interval '20 seconds' END,
         CASE WHEN state = 'picked_up' THEN made + (now() - made) * 0.4 END
       FROM (SELECT n, sqrt(n * 7919 % 300 / 300.0) AS r, now() - ((300 - n) * 4 + 130) * interval '1 second' AS made,
               CASE WHEN n % 3 = 0 THEN 'pending' WHEN n % 3 = 1 THEN 'assigned' ELSE 'picked_up' END AS state
             FROM generate_series(1, 300) n) o""",
    """INSERT INTO orders_ordercontact (order_id, name, phone, notes)
       SELECT id, 'Carol Customer', '+1 628 555 0199', 'Ring twice' FROM orders_order""",
    """INSERT INTO orders_orderevent (order_id, version, kind, at, actor_type, actor_id, actor_name, data, txid)
       SELECT o.id, step.version, step.kind, step.at, step.actor, step.who, step.name, step.data::jsonb,
         pg_current_xact_id()::text::bigint
       FROM orders_order o CROSS JOIN LATERAL (VALUES
         (1, 'order.created', o.created_at, 'integrator', '', 'Corner Shop', '{}'),
         (2, 'order.offered', o.offered_at, 'system', '', 'Baton', '{"drivers": 12, "nearest_m": 310}'),
         (3, CASE WHEN o.expired THEN 'order.expired' ELSE 'order.assigned' END, coalesce(o.assigned_at, o.expires_at),
            'system', '', 'Baton', CASE WHEN o.expired THEN '{"offered": true}' ELSE (SELECT json_build_object('how', 'auto',
            'driver', o.driver_id, 'distance_m', 310, 'position_age_s', 3, 'considered', 6, 'radius_km', 5, 'candidates',
            json_agg(json_build_object('driver', d.id, 'distance_m', 310 + 140 * k, 'position_age_s', 2 + k, 'load', k % 3,
              'capacity', 3, 'passed_over', (ARRAY['farther','other_order','no_room','farther','declined'])[k]) ORDER BY k)
            )::text FROM (SELECT o.driver_id AS id, 0 AS k UNION ALL SELECT o.driver_id + k, k FROM generate_series(1, 5) k
            ) d) END),
         (4, 'order.picked_up', o.picked_up_at, 'driver', o.driver_id::text,
            (SELECT d.name FROM drivers_driver d WHERE d.id = o.driver_id), '{}')
       ) AS step (version, kind, at, actor, who, name, data)
       WHERE step.version <= o.version ORDER BY o.created_at, step.version""",
    """UPDATE orders_orderevent SET data = jsonb_set(data, '{candidates,0}', (data->'candidates'->0) - 'passed_over')
       WHERE kind = 'order.assigned'""",
    """INSERT INTO dispatch_offer (order_id, driver_id, status, distance_m, offered_at, delivered_at, seen_at, answered_at,
         closed_at, closed_reason)
       SELECT o.id, o.near + k, state, 310 + 140 * k, o.created_at, o.created_at + interval '0.3 seconds',
         CASE WHEN k % 2 = 0 THEN o.created_at + interval '4 seconds' END,
         CASE WHEN state IN ('declined', 'accepted') THEN o.created_at + interval '9 seconds' END,
         CASE WHEN state <> 'open' THEN o.created_at + interval '15 seconds' END,
         CASE state WHEN 'open' THEN '' WHEN 'declined' THEN 'declined' ELSE 'order_taken' END
       FROM (SELECT *, coalesce(driver_id, 300 + (SELECT min(id) FROM drivers_driver)) AS near FROM orders_order) o
       CROSS JOIN generate_series(1, 6) k, LATERAL (SELECT CASE WHEN k % 5 = 2 THEN 'declined'
         WHEN o.status = 'pending' AND NOT o.expired THEN 'open' ELSE 'lapsed' END) s (state)""",
]
#: Drivers report while the pictures are taken; a few have fallen silent, and time stands still for the orders.
ALIVE = """UPDATE drivers_presence SET last_seen = now() - (driver_id % 20) * interval '1 second'
           WHERE driver_id % 97 <> 0"""
SILENT = "UPDATE drivers_presence SET last_seen = now() - interval '4 minutes' WHERE driver_id % 97 = 0"


def fill(dsn: str) -> None:
    """300 orders and 2,000 drivers around San Francisco, unless there are orders already."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM orders_order LIMIT 1").fetchone():
            return
        connection.execute("SET session_replication_role = replica")
        for step in STEPS:
            connection.execute(step.encode())
        connection.execute(SILENT.encode())
        connection.execute("VACUUM (ANALYZE)")


def keep_alive(dsn: str, until: threading.Event) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            connection.execute(ALIVE.encode())
            if until.wait(15):
                return


def take(page: Page, url: str, user: str, out: Path, theme: str, size: str) -> None:
    def picture(name: str) -> None:
        shot, path = Image.open(io.BytesIO(page.screenshot())).convert("RGB"), out / f"board-{name}.png"
        shot.save(path, optimize=True)
        if path.stat().st_size > LARGEST:
            shot.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)

    page.goto(f"{url}/admin/login/?next=/admin/board/")
    page.fill("#id_username", user)
    page.fill("#id_password", os.environ["BATON_PASSWORD"])
    page.click("input[type=submit]")
    page.locator(".live[data-state=live]").wait_for()
    page.locator(".area-open .row").first.wait_for()
    page.wait_for_timeout(1500)
    picture(f"{theme}-{size}")
    page.locator(".area-progress .row.order").nth(1).click()
    page.locator(".panel .chronicle").wait_for()
    page.locator(".panel .why-part summary").click()
    page.wait_for_timeout(800)
    picture(f"{theme}-{size}-order")
    if size != "1280":
        return
    page.keyboard.press("Escape")
    for row in range(3):
        page.locator(".area-open .row.order .pick").nth(row).click()
    picture(f"{theme}-{size}-bulk")
    page.locator(".bulk .clear").click()
    page.locator(".area-open .row.order").nth(2).click()
    page.keyboard.press("a")
    page.locator("dialog.assign .drivers-table").first.wait_for()
    page.wait_for_timeout(300)
    picture(f"{theme}-{size}-assign")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    fill(asked.dsn)
    complaints: list[str] = []
    ended = threading.Event()
    driving = threading.Thread(target=keep_alive, args=(asked.dsn, ended))
    driving.start()
    program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
    arguments = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        for theme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                page = context.new_page()
                page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
                page.on("pageerror", lambda error: complaints.append(str(error)))
                take(page, asked.url, asked.user, asked.out, theme, size)
                context.close()
        browser.close()
    ended.set()
    driving.join()
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
