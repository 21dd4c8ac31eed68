"""What every test of the web has."""

from __future__ import annotations

import pytest

from fastkafka.transport.librdkafka import connection


@pytest.fixture(autouse=True)
def nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a broker that is away once.

    Python waits for the page's threads when it ends, and they for the broker.
    """
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.0)
