"""`fastkafka dev`: everything that one wants while one writes an app."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fastkafka.cli.embedded import EMBEDDED
from fastkafka.cli.logs import LogFormat
from fastkafka.cli.run import LogLevel
from fastkafka.errors import ConfigError, FastKafkaError

DEFAULT_PORT = 8080
PORTS = 20
"""How many ports are tried, from the default one on."""


def dev(
    app: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:APP", help="Where the app is, in Python's terms."
        ),
    ],
    kafka_broker: Annotated[
        str,
        typer.Option(
            help="A name of the app's kafka_brokers, or host:port. The embedded one "
            "needs no installation, and is kept while the app is reloaded."
        ),
    ] = EMBEDDED,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Of the page on 127.0.0.1; default 8080, or the next free one.",
        ),
    ] = None,
    open_page: Annotated[
        bool, typer.Option("--open", help="Show the page in the browser.")
    ] = False,
    reload: Annotated[
        bool, typer.Option(help="Start the app again when a Python file changes.")
    ] = True,
    reload_dir: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, file_okay=False, help="What is watched; default: this folder."
        ),
    ] = None,
    num_workers: Annotated[
        int, typer.Option(min=1, help="How many processes run the app.")
    ] = 1,
    log_level: Annotated[
        LogLevel,
        typer.Option(case_sensitive=False, help="From which level on to log."),
    ] = LogLevel.WARNING,
    shutdown_timeout: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds that workers have to finish what they have begun."
        ),
    ] = 5.0,
) -> None:
    """Run an app with its own broker and its page, again whenever a file changes.

    The page shows what flows where, and can send messages and replay failed ones. It
    listens on 127.0.0.1 only. Its topics are created; the broker keeps nothing.
    """
    # `fastkafka --help` is to be quick: asyncio alone takes longer than the rest.
    import asyncio  # noqa: PLC0415
    import contextlib  # noqa: PLC0415
    import webbrowser  # noqa: PLC0415
    from urllib.parse import quote  # noqa: PLC0415

    from fastkafka.cli.listening import url_of  # noqa: PLC0415
    from fastkafka.cli.logs import configure_logging  # noqa: PLC0415
    from fastkafka.cli.reload import check_watchfiles, run_reloading  # noqa: PLC0415
    from fastkafka.cli.running import Plan  # noqa: PLC0415
    from fastkafka.cli.terminal import complain, say  # noqa: PLC0415
    from fastkafka.testing import EmbeddedBroker  # noqa: PLC0415
    from fastkafka.web.guard import read_token  # noqa: PLC0415

    configure_logging(log_level.value, LogFormat.TEXT)
    try:
        if reload:
            check_watchfiles()
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(free_port(port))
            known: set[str] = set()
            broker: EmbeddedBroker | None = None
            if kafka_broker == EMBEDDED:
                broker = EmbeddedBroker()
                kafka_broker = stack.enter_context(broker)
                say(
                    f"Broker:  {kafka_broker} (embedded: for development only, nothing "
                    "is kept)"
                )

            def create(topics: Sequence[str]) -> None:
                made = []
                for name in topics:
                    if broker is not None and name not in known:
                        known.add(name)
                        made.append(name)
                        # Unless the app that is starting has had it made just now.
                        with contextlib.suppress(ConfigError):
                            broker.create_topic(name)
                if made:
                    say(f"Topics:  made {', '.join(made)}")

            token = read_token()
            say(f"Page:    {url_of(server)}" + (" (with the token)" if token else ""))
            if open_page:
                fragment = f"#token={quote(token)}" if token else ""
                webbrowser.open(f"{url_of(server)}/{fragment}")
            plan = Plan(
                app,
                kafka_broker=kafka_broker,
                num_workers=num_workers,
                log_level=log_level.value,
                log_format=LogFormat.TEXT,
                shutdown_timeout=shutdown_timeout,
                http=url_of(server),
                dev=True,
            )
            code = asyncio.run(
                run_reloading(
                    plan,
                    folders=reload_dir or [Path.cwd()],
                    server=server,
                    topics=create,
                    reload=reload,
                )
            )
    except FastKafkaError as error:  # no free port, no embedded broker here
        complain(str(error))
        code = 1
    raise typer.Exit(code)


def free_port(port: int | None) -> socket.socket:
    """Listen on 127.0.0.1: at a port, or at the first free one from 8080 on.

    Raises:
        ConfigError: There is none, or the port is in use.
    """
    ports = range(DEFAULT_PORT, DEFAULT_PORT + PORTS) if port is None else [port]
    for one in ports:
        try:
            return socket.create_server(("127.0.0.1", one), backlog=128)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
    if port is not None:
        raise ConfigError(
            f"Port {port} cannot be opened: {reason}. Take another one; without "
            "`--port` it is the next free one from 8080 on."
        )
    raise ConfigError(
        f"No port from {DEFAULT_PORT} to {DEFAULT_PORT + PORTS - 1} is free. Choose "
        "one: `--port 9000`; 0 is any that is free."
    )
