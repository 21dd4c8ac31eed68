"""`fastkafka broker`: an embedded broker in the foreground."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Annotated

import typer

from fastkafka.cli.terminal import complain
from fastkafka.errors import ConfigError

_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}

_FOR = "demos, development and tests, by any client on this machine"
_NOT_FOR = (
    "production, load tests or exactly-once. A partition keeps at most 5 MiB or "
    "100,000 batches, and older records vanish silently. Nothing is kept when the "
    "broker stops. Read-committed consumers see aborted records. There are no ACLs."
)


def broker(
    port: Annotated[
        int | None,
        typer.Option(help="The port on 127.0.0.1; a free one if not given."),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:PARTITIONS]",
            help="A topic to create, with 4 partitions if not said; repeat for more.",
        ),
    ] = None,
    brokers: Annotated[
        int,
        typer.Option(help="How many brokers, on ports that follow each other."),
    ] = 1,
) -> None:
    """Run an embedded Kafka broker until Ctrl-C: nothing to install, no JVM."""
    # Confluent's client and Rich take a while to import, for which `fastkafka run` and
    # `--help` need not wait.
    from fastkafka.testing import EmbeddedBroker  # noqa: PLC0415

    # A signal waits for `sigwait`, however early it comes.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        topics = _parse_topics(topic or ())
        with EmbeddedBroker(topics, port=port, brokers=brokers) as bootstrap_servers:
            _say_what_runs(bootstrap_servers, topics)
            signal.sigwait(_STOP_SIGNALS)
    except ConfigError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _parse_topics(texts: Sequence[str]) -> dict[str, int]:
    topics: dict[str, int] = {}
    for text in texts:
        name, colon, partitions = text.partition(":")
        if name in topics:
            raise ConfigError(f"`--topic` {text!r}: topic {name!r} is given twice.")
        if colon and not partitions.isdecimal():
            raise ConfigError(
                f"`--topic` {text!r}: {partitions!r} is not a number of partitions. "
                "Write it as `name:partitions`, for example `orders:6`."
            )
        topics[name] = int(partitions) if colon else 4
    return topics


def _say_what_runs(bootstrap_servers: str, topics: dict[str, int]) -> None:
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415

    created = [f"{name} ({partitions})" for name, partitions in topics.items()]
    created.append("others appear with 4 partitions when a producer asks for them")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("Topics", "\n".join(created))
    facts.add_row("For", _FOR)
    facts.add_row("Not for", _NOT_FOR)
    console = Console(highlight=False)
    console.print(f"A Kafka broker listens at [bold]{bootstrap_servers}[/bold]")
    console.print(facts)
    console.print("Ctrl-C stops it.")
