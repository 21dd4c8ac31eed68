"""Which dead letters somebody means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from fastkafka.errors import ConfigError
from fastkafka.tools.parking import DeadLetter, Parking
from fastkafka.tools.topics import AppTopic

Place = tuple[int, int]
"""A partition and an offset."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters of one topic.

    Attributes:
        error: Only with this error, by its name with or without its module.
        places: Only these; None is all.
        limit: How many at most, those that have waited longest; None is all.
    """

    error: str | None = None
    places: Collection[Place] | None = None
    limit: int | None = None

    def of(self, parking: Parking, until: Mapping[int, int]) -> Iterator[DeadLetter]:
        """Yield the dead letters that are meant, those that have waited longest first.

        Args:
            parking: Where they are.
            until: Only below these offsets; see `Parking.ends`.

        Raises:
            ClientError: The broker refuses.
        """
        if self.places is None:
            letters = parking.walk(until)
        else:
            letters = iter(parking.read(only=self.places, until=until).letters)
        return islice(filter(self._fits, letters), self.limit)

    def _fits(self, letter: DeadLetter) -> bool:
        if self.error is None:
            return True
        failure = letter.failure
        names = {failure.kind, failure.error or "unknown", failure.cause}
        return self.error in names


def dead_letter_topics(topics: Sequence[AppTopic], name: str | None) -> list[AppTopic]:
    """Return the dead-letter topics of an app, or the one that somebody means.

    Args:
        topics: The app's.
        name: A dead-letter topic's name, or its source's; None is all.

    Raises:
        ConfigError: There is none of that name, or none at all.
    """
    found = [topic for topic in topics if topic.source is not None]
    if name is not None:
        found = [
            topic
            for topic in found
            if name in (topic.name, topic.source and topic.source.name)
        ]
    if found:
        return found
    if name is None:
        raise ConfigError(
            "No function of the app parks dead letters: none has "
            "`on_failure='dead_letter'`."
        )
    known = [repr(topic.name) for topic in topics if topic.source is not None]
    raise ConfigError(
        f"The app parks no dead letters of {name!r}. Its dead-letter topics: "
        f"{', '.join(known) or 'none'}."
    )


def parse_place(text: str) -> Place:
    """Read ``partition:offset``, or ``orders-dlt[2]@1042`` as it is printed.

    Raises:
        ConfigError: It is neither.
    """
    found = re.fullmatch(r"(?:[\w.-]+\[)?(\d+)(?::|\]@)(\d+)", text)
    if found is None:
        raise ConfigError(
            f"`--record` {text!r} is no record. Write its partition and its offset: "
            "2:1042."
        )
    return int(found[1]), int(found[2])
