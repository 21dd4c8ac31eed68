"""Which commands there are. One file each; what it needs it imports when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from fastkafka import __version__
from fastkafka.cli.broker import broker
from fastkafka.cli.check import check
from fastkafka.cli.ctl import ctl_app
from fastkafka.cli.dev import dev
from fastkafka.cli.dlt import dlt_app
from fastkafka.cli.docs import docs_app
from fastkafka.cli.lag import lag
from fastkafka.cli.run import run
from fastkafka.cli.send import send
from fastkafka.cli.tail import tail
from fastkafka.cli.testing import testing_app
from fastkafka.cli.topics import topics

cli = typer.Typer(
    name="fastkafka",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals hold passwords
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastkafka {__version__}")
        raise typer.Exit


@cli.callback()
def fastkafka(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Write Kafka services as typed functions."""


cli.command()(run)
cli.command()(dev)
cli.command()(broker)
cli.command()(topics)
cli.command()(lag)
cli.command()(tail)
cli.command()(send)
cli.command()(check)
cli.add_typer(ctl_app, name="ctl")
cli.add_typer(dlt_app, name="dlt")
cli.add_typer(docs_app, name="docs")
cli.add_typer(testing_app, name="testing")
