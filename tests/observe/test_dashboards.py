"""The dashboard and the alert rules name only what is exported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from fastkafka.observe.figures import FIGURES
from fastkafka.observe.prometheus import HANDLER_SECONDS, exposition
from fastkafka.observe.snapshot import Problem
from tests.snapshots import problem, snapshot

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = DOCS / "grafana" / "dashboard.json"
ALERTS = DOCS / "grafana" / "alerts.yml"

LABELS = {label for figure in FIGURES for label in figure.labels} | {"le", "instance"}
"""`instance` is Prometheus' own."""

_GROUPING = re.compile(r"\bby \(([^)]*)\)")
_MATCHER = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')


def exported() -> set[str]:
    """Return the names of all samples."""
    text, _ = exposition(lambda: [snapshot(problems=[problem()])], "")
    return {
        sample.name
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    return set(re.findall(r"\b(?:fast)?kafka_[a-z_]+", expression))


def of_the_dashboard() -> Iterator[str]:
    read = json.loads(DASHBOARD.read_text())
    for panel in read["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in read["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def of_the_alerts() -> Iterator[str]:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


EXPRESSIONS = [*of_the_dashboard(), *of_the_alerts()]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_that_is_named_is_exported(expression: str) -> None:
    assert names_in(expression)
    assert names_in(expression) <= exported()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_label_that_is_used_is_there(expression: str) -> None:
    grouped = {
        label.strip()
        for labels in _GROUPING.findall(expression)
        for label in labels.split(",")
    }
    matched = {name for name, _, _ in _MATCHER.findall(expression)}

    assert grouped | matched <= LABELS
    for name, _, value in _MATCHER.findall(expression):
        if name == "kind":
            assert f'"{value}"' in str(Problem.__doc__)
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)


def test_every_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    names = [rule["alert"] for rule in group["rules"]]

    assert len(names) == len(set(names))
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("warning", "critical")
        said = rule["annotations"]["summary"]
        kept = set(re.findall(r"\$labels\.(\w+)", said))
        grouping = _GROUPING.search(rule["expr"])
        if grouping is not None:
            assert kept <= {label.strip() for label in grouping[1].split(",")}


def test_every_figure_is_on_the_dashboard_and_in_the_docs() -> None:
    shown = set().union(*map(names_in, of_the_dashboard()))
    table = (DOCS / "observability.md").read_text()
    names = {f.name + ("_total" if f.kind == "counter" else "") for f in FIGURES}

    assert names <= shown
    assert {name for name in names if f"`{name}`" not in table} == set()
    assert f"`{HANDLER_SECONDS}`" in table


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
