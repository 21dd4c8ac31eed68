"""How fast FastKafka is, beside what one would write without it: `python -m bench`.

`__main__.py` starts a broker and fills a topic (`cluster.py`), runs each contender in a
process of its own, in alternation (`measure.py`), and prints a table (`report.py`).

A contender is a module in `contenders/` that calls `child.main` with a function for
each work that it can do; it is listed in `measure.py`. It gets its `child.Job` as JSON
on its command line and prints its result as one JSON line. `child.py` needs nothing but
the standard library, so a contender may live in an environment of its own.
"""
