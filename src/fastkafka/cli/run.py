"""`fastkafka run`: the flags; what they do is in `supervise.py`."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from fastkafka.errors import FastKafkaError


class LogLevel(StrEnum):
    """From which level on records are printed."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def run(
    app: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:APP", help="Where the app is, in Python's terms."
        ),
    ],
    num_workers: Annotated[
        int,
        typer.Option(
            min=1,
            default_factory=lambda: os.cpu_count() or 1,
            show_default="one per CPU",
            help="How many processes run the app.",
        ),
    ],
    kafka_broker: Annotated[
        str,
        typer.Option(
            help="A name of the app's kafka_brokers, or host:port, or 'embedded' "
            "for a broker that needs no installation and keeps nothing."
        ),
    ] = "localhost",
    log_level: Annotated[
        LogLevel,
        typer.Option(case_sensitive=False, help="From which level on to log."),
    ] = LogLevel.INFO,
    shutdown_timeout: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds that workers have to finish what they have begun."
        ),
    ] = 25.0,
) -> None:
    """Run an app in worker processes until Ctrl-C or SIGTERM; a second one kills.

    Every line that a worker prints begins with its process id. A worker that
    crashes is replaced. The exit code is 0 if all of them stopped cleanly.
    """
    # `fastkafka --help` is to be quick: asyncio alone takes longer than the rest.
    import asyncio  # noqa: PLC0415

    from fastkafka.cli.embedded import reachable  # noqa: PLC0415
    from fastkafka.cli.logs import configure_logging  # noqa: PLC0415
    from fastkafka.cli.supervise import Supervisor  # noqa: PLC0415
    from fastkafka.cli.terminal import complain  # noqa: PLC0415

    configure_logging(log_level.value)
    try:
        with reachable(kafka_broker) as broker:

            def command(control: int) -> list[str]:
                # -P: a file in the current directory takes no module's place.
                return [
                    *(sys.executable, "-P", "-u", "-m", "fastkafka.cli.worker"),
                    f"--kafka-broker={broker}",
                    f"--log-level={log_level.value}",
                    f"--shutdown-timeout={shutdown_timeout}",
                    f"--control={control}",
                    "--",
                    app,
                ]

            supervisor = Supervisor(
                command, num_workers=num_workers, shutdown_timeout=shutdown_timeout
            )
            code = asyncio.run(supervisor.run())
    except FastKafkaError as error:  # no embedded broker here
        complain(str(error))
        code = 1
    raise typer.Exit(code)
