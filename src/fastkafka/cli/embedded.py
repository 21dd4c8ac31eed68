"""`--kafka-broker embedded`: a broker that lives as long as the command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fastkafka.cli.terminal import say

EMBEDDED = "embedded"


@contextlib.contextmanager
def reachable(kafka_broker: str) -> Iterator[str]:
    """Start a broker if the command is to bring its own.

    Args:
        kafka_broker: As on the command line.

    Yields:
        Its address instead of `embedded`; anything else as it is.
    """
    if kafka_broker != EMBEDDED:
        yield kafka_broker
        return
    from fastkafka.testing import (  # noqa: PLC0415 - and the client only here
        EmbeddedBroker,
    )

    with EmbeddedBroker() as bootstrap_servers:
        say(
            f"Embedded broker on {bootstrap_servers}: for development only, "
            "nothing is kept."
        )
        yield bootstrap_servers
