"""The guides' apps, written into files as a reader of the guide would.

Each guide is a Markdown file in `apps`. A listing's first line names its file:
"```python application.py". The addresses in it are replaced by those of brokers that
run: placeholders and port 9092 by the first one's, port 9093 by the second one's.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fastkafka.testing import EmbeddedBroker
from tests.cli.test_run import Command
from tests.clients import produce, read

APPS = Path(__file__).parent / "apps"
STAND_INS = Path(__file__).parents[1] / "stand_ins"
"""Modules that take the place of others in the processes that `start` starts."""

_LISTING = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_UNUSED = ("127.0.0.1:9092", "127.0.0.1:9093")


def write_guide(guide: str, folder: Path, servers: Sequence[str] = _UNUSED) -> None:
    """Write a guide's files into a folder.

    Args:
        guide: The guide's name in `apps`.
        folder: Where they go.
        servers: The addresses of the first and of the second broker.
    """
    text = (APPS / f"{guide}.md").read_text()
    for port, address in zip(("9092", "9093"), servers, strict=False):
        text = text.replace(port, address.rpartition(":")[2])
    text = text.replace("<url_of_your_kafka_bootstrap_server>", "localhost")
    port = servers[0].rpartition(":")[2]
    text = text.replace("<port_of_your_kafka_bootstrap_server>", port)
    for name, code in _LISTING.findall(text):
        (folder / name).write_text(code)


def load(guide: str, name: str, folder: Path, servers: Sequence[str] = _UNUSED) -> Any:
    """Write a guide's files, and import one of them."""
    write_guide(guide, folder, servers)
    return import_file(folder / f"{name}.py")


def import_file(file: Path) -> Any:
    """Import a file as the module of its name, which others do not see."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setitem(sys.modules, file.stem, module)
        patch.chdir(file.parent)
        warnings.simplefilter("ignore", DeprecationWarning)  # `Field(example=)`
        spec.loader.exec_module(module)
    return module


@dataclass
class Running:
    """An app that a command runs, and its brokers.

    Attributes:
        command: The process and its output.
        servers: The addresses of its brokers.
    """

    command: Command
    servers: Sequence[str]

    def ready(self, workers: int = 1) -> None:
        """Wait until the app has its partitions."""
        self.command.wait_for("fastkafka.app: Started", times=workers)

    def logged(self, pattern: str, times: int = 1) -> list[str]:
        """Wait until workers have printed lines; return their first groups."""
        return self.command.wait_for(rf"^\[\d+\]: {pattern}$", times=times)

    def send(self, topic: str, *values: bytes, cluster: int = 0) -> None:
        """Send records to a topic."""
        produce(self.servers[cluster], topic, values)

    def sent(self, topic: str, count: int = 1, cluster: int = 0) -> list[bytes]:
        """Wait for the first records of a topic; return their values, in order."""
        records = read(self.servers[cluster], topic, count)
        return sorted(record.value() or b"" for record in records)


@contextmanager
def running(
    commands: Mapping[str, Mapping[str, str]],
    folder: Path,
    *,
    topics: Sequence[str],
    clusters: int = 1,
    together: bool = False,
) -> Iterator[Mapping[str, Running]]:
    """Run commands of guides side by side.

    Args:
        commands: As the guides print them; by the guide's name in `apps`, and then by
            a name for the test.
        folder: For the files.
        topics: Made on every broker.
        clusters: How many brokers a command has.
        together: All commands have the same brokers, instead of brokers of their own.
    """
    apps: dict[str, Running] = {}
    lines = [(guide, *named) for guide in commands for named in commands[guide].items()]
    with ExitStack() as stack:
        servers: list[str] = []
        for guide, name, line in lines:
            if not (together and servers):
                brokers = [EmbeddedBroker(topics) for _ in range(clusters)]
                servers = [stack.enter_context(broker) for broker in brokers]
            place = folder / name
            place.mkdir()
            write_guide(guide, place, servers)
            apps[name] = Running(start(line, place, servers), servers)
            stack.callback(_kill, apps[name].command)
        yield apps
        for app in apps.values():
            app.command.signal(signal.SIGINT)
        for name, app in apps.items():
            code = app.command.end()
            assert code == 0, f"{name}: {code}\n{app.command.out}\n{app.command.err}"


def start(line: str, folder: Path, servers: Sequence[str]) -> Command:
    """Run a command line in a folder; what guide 02 reads is in the environment."""
    host, _, port = servers[0].rpartition(":")
    environment = {"KAFKA_HOSTNAME": host, "KAFKA_PORT": port}
    environment["PYTHONPATH"] = str(STAND_INS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Command([sys.executable, "-m", *shlex.split(line)], folder)


def _kill(command: Command) -> None:
    if command.process.poll() is None:
        command.process.kill()
        command.end()
