"""How fast FastKafka is, beside what one would write without it: `python -m bench`.

`__main__.py` starts a broker (`cluster.py`) and goes through the works (`works/`), each
of which lets contenders run in turn, every one in a process and, but for ours, in an
environment of its own (`measure.py`, `environments.py`). What they measured
(`results.py`) is held against the targets (`targets.py`), printed (`report.py`), and
written to `docs/benchmarks.md` (`document.py`, `charts.py`).

A contender is a module in `contenders/` that calls `child.main` with a function for
each work that it can do, and an entry in `registry.py`. It gets its `child.Job` as JSON
on its command line and prints its result as one JSON line. `child.py` needs nothing but
the standard library, so a contender may live in an environment of its own.
"""
