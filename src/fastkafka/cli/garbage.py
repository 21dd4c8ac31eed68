"""Python's garbage collector, in processes that are ours: the workers of a run."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 50_000
"""So many more objects are made than freed before it looks at them; Python's own 700
are fewer than the records of one poll."""


def leave_what_stays() -> None:
    """Have it look at what comes and goes, and not at what has been loaded.

    Call it when an app is ready. Each record is some objects that die young; looking
    for cycles among those that are being handled just now finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
