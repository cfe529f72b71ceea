"""`bin/storm`: everything at once against the real stack, while a nemesis breaks things; then what everybody saw is held
against what the database says.

| module | |
|---|---|
| `stack` | the stack under test: a copy of this checkout, started by its own `bin/up`, with wires in between |
| `wires` | TCP proxies that can be cut, frozen, slowed down and made to lose answers |
| `nemesis` | the faults, and the schedule of them that a seed makes |
| `record` | what the clients write down: every request, its answer or the lack of one, every push |
| `people`, `client` | drivers, shops and dispatchers, in processes of their own |
| `ledger`, `verdict` | the database's own account, and the rules that hold both against each other |
| `sabotage` | faults built into the copy on purpose, to see that the verdict can be "broken" |
"""
