"""docs/command-line.md names every option that there is, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from fastkafka.cli.commands import cli

DOCS = Path(__file__).parent.parent.parent / "docs" / "command-line.md"
TOOLS = ("topics", "lag", "tail", "send", "dlt", "check", "ctl")
EVERYWHERE = {"--kafka-broker", "--json", "--help"}


def commands(name: str) -> Iterator[Any]:
    command: Any = typer.main.get_command(cli)
    command = command.commands[name]
    yield from getattr(command, "commands", {"": command}).values()


def options(name: str) -> set[str]:
    """Return the long options of a command, and of those below it."""
    names = {
        option
        for command in commands(name)
        for parameter in command.params
        if parameter.param_type_name == "option"
        for option in parameter.opts
    }
    return {option for option in names if option.startswith("--")} - EVERYWHERE


def section(title: str) -> str:
    text = DOCS.read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", TOOLS)
def test_each_option_is_documented_and_each_documented_one_exists(name: str) -> None:
    documented = set(re.findall(r"--[a-z][a-z-]+", section(name)))
    of_others = set(re.findall(r"kafka-[a-z-]+\.sh[^`]*", section(name)))

    assert documented - EVERYWHERE == options(name), of_others


def test_each_command_of_the_tools_is_in_the_table() -> None:
    command: Any = typer.main.get_command(cli)
    listed = set(re.findall(r"^\| \[?`fastkafka ([a-z]+)`", DOCS.read_text(), re.M))

    assert set(command.commands) <= listed


def test_every_link_leads_somewhere() -> None:
    text = DOCS.read_text(encoding="utf-8")
    titles = re.findall(r"^## (.+)$", text, re.M)
    anchors = {title.lower().replace(" ", "-") for title in titles}

    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
    for file in re.findall(r"\]\(([\w-]+\.md)\)", text):
        assert (DOCS.parent / file).exists()
