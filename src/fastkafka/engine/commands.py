"""What is asked of a running app, and answered, as plain values that can be sent.

The page and `fastkafka ctl` ask; `obey` does it in the process that runs the app.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic import TypeAdapter

from fastkafka.engine.control import Control
from fastkafka.errors import ConfigError, FastKafkaError, NotAssignedError

Action = Literal["pause", "resume", "concurrency", "seek"]


@dataclass(frozen=True, slots=True)
class Command:
    """Something to do; see `Control`.

    Attributes:
        action: What.
        function: Whose, but for a seek.
        topic, partition: Where; None is everywhere, but for a seek.
        concurrency: How much at once.
        offset: Where a seek goes.
        group: In which group it does.
    """

    action: Action
    function: str = ""
    topic: str | None = None
    partition: int | None = None
    concurrency: int = 0
    offset: int = 0
    group: str | None = None

    def to_json(self) -> bytes:
        """Return it as JSON, in one line."""
        return _commands().dump_json(self)

    @classmethod
    def from_json(cls, text: bytes | str) -> Command:
        """Read what `to_json` wrote."""
        return _commands().validate_json(text)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command in one process.

    Attributes:
        outcome: "done"; "later": it is as soon as the process is there; "wrong": it can
            be nowhere; "elsewhere": the partition is not this process's; "failed";
            "silent": nobody knows.
        text: A sentence.
        worker: Which worker of a run, from 1.
    """

    outcome: Literal["done", "later", "wrong", "elsewhere", "failed", "silent"]
    text: str
    worker: int = 1

    def to_json(self) -> bytes:
        """Return it as JSON, in one line."""
        return _answers().dump_json(self)

    @classmethod
    def from_json(cls, text: bytes | str) -> Answer:
        """Read what `to_json` wrote."""
        return _answers().validate_json(text)


async def obey(control: Control, command: Command) -> Answer:
    """Do what a command asks for."""
    function, where = command.function, (command.topic, command.partition)
    try:
        if command.action == "pause":
            text = control.pause(function, *where)
        elif command.action == "resume":
            text = control.resume(function, *where)
        elif command.action == "concurrency":
            text = control.set_concurrency(function, command.concurrency)
        else:
            text = await control.seek(
                command.topic or "",
                command.partition or 0,
                command.offset,
                group=command.group,
            )
    except ConfigError as error:
        return Answer("wrong", str(error))
    except NotAssignedError as error:
        return Answer("elsewhere", str(error))
    except FastKafkaError as error:
        return Answer("failed", str(error))
    return Answer("done", text)


@cache
def _commands() -> TypeAdapter[Command]:
    return TypeAdapter(Command)


@cache
def _answers() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)
