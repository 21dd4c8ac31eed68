"""`fastkafka docs`: the AsyncAPI document of an app, and its page."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fastkafka.cli.terminal import complain, say
from fastkafka.errors import ConfigError

docs_app = typer.Typer(no_args_is_help=True)


class AsyncAPI(StrEnum):
    """Versions of AsyncAPI that are written."""

    V3_0 = "3.0"
    V2_6 = "2.6"


App = Annotated[
    str,
    typer.Argument(metavar="MODULE:APP", help="Where the app is, in Python's terms."),
]
RootPath = Annotated[
    str | None,
    typer.Option(
        help="What gets the folder asyncapi; default: the app's root_path, else the "
        "current directory."
    ),
]
Version = Annotated[
    AsyncAPI, typer.Option("--asyncapi", help="The version of the document.")
]


@docs_app.callback()
def docs() -> None:
    """Document what an app receives and sends."""


@docs_app.command()
def generate(
    app: App, root_path: RootPath = None, asyncapi: Version = AsyncAPI.V3_0
) -> None:
    """Write asyncapi/spec/asyncapi.yml and the page asyncapi/docs/index.html."""
    _write(app, root_path, asyncapi)


@docs_app.command()
def serve(
    app: App,
    root_path: RootPath = None,
    bind: Annotated[
        str, typer.Option(help="The address to listen at; others see it if told so.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 is a free one.")
    ] = 8000,
    asyncapi: Version = AsyncAPI.V3_0,
) -> None:
    """Write the documentation and show it in the browser until Ctrl-C."""
    from fastkafka.cli.serving import serve_folder  # noqa: PLC0415 - `--help` is quick

    page = _write(app, root_path, asyncapi)
    try:
        with serve_folder(page.parent, bind, port) as (address, stopped):
            say(f"Serving documentation on {address}")
            stopped()
            say("Interupting serving of documentation and cleaning up...")
    except ConfigError as error:
        complain(str(error))
        raise typer.Exit(1) from None


@docs_app.command("install_deps")
def install_deps() -> None:
    """Say that there is nothing to install: the page is made without Node.js."""
    say("There is nothing to install: FastKafka makes the page itself.")


def _write(import_string: str, root_path: str | None, version: AsyncAPI) -> Path:
    """Write the documentation; return where the page is.

    Raises:
        typer.Exit: It could not be written, which has been said.
    """
    # An app brings a Kafka client, which `--help` need not wait for.
    from fastkafka.asyncapi import write_docs  # noqa: PLC0415
    from fastkafka.cli.loading import (  # noqa: PLC0415
        UserModuleError,
        load_app,
        user_traceback,
    )

    try:
        app = load_app(import_string)
        root = app.root_path if root_path is None else root_path
        written = write_docs(app, root, version=version.value)
    except UserModuleError as error:
        if error.__cause__ is not None:
            sys.stderr.write(user_traceback(error.__cause__))
        complain(str(error))
        raise typer.Exit(1) from None
    except ConfigError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except OSError as error:
        complain(f"Cannot write the documentation: {error}.")
        raise typer.Exit(1) from None
    say(f"AsyncAPI {version.value} document: {written.document}")
    say(f"Page: {written.page}")
    return written.page
