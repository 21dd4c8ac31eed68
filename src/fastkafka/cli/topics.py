"""`fastkafka topics`: the app's topics as they are on the cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from fastkafka.cli.clusters import NO, App, AsJson, KafkaBroker, looking_into


def topics(
    app: App,
    kafka_broker: KafkaBroker = "localhost",
    create: Annotated[
        bool, typer.Option("--create", help="Create those that are missing.")
    ] = False,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="For --create: how many; default: the cluster's, and for dead letters "
            "as many as their source has.",
        ),
    ] = None,
    replication: Annotated[
        int | None,
        typer.Option(min=1, help="For --create: how many brokers have each."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show an app's topics: who reads and writes them, and which are missing.

    The exit code is 1 if one is missing that functions read or write.
    """
    with looking_into(app, kafka_broker) as (loaded, clusters):
        from fastkafka.cli.printing import print_topics  # noqa: PLC0415
        from fastkafka.cli.terminal import complain, say  # noqa: PLC0415
        from fastkafka.tools.topics import (  # noqa: PLC0415
            app_topics,
            create_missing,
            facts_of,
            records_in,
        )

        found = app_topics(loaded, clusters)
        if create:
            for made in create_missing(found, clusters, partitions, replication):
                if not as_json:
                    say(f"Created topic '{made.name}' at {made.servers}.")
        facts = facts_of(found, clusters)
        rows = []
        for topic in found:
            there = facts.get((topic.servers, topic.name))
            held = None if there is None else records_in(topic, there, clusters)
            rows.append((topic, there, held))
        print_topics(rows, as_json=as_json)
        missing = [
            topic.name
            for topic, there, _ in rows
            if there is None and topic.source is None and not topic.is_pattern
        ]
        if missing:
            complain(
                f"Missing: {', '.join(map(repr, missing))}. Create what is missing: "
                f"`fastkafka topics {app} --create`."
            )
            raise typer.Exit(NO)
