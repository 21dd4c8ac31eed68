"""`fastkafka tail`: the records of a topic, decoded with the app's models."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fastkafka.cli.clusters import App, AsJson, KafkaBroker, looking_into

_LONGEST = 2000
"""Characters of a value in a terminal."""


def tail(
    app: App,
    topic: Annotated[str, typer.Argument(help="One of the app's topics.")],
    kafka_broker: KafkaBroker = "localhost",
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="newest|oldest|OFFSET|TIME",
            help="Where to begin; a time as 2026-11-25T20:30, 20:30, or 15m ago.",
        ),
    ] = "newest",
    number: Annotated[
        int | None,
        typer.Option(
            "-n",
            min=0,
            help="How many records; default 10, and with --follow and another --from "
            "than newest all.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as records come.")
    ] = False,
    partition: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Only of this partition; repeat for more."),
    ] = None,
    find: Annotated[
        str | None,
        typer.Option(
            help="Only what fits: words, field=x, field>5, key:x, header.name:x."
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Only the values, as they are.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print records of a topic, decoded with the app's models.

    It reads without a group, so nothing is committed. What does not fit the model is
    shown as it is, with the reason.
    """
    with looking_into(app, kafka_broker) as (loaded, clusters):
        from fastkafka.cli.output import in_terminal  # noqa: PLC0415
        from fastkafka.cli.printing import print_raw, print_record  # noqa: PLC0415
        from fastkafka.tools.find import Find  # noqa: PLC0415
        from fastkafka.tools.records import RecordReader  # noqa: PLC0415
        from fastkafka.tools.starts import Start, tailed  # noqa: PLC0415
        from fastkafka.tools.topics import app_topics, topic_named  # noqa: PLC0415

        begin = Start.parse(start)
        wanted = None if find is None else Find.parse(find)
        place = topic_named(app_topics(loaded, clusters), topic)
        longest = _LONGEST if in_terminal() and not (as_json or raw) else None
        with RecordReader(place, clusters, longest=longest) as reader:
            reader.choose(partition or [])
            for record in tailed(reader, begin, number, follow=follow, wanted=wanted):
                if raw:
                    print_raw(record)
                else:
                    print_record(record, as_json=as_json)
                if follow:  # who reads a pipe waits for each
                    sys.stdout.flush()
