"""What `fastkafka ctl` says to the server of an app, and what it prints."""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer
from rich.text import Text

from fastkafka.cli.clusters import NO, NOT_DONE
from fastkafka.cli.output import Cell, print_json, print_table, print_text
from fastkafka.cli.terminal import complain, say
from fastkafka.errors import ConfigError, FastKafkaError
from fastkafka.tools.starts import Start
from fastkafka.web.guard import TOKEN_FILE_VARIABLE, TOKEN_VARIABLE, read_token

SECONDS = 45.0
"""For an answer: a seek waits for what is being handled."""

_REFUSED = (409, 422, 503, 504)
"""The app that runs says no, or not yet; everything else is in the way before that."""


class RefusedError(FastKafkaError):
    """The app says no."""


@contextmanager
def talking() -> Iterator[None]:
    """Say in one line what goes wrong: exit code 1 for a no of the app's, else 2.

    Raises:
        typer.Exit: Something went wrong, which has been said.
    """
    try:
        yield
    except RefusedError as error:
        complain(str(error))
        raise typer.Exit(NO) from None
    except FastKafkaError as error:
        complain(str(error))
        raise typer.Exit(NOT_DONE) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The token is for this server alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Server:
    """The server of an app's page.

    Args:
        url: Where it is.
        token_file: Where the token is; None is the environment.

    Raises:
        ConfigError: The address is none, or the token cannot be read.
    """

    def __init__(self, url: str, token_file: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"`--url` is {url!r}. Write it as `http://127.0.0.1:8080`."
            )
        self.url = url.rstrip("/")
        self._token = read_token(
            {TOKEN_FILE_VARIABLE: str(token_file)} if token_file else os.environ
        )
        # Neither a proxy nor another server gets to see the token.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), _NoRedirects
        )

    def get(self) -> Any:
        """Return how the app is.

        Raises:
            ConfigError: It cannot be asked.
        """
        return self._ask(None)

    def post(self, wish: Mapping[str, Any]) -> Any:
        """Ask for something; return the answer.

        Raises:
            ConfigError: It cannot be asked, or does not know what was named.
            RefusedError: The app says no.
        """
        return self._ask(json.dumps(wish).encode())

    def _ask(self, body: bytes | None) -> Any:
        headers = {"X-FastKafka": "1", "Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(f"{self.url}/api/control", body, headers)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                self._explain(refused.code, refused.read())
        except TimeoutError:
            raise RefusedError(
                f"{self.url} has not answered within {SECONDS:g} s. Look with "
                "`fastkafka ctl status` whether it was done."
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ConfigError(
                f"Nobody answers at {self.url}: {reason}. Start the app with "
                "`fastkafka run --http 127.0.0.1:8080`, or say where it is: `--url`."
            ) from None

    def _explain(self, status: int, body: bytes) -> None:
        """Raise what a server refuses."""
        try:
            said = json.loads(body)["error"]
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self.url} answers {status}, but not as the page of an app does. Is "
                "the address right?"
            ) from None
        if status == 401:
            said = (
                f"{self.url} does not know this token. Give the one that the app was "
                f"started with: `{TOKEN_VARIABLE}` or `--token-file`."
                if self._token is not None
                else f"{self.url} wants a token: `{TOKEN_VARIABLE}` or `--token-file`."
            )
        elif "switched off" in said:
            said += (
                f" Start the app with `{TOKEN_VARIABLE}` set, and give it here, "
                "too; or use `fastkafka dev`."
            )
        raise (RefusedError if status in _REFUSED else ConfigError)(said)


def place(text: str | None, name: str) -> dict[str, Any]:
    """Read ``orders:3``, or ``orders[3]`` as it is printed; None is everywhere.

    Raises:
        ConfigError: It is neither.
    """
    if text is None:
        return {}
    found = re.fullmatch(r"(.+?)(?::(\d+)|\[(\d+)\])", text)
    if found is None:
        raise ConfigError(
            f"{name} {text!r} is no partition. Write its topic and its number: "
            "orders:3."
        )
    return {"topic": found[1], "partition": int(found[2] or found[3])}


def seek_to(
    server: Server,
    wish: dict[str, Any],
    to: str,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Say what a seek does, ask, and do it.

    Raises:
        ConfigError: The place is none, or there is nobody to ask.
        typer.Exit: The answer is no.
    """
    wish["to"] = _place_to_go(to)
    found = server.post(wish | {"check_only": True})
    if dry_run:
        if as_json:
            print_json(found)
        else:
            say(_said(found))
        return
    if not yes:
        question = f"{_said(found)} Go there?"
        if not sys.stdin.isatty():
            raise ConfigError(f"{question} Nobody can be asked here. Add `--yes`.")
        if not typer.confirm(question, err=True):
            raise typer.Exit(NO)
    # To the offset that was shown, whatever has been written meanwhile.
    print_done(server.post(wish | {"to": str(found["to"])}), as_json=as_json)


def _place_to_go(to: str) -> str:
    if to in ("earliest", "latest") or to.isdecimal():
        return to
    try:
        if to in ("newest", "oldest"):
            raise ConfigError
        return f"t{Start.parse(to).value / 1000}"
    except ConfigError:
        raise ConfigError(
            f"`--to` {to!r} is no place. Write earliest, latest, an offset such as "
            "1042, a time such as 2026-11-25T20:30 or 20:30, or how long ago: 15m, 2h, "
            "3d."
        ) from None


def _said(found: Mapping[str, Any]) -> str:
    """Say what a seek does."""
    who = f"{found['topic']}[{found['partition']}]"
    if found["group"] is not None:
        who += f" of group '{found['group']}'"
    text = f"{who}: from {found['from']} to {found['to']}."
    if found["skipped"]:
        text += f" {found['skipped']:,} offsets are passed over."
    elif found["repeated"]:
        text += f" {found['repeated']:,} offsets are read again."
    if found["owner"] is None:
        text += " No worker here has this partition."
    return text


def print_done(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what the workers have done."""
    if as_json:
        print_json(answer)
        return
    for text in answer["texts"]:
        say(text)


def print_status(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the functions and the partitions of an app that runs."""
    if as_json:
        for kind in ("function", "partition", "worker"):
            for one in found[f"{kind}s"]:
                print_json({"kind": kind, **one})
        return
    print_table(
        ["Function", "Group", "Order", "Concurrency", "Busy", "Waiting", "State"],
        [_function(one) for one in found["functions"]],
    )
    print_text("")
    print_table(
        ["Partition", "Group", "Worker", "Committed", "End", "Lag", "Paused"],
        [
            [
                f"{one['topic']}[{one['partition']}]",
                one["group"],
                one["worker"],
                one["committed"],
                one["end"],
                one["lag"],
                ", ".join(one["paused_for"]),
            ]
            for one in found["partitions"]
        ],
    )
    for worker in found["workers"]:
        for problem in worker["problems"] if not worker["ready"] else ():
            complain(f"Worker {worker['worker']}: {problem}")


def _function(one: Mapping[str, Any]) -> Sequence[Cell]:
    state: Cell = "running"
    if one["paused"]:
        state = Text("paused", style="yellow")
    elif one["paused_partitions"]:
        places = ", ".join(f"{topic}[{p}]" for topic, p in one["paused_partitions"])
        state = Text(f"paused at {places}", style="yellow")
    names = ("name", "group", "order", "concurrency", "busy", "waiting")
    return [*(one[name] for name in names), state]
