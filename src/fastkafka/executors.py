"""The original FastKafka's executors: two names for how a function's records run.

`SequentialExecutor` is one record at a time for the whole function, in arrival order;
`DynamicTaskExecutor` is many at a time, without order: `order="none"`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastkafka.errors import ConfigError, did_you_mean


class StreamExecutor:
    """What both executors are, for code that asks `isinstance`."""


@dataclass(frozen=True)
class SequentialExecutor(StreamExecutor):
    """Handles one record at a time, whatever its partition, in arrival order.

    Args:
        throw_exceptions: Accepted for old apps. What happens to a record whose handler
            raises is the failure policy's decision; it is never skipped.
        max_buffer_size: Accepted for old apps. Intake is bounded for each partition.
    """

    throw_exceptions: bool = False
    max_buffer_size: int = 100_000


@dataclass(frozen=True)
class DynamicTaskExecutor(StreamExecutor):
    """Handles up to *size* records at a time, in no order.

    Args:
        throw_exceptions: Accepted for old apps; see `SequentialExecutor`.
        max_buffer_size: Accepted for old apps; see `SequentialExecutor`.
        size: The most records that are handled at a time.
    """

    throw_exceptions: bool = False
    max_buffer_size: int = 100_000
    size: int = 100_000


_BY_NAME = {
    "SequentialExecutor": SequentialExecutor(),
    "DynamicTaskExecutor": DynamicTaskExecutor(),
}


def concurrency_of(executor: object, *, where: str) -> int:
    """Return how many records an executor handles at a time; none of them in order.

    Raises:
        ConfigError: It is none of the two, nor their names.
    """
    known = _BY_NAME.get(executor) if isinstance(executor, str) else executor
    if isinstance(known, SequentialExecutor):
        return 1
    if isinstance(known, DynamicTaskExecutor):
        if not isinstance(known.size, int) or known.size < 1:
            raise ConfigError(
                f"{where}: `size` is {known.size!r}. Use a number from 1."
            )
        return known.size
    hint = did_you_mean(executor, _BY_NAME) if isinstance(executor, str) else ""
    raise ConfigError(
        f'{where}: `executor` is {executor!r}.{hint} Use "SequentialExecutor", '
        '"DynamicTaskExecutor", an object of these classes of `fastkafka.executors`, '
        "or `order=` and `concurrency=`."
    )


__all__ = ["DynamicTaskExecutor", "SequentialExecutor", "StreamExecutor"]
