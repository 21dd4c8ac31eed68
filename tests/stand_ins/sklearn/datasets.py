"""The iris data set, cut down to one flower of each species."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Array(list[Any]):
    """As much of NumPy's as is needed; importing that takes longer than Pydantic."""

    def tolist(self) -> list[Any]:
        return list(self)


def load_iris(*, return_X_y: bool = False) -> Any:
    """Return the measures and the species of the flowers."""
    iris = SimpleNamespace(
        data=Array([[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]),
        target=Array([0, 1, 2]),
        target_names=["setosa", "versicolor", "virginica"],
    )
    return (iris.data, iris.target) if return_X_y else iris
