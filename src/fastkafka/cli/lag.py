"""`fastkafka lag`: how far the app's groups are behind."""

from __future__ import annotations

from typing import Annotated

import typer

from fastkafka.cli.clusters import App, AsJson, KafkaBroker, looking_into


def lag(
    app: App,
    kafka_broker: KafkaBroker = "localhost",
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again until Ctrl-C.")
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.2, help="For --watch: seconds between two looks.")
    ] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show how far an app's groups are behind, in records and in seconds.

    A group that has committed nothing is behind by all that it would read.
    """
    with looking_into(app, kafka_broker) as (loaded, clusters):
        import sys  # noqa: PLC0415
        import time  # noqa: PLC0415

        from fastkafka.cli.output import in_terminal  # noqa: PLC0415
        from fastkafka.cli.printing import lag_table, print_lags  # noqa: PLC0415
        from fastkafka.tools.lag import lags  # noqa: PLC0415
        from fastkafka.tools.topics import app_topics  # noqa: PLC0415

        topics = app_topics(loaded, clusters)
        if not watch or as_json or not in_terminal():
            while True:
                print_lags(lags(topics, clusters), as_json=as_json)
                if not watch:
                    return
                sys.stdout.flush()
                time.sleep(interval)
        from rich.live import Live  # noqa: PLC0415

        with Live(lag_table(lags(topics, clusters)), auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                live.update(lag_table(lags(topics, clusters)), refresh=True)
