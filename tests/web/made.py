"""A source of what tests make up, for the page and its probes."""

from __future__ import annotations

from collections.abc import Sequence

from fastkafka.engine.commands import Answer, Command
from fastkafka.observe.snapshot import Snapshot


class Made:
    """A source of what tests make up."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.made = snapshots

    def snapshots(self) -> Sequence[Snapshot]:
        return self.made

    async def command(self, command: Command) -> Sequence[Answer]:
        return ()
