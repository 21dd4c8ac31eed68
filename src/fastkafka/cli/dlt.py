"""`fastkafka dlt`: what is parked, why, and back it goes."""

from __future__ import annotations

from typing import Annotated

import typer

from fastkafka.cli.clusters import App, AsJson, KafkaBroker, looking_into

dlt_app = typer.Typer(no_args_is_help=True)

Topic = Annotated[
    str | None,
    typer.Argument(help="A dead-letter topic, or its source; default: all."),
]
Error = Annotated[
    str | None,
    typer.Option(help="Only with this error: ValueError, app.errors.NoStock."),
]
Record = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PARTITION:OFFSET", help="Only this dead letter; repeat for more."
    ),
]
All = Annotated[bool, typer.Option("--all", help="All that are parked.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="At most so many, those that have waited longest."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dlt_app.callback()
def dlt() -> None:
    """Look at dead letters, and send them back.

    A dead letter is parked until it is replayed or dismissed; the group <group>-dlt
    keeps account of that.
    """


@dlt_app.command("list")
def list_(
    app: App,
    topic: Topic = None,
    kafka_broker: KafkaBroker = "localhost",
    as_json: AsJson = False,
) -> None:
    """Show what is parked, grouped by its cause.

    Of each topic the newest 10,000 are looked at.
    """
    with looking_into(app, kafka_broker) as (loaded, clusters):
        from fastkafka.cli.deadletters import list_groups  # noqa: PLC0415

        list_groups(loaded, clusters, topic, as_json=as_json)


@dlt_app.command()
def show(
    app: App,
    topic: Topic = None,
    kafka_broker: KafkaBroker = "localhost",
    error: Error = None,
    record: Record = None,
    number: Annotated[
        int, typer.Option("-n", min=1, help="How many of each topic, the newest.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Show dead letters: error, stack trace, headers, message."""
    with looking_into(app, kafka_broker) as (loaded, clusters):
        from fastkafka.cli.deadletters import Wish, show_letters  # noqa: PLC0415

        wish = Wish(topic, error, record or [], limit=number, everything=True)
        show_letters(loaded, clusters, wish, as_json=as_json)


@dlt_app.command()
def replay(
    app: App,
    topic: Topic = None,
    kafka_broker: KafkaBroker = "localhost",
    everything: All = False,
    error: Error = None,
    record: Record = None,
    limit: Limit = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Records per second; 0 is no limit.")
    ] = 100.0,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be sent, and send nothing."),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to the topics that they came from.

    Key and value are the original bytes, and the headers of the failure are taken away.
    Say which: --all, --limit, --error, --record. Those that arrive meanwhile are left
    alone. The exit code is 1 if one was refused; it stays parked.
    """
    with looking_into(app, kafka_broker) as (loaded, clusters):
        from fastkafka.cli.deadletters import Wish, replay_letters  # noqa: PLC0415

        wish = Wish(topic, error, record or [], limit, everything)
        if not replay_letters(
            loaded,
            clusters,
            wish,
            rate=rate or None,
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        ):
            raise typer.Exit(1)


@dlt_app.command()
def dismiss(
    app: App,
    topic: Topic = None,
    kafka_broker: KafkaBroker = "localhost",
    everything: All = False,
    error: Error = None,
    record: Record = None,
    limit: Limit = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take dead letters off the list without sending them anywhere.

    They stay in the topic as long as it keeps them. Say which: --all, --limit, --error,
    --record.
    """
    with looking_into(app, kafka_broker) as (loaded, clusters):
        from fastkafka.cli.deadletters import Wish, dismiss_letters  # noqa: PLC0415

        wish = Wish(topic, error, record or [], limit, everything)
        dismiss_letters(loaded, clusters, wish, yes=yes, as_json=as_json)
