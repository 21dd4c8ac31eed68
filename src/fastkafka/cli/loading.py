"""From `module:attribute` to the app, and what to say when there is none."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from fastkafka.app import FastKafka
from fastkafka.errors import ConfigError
from fastkafka.tracebacks import MACHINERY, user_frames

_ADDRESSES = re.compile(r"[^\s,]+:\d+(,[^\s,]+:\d+)*")


class UserModuleError(ConfigError):
    """The user's module raised while it was imported; the `__cause__` is what."""


def load_app(import_string: str) -> FastKafka:
    """Import the app that `module:attribute` names; see `import_from_string`.

    Raises:
        UserModuleError: The module raised.
        ConfigError: There is no such module or attribute, it is no app, or the
            module declares something that cannot work.
    """
    value = import_from_string(import_string)
    if not isinstance(value, FastKafka):
        name, _, attribute = import_string.partition(":")
        raise ConfigError(
            f'Attribute "{attribute}" of module "{name}" is no FastKafka app, but a '
            f"`{type(value).__name__}`. {_apps_of(sys.modules[name])}"
        )
    return value


def choose_broker(app: FastKafka, kafka_broker: str) -> None:
    """Let *app* use the broker that the command line names.

    Raises:
        ConfigError: It has none of that name.
    """
    if _ADDRESSES.fullmatch(kafka_broker):
        app.set_bootstrap_servers(kafka_broker)
    else:
        app.set_kafka_broker(kafka_broker)


def import_from_string(import_string: str) -> object:
    """Import what `module:attribute` names.

    The current directory is searched last, so that a file in it cannot take the
    place of an installed module.

    Args:
        import_string: The attribute may have dots.

    Raises:
        UserModuleError: The module raised.
        ConfigError: There is no such module or attribute, or the module declares
            something that cannot work.
    """
    name, _, attribute = import_string.partition(":")
    if not name or not attribute:
        raise ConfigError(
            f'Import string "{import_string}" must be in format '
            f'"<module>:<attribute>". Write `{_module_name(name) or "module"}:app` '
            "if the app is called `app`."
        )
    if _module_name(name) != name:
        raise ConfigError(
            f'Could not import module "{name}". That is a file; write the name of '
            f"the module: `{_module_name(name)}:{attribute}`."
        )
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    module = _import(name)
    value: object = module
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise ConfigError(
                f'Attribute "{attribute}" not found in module "{name}". '
                f"{_apps_of(module)}"
            ) from None
    return value


def user_traceback(error: BaseException) -> str:
    """Format *error* without the frames that led to the user's code."""
    frames = user_frames(error)
    if frames is None and not isinstance(error, SyntaxError):
        frames = error.__traceback__
    return "".join(traceback.format_exception(type(error), error, frames))


def _module_name(name: str) -> str:
    """Return the name of the module that the user may mean with a file's name."""
    return name.removesuffix(".py").removeprefix("./").replace("/", ".").strip(".")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ConfigError as error:
        raise ConfigError(f"{_where(error)}{error}") from error
    except SystemExit as error:
        raise UserModuleError(
            f'Could not import module "{name}". It ended the program: '
            f"`sys.exit({error.code!r})`."
        ) from error
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise ConfigError(
                f'Could not import module "{name}". There is none of this name in '
                f"{os.getcwd()!r} or among the installed packages."
            ) from None
        raise UserModuleError(
            f'Could not import module "{name}". It raised '
            f"{traceback.format_exception_only(error)[-1].strip()}"
        ) from error


def _apps_of(module: ModuleType) -> str:
    """Tell which apps a module has, for one who looks for another."""
    apps = [
        f"`{module.__name__}:{name}`"
        for name, value in vars(module).items()
        if isinstance(value, FastKafka)
    ]
    if apps:
        return f"Write {' or '.join(apps)}."
    return f"There is no app in {getattr(module, '__file__', None)!r}."


def _where(error: BaseException) -> str:
    """Return `file:line: ` of the user's line that led to *error*."""
    where, frames = "", user_frames(error)
    while frames is not None:
        file = frames.tb_frame.f_code.co_filename
        if not file.startswith(MACHINERY):
            if Path(file).is_relative_to(Path.cwd()):
                file = str(Path(file).relative_to(Path.cwd()))
            where = f"{file}:{frames.tb_lineno}: "
        frames = frames.tb_next
    return where
