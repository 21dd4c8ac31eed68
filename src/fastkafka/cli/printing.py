"""What the commands print of topics, records, lags, findings: as text and as JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from rich.table import Table
from rich.text import Text

from fastkafka.cli.output import (
    Cell,
    in_terminal,
    print_indented,
    print_json,
    print_raw_json,
    print_table,
    print_text,
    table_of,
)
from fastkafka.tools import jsontext
from fastkafka.tools.deadletters import Failure, Group
from fastkafka.tools.findings import Finding, spoken
from fastkafka.tools.lag import Lag
from fastkafka.tools.parking import DeadLetter
from fastkafka.tools.records import RecordView
from fastkafka.tools.topics import AppTopic
from fastkafka.transport.librdkafka.inspection import TopicFacts

_APP = "MODULE:APP"
_SEVERITIES = {"error": ("✗", "red"), "warning": ("!", "yellow"), "note": ("i", "blue")}


def print_topics(
    topics: Sequence[tuple[AppTopic, TopicFacts | None, int | None]], *, as_json: bool
) -> None:
    """Print an app's topics.

    Args:
        topics: Each with what the cluster says of it, if it exists, and how many
            records it holds.
        as_json: One object in each line.
    """
    if as_json:
        for topic, facts, records in topics:
            print_json(
                {
                    "topic": topic.name,
                    "cluster": topic.servers,
                    "exists": facts is not None,
                    "role": topic.role,
                    "functions": topic.functions,
                    "groups": topic.groups,
                    "message": topic.model,
                    "partitions": None if facts is None else len(facts.partitions),
                    "replicas": None if facts is None else facts.replication,
                    "records": records,
                }
            )
        return
    several = len({topic.servers for topic, _, _ in topics}) > 1
    rows: list[list[Cell]] = []
    for topic, facts, records in topics:
        row: list[Cell] = [topic.name]
        if several:
            row.append(topic.servers)
        row += [topic.role, ", ".join(topic.functions), topic.model]
        if facts is None and topic.source is not None:
            row += [Text("not yet", style="dim"), None, None]
        elif facts is None:
            row += [Text("missing", style="red"), None, None]
        else:
            row += [len(facts.partitions), facts.replication, records]
        rows.append(row)
    columns = ["Topic", *(["Cluster"] if several else []), "Role", "Functions"]
    columns += ["Message", "Partitions", "Replicas", "Records"]
    print_table(columns, rows)


def lag_table(lags: Sequence[Lag]) -> Table:
    """Return a table of lags, the worst first."""
    return table_of(_LAG_COLUMNS, _lag_rows(lags))


def print_lags(lags: Sequence[Lag], *, as_json: bool) -> None:
    """Print how far groups are behind, the worst first."""
    if not as_json:
        print_table(_LAG_COLUMNS, _lag_rows(lags))
        return
    now = time.time()
    for lag in _worst_first(lags):
        print_json(
            {
                "time": now,
                "group": lag.group,
                "topic": lag.topic,
                "cluster": lag.servers,
                "partition": lag.partition,
                "committed": lag.committed,
                "end": lag.end,
                "lag": lag.records,
                "seconds": lag.seconds,
                "functions": lag.functions,
            }
        )


_LAG_COLUMNS = (
    "Group",
    "Topic",
    "Partition",
    "Committed",
    "End",
    "Lag",
    "Oldest waits",
)


def _lag_rows(lags: Sequence[Lag]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for lag in _worst_first(lags):
        waits = "unknown" if lag.seconds is None else spoken(lag.seconds)
        rows.append(
            [
                lag.group,
                lag.topic,
                lag.partition,
                "nothing" if lag.committed is None else lag.committed,
                lag.end,
                lag.records,
                waits if lag.records else None,
            ]
        )
    return rows


def _worst_first(lags: Sequence[Lag]) -> list[Lag]:
    return sorted(lags, key=lambda each: (-each.records, each.group, each.topic))


def print_record(record: RecordView, *, as_json: bool) -> None:
    """Print a record: one line, and more for its headers and for what is wrong."""
    if as_json:
        print_raw_json(record_json(record))
    elif in_terminal():
        print_text(_record_text(record))
    else:
        value = _value_of(record)
        cells = [
            datetime.fromtimestamp(record.timestamp / 1000).isoformat(
                timespec="milliseconds"
            ),
            f"{record.topic}[{record.partition}]@{record.offset}",
            "-" if record.key is None else record.key,
            value if record.error is None else f"{value}\t! {record.error}",
        ]
        sys.stdout.write("\t".join(cells) + "\n")


def print_raw(record: RecordView) -> None:
    """Print a record's value as it is, a line for each; in a terminal made safe."""
    value = record.record.value()
    if value is None:
        return
    if in_terminal():
        print_text(jsontext.readable(value) or "")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(value + b"\n")
        sys.stdout.buffer.flush()


def record_json(record: RecordView, more: Mapping[str, Any] | None = None) -> str:
    """Return a record as one JSON object; its value is in it as it was sent.

    What is no JSON is under "text", or under "base64", instead of "value".
    """
    head = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": record.key,
        "headers": record.headers,
        "size": record.size,
        "error": record.error,
        **(more or {}),
    }
    return f"{to_json(head).decode()[:-1]},{_json_value(record)}}}"


def _json_value(record: RecordView) -> str:
    value = record.value
    if value is None:
        return '"value":null'
    if record.format == "json" and not record.truncated:
        return f'"value":{value}'
    name = "base64" if record.format == "bytes" else "text"
    return f'"{name}":{to_json(value).decode()}'


