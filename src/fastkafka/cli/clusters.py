"""What the commands that look into a cluster have in common: which app, which cluster.

Exit codes: 0 done; 1 done, and the answer is no; 2 it could not be done; 130 Ctrl-C.
Nothing heavy is imported before a command runs, so that `--help` is quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

NO = 1
"""The exit code when the answer is no."""

NOT_DONE = 2
"""The exit code when it could not be done: as for wrong arguments."""

_INTERRUPTED = 130

App = Annotated[
    str,
    typer.Argument(metavar="MODULE:APP", help="Where the app is, in Python's terms."),
]
KafkaBroker = Annotated[
    str,
    typer.Option(help="A name of the app's kafka_brokers, or host:port."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object in each line.")
]


@contextmanager
def looking_into(app: str, kafka_broker: str) -> Iterator[tuple[Any, Any]]:
    """Import an app and choose its cluster; nothing of it is started.

    What goes wrong is one line on stderr and the exit code 2.

    Args:
        app: As on the command line.
        kafka_broker: As on the command line.

    Yields:
        The app, and the `Clusters` in which to look.

    Raises:
        typer.Exit: It could not be done, which has been said.
    """
    import contextlib  # noqa: PLC0415 - all of this is for a command that runs
    import logging  # noqa: PLC0415
    import sys  # noqa: PLC0415

    from fastkafka.cli.loading import (  # noqa: PLC0415
        UserModuleError,
        choose_broker,
        load_app,
        user_traceback,
    )
    from fastkafka.cli.terminal import complain  # noqa: PLC0415
    from fastkafka.errors import ConfigError, FastKafkaError  # noqa: PLC0415
    from fastkafka.tools.topics import Clusters  # noqa: PLC0415

    # What the clients log repeats what is said here.
    logging.getLogger("fastkafka").addHandler(logging.NullHandler())
    try:
        # What the module prints is not what the command prints.
        with contextlib.redirect_stdout(sys.stderr):
            loaded = load_app(app)
        if kafka_broker == "embedded":
            raise ConfigError(
                "`--kafka-broker embedded` would start a broker that is empty. Give "
                "the address that `fastkafka run` has printed: `--kafka-broker "
                "127.0.0.1:PORT`."
            )
        choose_broker(loaded, kafka_broker)
        with Clusters() as clusters:
            yield loaded, clusters
    except UserModuleError as error:
        if error.__cause__ is not None:
            sys.stderr.write(user_traceback(error.__cause__))
        complain(str(error))
        raise typer.Exit(NOT_DONE) from None
    except FastKafkaError as error:
        complain(str(error).replace("MODULE:APP", app))
        raise typer.Exit(NOT_DONE) from None
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
