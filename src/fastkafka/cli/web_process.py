"""The process that serves probes, metrics and documents of a run.

It imports the app, but enters no lifespan and handles nothing. How the workers are, the
parent tells it; it ends with the parent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys

import uvicorn

from fastkafka.app import FastKafka
from fastkafka.asyncapi import document
from fastkafka.asyncapi.schemas import Json
from fastkafka.cli.loading import (
    UserModuleError,
    choose_broker,
    load_app,
    user_traceback,
)
from fastkafka.cli.logs import LogFormat, configure_logging
from fastkafka.cli.process import LONGEST_REPORT
from fastkafka.errors import FastKafkaError
from fastkafka.web import page
from fastkafka.web.asgi import make_app
from fastkafka.web.guard import read_token, rules
from fastkafka.web.source import RunSource


def main() -> None:
    """Serve with the arguments of the command line."""
    options = _parser().parse_args(sys.argv[1:])
    configure_logging(options.log_level, options.log_format)
    asyncio.run(_serve(options, _load(options)))


def _load(options: argparse.Namespace) -> FastKafka | FastKafkaError:
    """Import the app, or return why that cannot be: probes are served nevertheless."""
    try:
        app = load_app(options.app)
        choose_broker(app, options.kafka_broker)
    except FastKafkaError as error:  # the workers print it; it is shown here, too
        return error
    return app


async def _serve(
    options: argparse.Namespace, loaded: FastKafka | FastKafkaError
) -> None:
    def described() -> Json:
        if isinstance(loaded, FastKafkaError):
            raise loaded
        return document(loaded)

    source = RunSource()
    allowed = rules(
        options.address,
        dev=options.dev,
        token=read_token(),
        allowed_hosts=options.allowed_host,
    )
    console = page.Console(
        source,
        allowed,
        None if isinstance(loaded, FastKafkaError) else loaded,
        mode="dev" if options.dev else "run",
        name=options.app,
        broken=_broken(loaded) if isinstance(loaded, FastKafkaError) else None,
    )
    app = make_app(
        source,
        document=described,
        rules=allowed,
        routes=page.routes_of(console),
    )
    server = _Server(
        console,
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        ),
    )
    control = socket.socket(fileno=options.control)
    reader, writer = await asyncio.open_connection(sock=control, limit=LONGEST_REPORT)
    source.say = writer.write
    source.hear(await reader.readline())  # until then there is nothing to say
    console.wake_up()  # the history begins now, whoever looks

    async def hear() -> None:
        while line := await reader.readline():
            source.hear(line)
        server.should_exit = True  # the parent has gone

    hearing = asyncio.create_task(hear())
    writer.write(b"ready\n")
    await server.serve(sockets=[socket.socket(fileno=options.listen)])
    hearing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await hearing


class _Server(uvicorn.Server):
    """Ends the page's streams when it stops, which would keep it from that."""

    def __init__(self, console: page.Console, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._console = console

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._console.close()
        await super().shutdown(sockets)


def _broken(error: FastKafkaError) -> page.Broken:
    """Return why there is no app, as the page shows it."""
    cause = error.__cause__
    traceback = ""
    if isinstance(error, UserModuleError) and cause is not None:
        traceback = user_traceback(cause)
    return page.Broken(str(error), traceback)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("app")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--allowed-host", action="append", default=[])
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--kafka-broker", required=True)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--log-format", choices=list(LogFormat), default="text")
    return parser


if __name__ == "__main__":
    main()
