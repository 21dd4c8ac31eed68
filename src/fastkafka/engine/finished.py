"""What travels in a commit's metadata: pure.

Kafka commits one offset for each partition, and a short text with it. The text says
what the offset cannot: which records above it are finished, so that a restart repeats
none of them; and whether the partition is in somebody's hands, so that its next owner
notices that a process has died over it.

    fk1:o3,1:500-501:<finished>

`fk1` is the version, `o` says that the partition is open (`c`: it was given back), 3 is
how many processes have died over it without getting on, 1 how many of them while they
tried one record alone, 500-501 the offsets that the last one was trying (nothing: not
known). The rest are the finished stretches above the
offset: pairs of a gap and a length as variable-length integers, in URL-safe base64. The
first gap counts from offset 0, not from the committed one: metadata may be older than
the offset that it is committed with.

Text in any other form is somebody else's, and ignored.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LONGEST = 4000
"""Bytes; brokers take 4096 (`offset.metadata.max.bytes`), and the transport puts the
topic's id before it. Stretches that do not fit are
left out, the last ones first: their records would be handled again after a restart."""

Stretch = tuple[int, int]
"""Offsets `[start, end)`."""

_FORM = re.compile(
    r"fk1:([oc])(\d{1,9})(?:,(\d{1,9}))?:(?:(\d{1,19})-(\d{1,19}))?:([\w-]*)", re.A
)


@dataclass(frozen=True, slots=True)
class Note:
    """What a commit says beside its offset.

    Attributes:
        finished: Stretches above the offset that are done, in order.
        open: Some process has the partition; if there is a new owner, that one died.
        deaths: Processes that have died over the partition and not got on.
        trying: What the last of them was handling; None is not known.
        alone: Those that died while they handled that one record, and nothing else.
    """

    finished: Sequence[Stretch] = ()
    open: bool = False
    deaths: int = 0
    trying: Stretch | None = None
    alone: int = 0

    @property
    def text(self) -> str:
        """The note as metadata."""
        trying = "" if self.trying is None else f"{self.trying[0]}-{self.trying[1]}"
        deaths = f"{self.deaths},{self.alone}" if self.alone else str(self.deaths)
        front = f"fk1:{'o' if self.open else 'c'}{deaths}:{trying}:"
        return front + encode(self.finished, LONGEST - len(front))


def read(metadata: str) -> Note:
    """Read a commit's metadata; what is not ours says nothing."""
    form = _FORM.fullmatch(metadata)
    if form is None:
        return Note()
    state, deaths, alone, start, end, finished = form.groups()
    trying = None if start is None else (int(start), int(end))
    return Note(decode(finished), state == "o", int(deaths), trying, int(alone or 0))


def encode(finished: Iterable[Stretch], longest: int = LONGEST) -> str:
    """Write stretches, in order, as far as there is room for them.

    Args:
        finished: Half-open and in order; none touches another.
        longest: The most characters.
    """
    packed = bytearray()
    room, position = longest * 3 // 4, 0
    for start, end in finished:
        pair = _varint(start - position) + _varint(end - start)
        if len(packed) + len(pair) > room:
            break
        packed += pair
        position = end
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode(text: str) -> tuple[Stretch, ...]:
    """Read stretches; text that is damaged says nothing."""
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except binascii.Error:
        return ()
    numbers = list(_numbers(packed))
    if len(numbers) % 2:
        return ()
    stretches, position = [], 0
    for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
        start = position + gap
        position = start + length
        stretches.append((start, position))
    return tuple(stretches)


def _varint(number: int) -> bytes:
    """Write a number from 0 in groups of seven bits, the lowest first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _numbers(packed: bytes) -> Iterable[int]:
    number = shift = 0
    for group in packed:
        number |= (group & 0x7F) << shift
        shift += 7
        if group < 0x80:
            yield number
            number = shift = 0
