"""`fastkafka run`: the flags; what they do is in `running.py` and `supervise.py`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fastkafka.cli.logs import LogFormat
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
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve the page, /livez, /readyz, /metrics and /docs for all workers.",
        ),
    ] = None,
    http_allowed_hosts: Annotated[
        str,
        typer.Option(
            metavar="HOST,...",
            help="By which other names it may be called.",
        ),
    ] = "",
    health_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Touch this file each second while all workers are live.",
        ),
    ] = None,
    log_level: Annotated[
        LogLevel,
        typer.Option(case_sensitive=False, help="From which level on to log."),
    ] = LogLevel.INFO,
    log_format: Annotated[
        LogFormat,
        typer.Option(
            case_sensitive=False, help="Lines for people, or a JSON object in each."
        ),
    ] = LogFormat.TEXT,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when a Python file changes.")
    ] = False,
    shutdown_timeout: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds that workers have to finish what they have begun."
        ),
    ] = 25.0,
) -> None:
    """Run an app in worker processes until Ctrl-C or SIGTERM; a second one kills.

    Every line that a worker prints begins with its process id, unless it is JSON. A
    worker that crashes is replaced. The exit code is 0 if all of them stopped cleanly.
    """
    # `fastkafka --help` is to be quick: asyncio alone takes longer than the rest.
    import asyncio  # noqa: PLC0415

    from fastkafka.cli.embedded import reachable  # noqa: PLC0415
    from fastkafka.cli.logs import configure_logging  # noqa: PLC0415
    from fastkafka.cli.running import Plan, run_workers  # noqa: PLC0415
    from fastkafka.cli.terminal import complain, speak_in_log  # noqa: PLC0415

    configure_logging(log_level.value, log_format)
    if log_format == LogFormat.JSON:
        speak_in_log()
    try:
        with reachable(kafka_broker) as broker:
            plan = Plan(
                app,
                kafka_broker=broker,
                num_workers=num_workers,
                log_level=log_level.value,
                log_format=log_format,
                shutdown_timeout=shutdown_timeout,
                http=http,
                allowed_hosts=_hosts(http, http_allowed_hosts),
                health_file=health_file,
            )
            if reload:
                # watchfiles is an extra, and Pydantic takes a while.
                from fastkafka.cli.reload import run_again  # noqa: PLC0415

                code = asyncio.run(run_again(plan))
            else:
                code = asyncio.run(run_workers(plan))
    except FastKafkaError as error:  # no embedded broker here, or no such address
        complain(str(error))
        code = 1
    raise typer.Exit(code)


def _hosts(http: str | None, allowed: str) -> list[str]:
    """Return the names by which the server may be called: where it listens is one."""
    own = (http or "").rpartition(":")[0]
    return [host for host in (own, *allowed.replace(" ", "").split(",")) if host]
