"""The command line. Start in `commands.py`; the way of `fastkafka run` is `run.py`
(the flags), `supervise.py` (the parent), `process.py` (one worker as the parent sees
it) and `worker.py` (the worker itself).
"""

from __future__ import annotations


def main() -> None:
    """Run the `fastkafka` command."""
    from fastkafka.cli.commands import cli  # noqa: PLC0415 - no Typer in the workers

    cli()
