"""`fastkafka send`: messages for a topic, checked with the app's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastkafka.cli.clusters import App, AsJson, KafkaBroker, looking_into


def send(
    app: App,
    topic: Annotated[str, typer.Argument(help="One of the app's topics.")],
    message: Annotated[
        str | None,
        typer.Argument(
            help="The message as JSON; '-' or nothing reads one from each line of "
            "stdin."
        ),
    ] = None,
    kafka_broker: KafkaBroker = "localhost",
    file: Annotated[
        Path | None,
        typer.Option(help="Send one message from each line of a file.", exists=True),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The key, as text; it chooses the partition.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A header; repeat for more."),
    ] = None,
    partition: Annotated[
        int | None, typer.Option(min=0, help="The partition, instead of by the key.")
    ] = None,
    tombstone: Annotated[
        bool, typer.Option("--tombstone", help="Send no message: it deletes the key.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Send the text as it is, unchecked.")
    ] = False,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Check, and send nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send messages to a topic, checked with the app's model before they go.

    It ends when the broker has acknowledged them. Of a file nothing is sent if one of
    its messages does not fit; from stdin they go as they come, up to the first that
    does not. The exit code is 1 if one did not fit or was refused.
    """
    with looking_into(app, kafka_broker) as (loaded, clusters):
        from fastkafka.cli.sending import Errand, run  # noqa: PLC0415
        from fastkafka.tools.topics import app_topics, topic_named  # noqa: PLC0415

        place = topic_named(app_topics(loaded, clusters), topic)
        errand = Errand(
            message=message,
            file=file,
            key=None if key is None else key.encode(),
            headers=header or [],
            partition=partition,
            tombstone=tombstone,
            raw=raw,
            check_only=check_only,
            as_json=as_json,
        )
        if not run(errand, place, clusters):
            raise typer.Exit(1)
