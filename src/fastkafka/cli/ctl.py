"""`fastkafka ctl`: pause, resume, change and seek what runs, by its page's port."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastkafka.cli.clusters import AsJson

ctl_app = typer.Typer(no_args_is_help=True)

Url = Annotated[
    str, typer.Option(help="Where the app serves its page: `--http` of the run.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, help="Holds the token; default: FASTKAFKA_HTTP_TOKEN."
    ),
]
Function = Annotated[str, typer.Argument(help="A consuming function's name.")]
At = Annotated[
    str | None,
    typer.Option(metavar="TOPIC:PARTITION", help="Only at this partition."),
]

DEFAULT_URL = "http://127.0.0.1:8080"


@ctl_app.callback()
def ctl() -> None:
    """Control an app that runs: pause, resume, change the concurrency, seek.

    It talks to `fastkafka run --http` or `fastkafka dev`. Pauses and concurrency are
    forgotten when the app starts again.
    """


@ctl_app.command()
def status(
    url: Url = DEFAULT_URL, token_file: TokenFile = None, as_json: AsJson = False
) -> None:
    """Show the functions and partitions of the app that runs, and what is paused."""
    from fastkafka.cli.controlling import Server, print_status, talking  # noqa: PLC0415

    with talking():
        print_status(Server(url, token_file).get(), as_json=as_json)


@ctl_app.command()
def pause(
    function: Function,
    at: At = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a function begin nothing more; what it is handling ends.

    Its partitions stay assigned, and are read up to the usual limits.
    """
    from fastkafka.cli.controlling import Server, place, print_done, talking  # noqa: PLC0415

    with talking():
        wish = {"action": "pause", "function": function, **place(at, "--at")}
        print_done(Server(url, token_file).post(wish), as_json=as_json)


@ctl_app.command()
def resume(
    function: Function,
    at: At = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a paused function go on."""
    from fastkafka.cli.controlling import Server, place, print_done, talking  # noqa: PLC0415

    with talking():
        wish = {"action": "resume", "function": function, **place(at, "--at")}
        print_done(Server(url, token_file).post(wish), as_json=as_json)


@ctl_app.command()
def concurrency(
    function: Function,
    number: Annotated[
        int, typer.Argument(min=1, help="How much at once, in each worker.")
    ],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Change how many keys or records a function handles at once.

    Not with order="partition", where it handles as many as partitions have some.
    """
    from fastkafka.cli.controlling import Server, print_done, talking  # noqa: PLC0415

    with talking():
        wish = {"action": "concurrency", "function": function, "concurrency": number}
        print_done(Server(url, token_file).post(wish), as_json=as_json)


@ctl_app.command()
def seek(
    partition: Annotated[
        str, typer.Argument(metavar="TOPIC:PARTITION", help="orders:3 or 'orders[3]'.")
    ],
    to: Annotated[
        str,
        typer.Option(
            help="earliest, latest, an offset, a time (2026-11-25T20:30, 20:30), or "
            "how long ago (15m, 2h, 3d)."
        ),
    ],
    group: Annotated[
        str | None, typer.Option(help="Which group, if several read the topic.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would do, and do nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a group read a partition from another offset on.

    A step forward passes records over, a step back handles some again; it says how
    many, and asks. What is being handled ends first.
    """
    from fastkafka.cli.controlling import Server, place, seek_to, talking  # noqa: PLC0415

    with talking():
        wish = {"action": "seek", "group": group, **place(partition, "The partition")}
        seek_to(
            Server(url, token_file),
            wish,
            to,
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )
