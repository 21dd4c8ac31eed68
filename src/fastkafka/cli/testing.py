"""`fastkafka testing`: what tests need that pip does not bring."""

from __future__ import annotations

import typer

from fastkafka.cli.terminal import complain
from fastkafka.errors import ConfigError

testing_app = typer.Typer(no_args_is_help=True)


@testing_app.callback()
def testing() -> None:
    """Get what tests with a real Apache Kafka need."""


@testing_app.command("install_deps")
def install_deps() -> None:
    """Fetch Apache Kafka, once, for ApacheKafkaBroker; needs Java and Maven."""
    # They take a while to import, for which `fastkafka run` need not wait.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    from fastkafka.testing import installation  # noqa: PLC0415

    console = Console(highlight=False)
    kafka = f"Apache Kafka {installation.KAFKA_VERSION}"
    folder = installation.kafka_folder()
    if folder.is_dir():
        console.print(f"{kafka} is already in {folder}", soft_wrap=True)
        return
    try:
        with Progress(
            TextColumn("Fetching {task.description}"),
            BarColumn(),  # pulses: Maven does not know the total beforehand
            TextColumn("{task.completed:>3} files"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[latest]}"),
            console=console,
            transient=True,
        ) as progress:
            task = progress.add_task(kafka, total=None, latest="")
            installation.install(
                lambda name: progress.update(task, advance=1, latest=name)
            )
    except ConfigError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    console.print(f"{kafka} is now in {folder}", soft_wrap=True)
