"""Java's partitioner, which is librdkafka's `murmur2_random`."""

from __future__ import annotations

import random

_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF


def choose_partition(key: bytes | None, partitions: int, chance: random.Random) -> int:
    """Return a key's partition; without a key, any."""
    if key is None:
        return chance.randrange(partitions)
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return the hash that Java's clients take, unsigned."""
    whole = len(data) & ~3
    hashed = _SEED ^ len(data)
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        hashed = (hashed * _MULTIPLIER & _MASK) ^ word
    if len(data) > whole:
        rest = int.from_bytes(data[whole:], "little")
        hashed = (hashed ^ rest) * _MULTIPLIER & _MASK
    hashed = (hashed ^ hashed >> 13) * _MULTIPLIER & _MASK
    return hashed ^ hashed >> 15
