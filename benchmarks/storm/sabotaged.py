"""Every sabotage in turn on one copy of the stack: `python -m benchmarks.storm.sabotaged [NAME …]`. Exit status 0 only
when the stack is clean without any and the verdict or the audit sees each of them. It is `bin/test sabotage`."""

import argparse
import asyncio
import random
import shutil
import sys
import time

from benchmarks.storm import ledger
from benchmarks.storm.__main__ import Clients, judge, people, run, say, settle
from benchmarks.storm.nemesis import Fault, Nemesis
from benchmarks.storm.sabotage import SABOTAGES, spoil
from benchmarks.storm.stack import ROOT, Broken, Stack

SECONDS = 12.0
EMPTY = (
    "TRUNCATE orders_order, orders_orderevent, orders_idempotencykey, dispatch_offer, dispatch_actionreceipt CASCADE"
)


async def one(stack: Stack, who: tuple[list[dict[str, object]], str, str], name: str) -> dict[str, list[str]]:
    """A short storm under this sabotage ('' for none); what the verdict found. Everything is mended afterwards."""
    owner = stack.settings["DATABASE_OWNER_URL"]
    sabotage = SABOTAGES.get(name)
    options = argparse.Namespace(seed=len(name), seconds=SECONDS, orders=14.0, processes=2, drivers=len(who[0]))
    ledger.run_as_owner(owner, EMPTY)
    if sabotage:
        spoil(name, stack.copy)
        if sabotage.sql:
            ledger.run_as_owner(owner, sabotage.sql)
        parts = ("postgres", "web", "worker") if sabotage.crashes else ("web", "worker")
        await stack.run("bin/service", "restart", *parts, seconds=120)
        await stack.well(60)
    clients, nemesis = Clients(stack, options), Nemesis(stack, say)
    for book in clients.books:
        book.unlink(missing_ok=True)
    try:
        await clients.start(options.seed, *who)
        await asyncio.sleep(SECONDS / 2)
        for _ in range(sabotage.crashes if sabotage else 0):
            await nemesis.strike(Fault("kill", "postmaster", 0.0, 0.0))
            await asyncio.sleep(2)
        await asyncio.sleep(SECONDS / 2)
        await clients.tell("quiet", "quiet", 60)
        await settle(stack)
        await clients.tell("look", "done", 90)
        return await judge(stack, clients, nemesis, options)
    finally:
        await clients.end()
        if sabotage:
            for file, _, _ in sabotage.edits:
                shutil.copy2(ROOT / file, stack.copy / file)
            ledger.run_as_owner(owner, EMPTY)
            if sabotage.mend:
                ledger.run_as_owner(owner, sabotage.mend)


async def main(names: list[str]) -> int:
    stack = Stack(port=18300 + random.randrange(400))
    missed = []
    try:
        stack.make_copy()
        stack.lend_packages()
        await stack.up()
        who = await people(stack, 30)
        for name in ["", *names]:
            began = time.monotonic()
            say(f"── {name or 'nothing'}: {SABOTAGES[name].what if name else 'the stack as it is'}")
            try:
                broken = await one(stack, who, name)
            except Broken as error:
                # A stack that a sabotage brings down has been found out as well.
                broken = {"the stack itself": [str(error)]}
            if bool(broken) != bool(name):
                missed.append(name or "nothing")
            for rule, found in broken.items():
                say(f"   seen by: {rule.replace('_', ' ')} ({len(found)}): {found[0] if found else ''}"[:300])
            say(f"· {name or 'nothing'} took {time.monotonic() - began:.0f} s")
    finally:
        await stack.down()
    print(f"{len(names) + 1 - len(missed)} passed, {len(missed)} failed" + (f": {', '.join(missed)}" if missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:] or list(SABOTAGES))))