def _record_text(record: RecordView) -> Text:
    when = datetime.fromtimestamp(record.timestamp / 1000)
    text = Text.assemble(
        (when.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], "dim"),
        "  ",
        (f"[{record.partition}]@{record.offset}", "cyan"),
        "  ",
        ("" if record.key is None else f"{record.key}  ", "bold"),
        (_value_of(record), "dim" if record.value is None else ""),
    )
    if record.headers:
        shown = "  ".join(f"{name}: {value}" for name, value in record.headers)
        text.append(f"\n    {shown}", style="dim")
    if record.error is not None:
        text.append(f"\n    {record.error}", style="red")
    return text


def _value_of(record: RecordView) -> str:
    if record.value is None:
        return "(tombstone)"
    if record.truncated:
        return f"{record.value} ... ({record.size:,} bytes; `--json` shows all)"
    return record.value


def print_groups(groups: Sequence[tuple[str, Group]], *, as_json: bool) -> None:
    """Print dead letters by their causes.

    Args:
        groups: Each with its dead-letter topic.
        as_json: One object in each line.
    """
    if as_json:
        for topic, group in groups:
            print_json(
                {
                    "topic": topic,
                    "records": group.count,
                    "error": group.cause.error,
                    "message": group.cause.message,
                    "place": group.cause.place,
                    "first": group.first,
                    "last": group.last,
                    "from": group.topics,
                    "written_by": group.example.family or None,
                    "example": group.example.message,
                }
            )
        return
    rows: list[list[Cell]] = [
        [
            topic,
            group.count,
            group.example.kind,
            _ago(group.last),
            group.cause.place or None,
            group.example.summary,
        ]
        for topic, group in groups
    ]
    columns = ["Topic", "Parked", "Error", "Last", "Where", "Message"]
    print_table(columns, rows, shrinks="Message")


def print_letter(letter: DeadLetter, view: RecordView, *, as_json: bool) -> None:
    """Print a dead letter: why it is there, and what it is."""
    failure = letter.failure
    if as_json:
        print_raw_json(record_json(view, {"failure": _failure_json(failure)}))
        return
    text = Text.assemble((view.position, "bold cyan"))
    if failure.topic is not None:
        text.append(f"  from {_origin(failure)}", style="dim")
    text.append(f"\n  {', '.join(_history(failure, view))}")
    text.append(f"\n  {failure.error or 'unknown error'}", style="red")
    if failure.message:
        text.append(f"\n  {failure.message}")
    if failure.trace:
        text.append(f"\n{_moved(failure.trace.rstrip(), 4)}", style="dim")
    if view.key is not None:
        text.append(f"\n  key {view.key}")
    for name, value in view.headers:
        text.append(f"\n  header {name}: {value}", style="dim")
    if view.error is not None:
        text.append(f"\n  does not fit: {view.error}", style="red")
    value = _value_of(view)
    if view.format == "json" and not view.truncated:
        value = jsontext.indented(value)
    text.append(f"\n{_moved(value, 2)}\n")
    print_text(text)


def _history(failure: Failure, view: RecordView) -> list[str]:
    said = [f"{_ago(view.timestamp)} ago"]
    if failure.group:
        said.append(f"group {failure.group}")
    if failure.attempts is not None:
        said.append(
            "1 attempt" if failure.attempts == 1 else f"{failure.attempts} attempts"
        )
    if failure.family not in ("", "Spring"):
        said.append(f"written by {failure.family}")
    return said


def _moved(text: str, spaces: int) -> str:
    """Return lines further to the right."""
    margin = " " * spaces
    return "\n".join(margin + line for line in text.split("\n"))


def _failure_json(failure: Failure) -> Mapping[str, Any]:
    return {
        "error": failure.error,
        "cause": failure.cause,
        "message": failure.message,
        "trace": failure.trace,
        "attempts": failure.attempts,
        "topic": failure.topic,
        "partition": failure.partition,
        "offset": failure.offset,
        "timestamp": failure.timestamp,
        "group": failure.group,
        "written_by": failure.family or None,
    }


def _origin(failure: Failure) -> str:
    place = failure.topic or ""
    if failure.partition is not None:
        place += f"[{failure.partition}]"
    return place if failure.offset is None else f"{place}@{failure.offset}"


def _ago(milliseconds: int) -> str:
    return spoken(max(0.0, time.time() - milliseconds / 1000))


def print_findings(findings: Sequence[Finding], *, app: str, as_json: bool) -> None:
    """Print what `check` has found, the worst first, and what to do.

    Args:
        findings: What it has found.
        app: The app as on the command line, for commands to be copied.
        as_json: One object in each line.
    """
    if as_json:
        for finding in findings:
            print_json(
                {
                    "severity": finding.severity,
                    "subject": finding.subject,
                    "text": finding.text,
                    "advice": finding.advice.replace(_APP, app),
                }
            )
        return
    for finding in findings:
        sign, colour = _SEVERITIES[finding.severity]
        head = (f"{sign} {finding.severity}", f"bold {colour}")
        print_text(Text.assemble(head, "  ", (finding.subject, "bold")))
        print_indented(Text(finding.text), 4)
        print_indented(Text(finding.advice.replace(_APP, app), style="cyan"), 4)
    counts = [
        f"{n} {severity}{'' if n == 1 else 's'}"
        for severity in ("error", "warning", "note")
        if (n := sum(finding.severity == severity for finding in findings))
    ]
    print_text(f"{', '.join(counts)}." if counts else "Nothing was found.")
