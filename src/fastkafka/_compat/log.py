"""The original's loggers, without its configuration of the root logger."""

from __future__ import annotations

import logging


def get_logger(
    name: str, *, level: int = logging.INFO, add_spaces: bool = True
) -> logging.Logger:
    """Return a logger that lets INFO through.

    `fastkafka run` prints its lines. Elsewhere it is up to the program, or to pytest,
    what is shown: the original configured the root logger at every call.

    Args:
        name: Usually ``__name__``.
        level: From which level on it lets records through.
        add_spaces: Without effect.
    """
    logger = logging.getLogger(name)
    logger.setLevel(level)
    return logger


def suppress_timestamps(flag: bool = True) -> None:
    """Do nothing: `fastkafka run` prints no timestamps.

    Args:
        flag: Without effect.
    """


def set_level(level: int) -> None:
    """Set the level of every logger of this package and of the main module.

    Args:
        level: From which level on they let records through.
    """
    for name in list(logging.Logger.manager.loggerDict):
        if "fastkafka" in name or "__main__" in name:
            logging.getLogger(name).setLevel(level)
