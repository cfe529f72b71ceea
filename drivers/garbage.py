"""Python's collector of cyclic garbage, in a process that lives long and holds much."""

import gc

#: A full collection stops the process: for 0.6 s with 10,000 sockets, and it finds next to nothing. With these thresholds
#: there is one after two million objects more than before (20,000 sockets, or 200 MB of garbage), by default after a quarter
#: more. Measured by `bin/bench fanout`.
THRESHOLDS = (2_000, 10, 100)


def settle() -> None:
    """To be called when everything is loaded: what there is now stays until the end and is not looked through any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
