"""What a replay would send where, before it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastkafka.tools.deadletters import own_headers
from fastkafka.tools.models import secrets_of
from fastkafka.tools.parking import DeadLetter, Parking
from fastkafka.tools.records import RecordViews
from fastkafka.tools.replay import Replay
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.web.reader import shown

MOST_SHOWN = 5
LONGEST_VALUE = 2000


@dataclass(frozen=True, slots=True)
class Part:
    """Records of one dead-letter topic, in the order in which they would go."""

    topic: AppTopic
    letters: Sequence[DeadLetter]


def preview(
    parts: Sequence[Part],
    topics: Sequence[AppTopic],
    clusters: Clusters,
    redact: Sequence[str],
) -> dict[str, Any]:
    """Return what would be sent: how much to which topics, and the first records.

    Args:
        parts: What is to be replayed.
        topics: The app's.
        clusters: Where they are.
        redact: Fields that are masked.

    Returns:
        `total`, `to` (each `topic` and `records`), and `first`: records as they would
        be, with the place where each is (`from`) and where it would go (`to`).

    Raises:
        ClientError: No broker says.
    """
    counts: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    for part in parts:
        views = RecordViews(part.topic, redact=redact, longest=LONGEST_VALUE)
        secrets = secrets_of(part.topic, redact)
        with Parking(part.topic, clusters) as parking:
            replay = Replay(parking, topics, clusters)
            for letter in part.letters:
                topic, partition = replay.target(letter)
                counts[topic] += 1
                if len(first) == MOST_SHOWN:
                    continue
                record = letter.record
                place = {"topic": part.topic.name, "partition": letter.place[0]}
                view = shown(views.view(record, own_headers(record)), secrets)
                first.append(
                    view
                    | {
                        "from": place | {"offset": letter.place[1]},
                        "to": {"topic": topic, "partition": partition},
                    }
                )
    return {
        "total": sum(counts.values()),
        "to": [{"topic": topic, "records": n} for topic, n in counts.most_common()],
        "first": first,
    }
