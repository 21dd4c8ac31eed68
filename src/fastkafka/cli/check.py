"""`fastkafka check`: whether an app will work on a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from fastkafka.cli.clusters import NO, App, AsJson, KafkaBroker, looking_into


def check(
    app: App,
    kafka_broker: KafkaBroker = "localhost",
    num_workers: Annotated[
        int | None,
        typer.Option(min=1, help="How many workers are to run it."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings are errors, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that an app will work on a cluster, before it is started there.

    Topics, partitions, replicas, retention, sizes, permissions, settings: each finding
    says what to do. The exit code is 0 without an error, 1 with one, 2 if nothing could
    be checked.
    """
    with looking_into(app, kafka_broker) as (loaded, clusters):
        from fastkafka.cli.printing import print_findings  # noqa: PLC0415
        from fastkafka.tools.check import check as look  # noqa: PLC0415

        findings = look(loaded, clusters, workers=num_workers)
        print_findings(findings, app=app, as_json=as_json)
        bad = {"error", "warning"} if strict else {"error"}
        if any(finding.severity in bad for finding in findings):
            raise typer.Exit(NO)
