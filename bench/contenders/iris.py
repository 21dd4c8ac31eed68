"""What every contender reads and writes: the messages of the guide's iris app."""

from __future__ import annotations

from pydantic import BaseModel, NonNegativeFloat


class Iris(BaseModel):
    """A record of the input topic; the bench numbers them by `petal_width`."""

    sepal_length: NonNegativeFloat
    sepal_width: NonNegativeFloat
    petal_length: NonNegativeFloat
    petal_width: NonNegativeFloat


class Prediction(BaseModel):
    """A record of the output topic."""

    species: str
