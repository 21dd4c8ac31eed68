"""When a crashed worker is started again, and when no more."""

from __future__ import annotations

import pytest

from fastkafka.cli.supervise import Restarts


class Life:
    """A worker that lives and dies as the test says."""

    def __init__(self, chance: float = 0.0) -> None:
        self.now = 1_000.0
        self.restarts = Restarts(clock=lambda: self.now, chance=lambda: chance)

    def of(self, seconds: float) -> float | None:
        """Become ready, live for *seconds*, die; return the delay."""
        self.restarts.ready()
        self.now += seconds
        return self.restarts.died()

    def without_getting_ready(self, seconds: float = 0.0) -> float | None:
        """Die during the start."""
        self.now += seconds
        return self.restarts.died()


def test_the_first_crash_waits_a_second() -> None:
    assert Life().of(5) == 1


def test_the_delay_doubles_up_to_half_a_minute() -> None:
    life = Life()

    assert [life.of(20) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_minute_of_life_forgets_the_delay() -> None:
    life = Life()

    assert [life.of(20), life.of(20), life.of(60), life.of(20)] == [1, 2, 1, 2]


def test_the_fifth_early_death_in_a_row_is_the_last() -> None:
    """Four is what it takes to find a record that kills: the fifth parks it."""
    life = Life()

    assert [life.of(9) for _ in range(5)] == [1, 2, 4, 8, None]


def test_a_longer_life_breaks_the_row() -> None:
    life = Life()

    assert [life.of(s) for s in (0, 0, 10, 0, 0, 0, 0, 0)] == [
        *(1, 2, 4, 8, 16, 30, 30),
        None,
    ]


def test_a_slow_start_is_no_life() -> None:
    life = Life()

    assert [life.without_getting_ready(300) for _ in range(3)] == [1, 2, None]


def test_the_life_before_does_not_count_for_a_start_that_fails() -> None:
    life = Life()
    life.of(100)

    assert [life.without_getting_ready(5) for _ in range(3)] == [2, 4, None]


def test_what_may_pass_is_tried_for_ever() -> None:
    restarts = Restarts(clock=lambda: 0.0, chance=lambda: 0.0)

    delays = [restarts.died(counts=False) for _ in range(8)]

    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]


def test_what_may_pass_neither_counts_nor_breaks_the_row() -> None:
    life = Life()
    life.without_getting_ready()
    life.without_getting_ready()

    assert life.restarts.died(counts=False) == 4
    assert life.without_getting_ready() is None


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 1.0), (0.5, 1.1), (0.9, 1.18)])
def test_workers_that_died_together_come_back_apart(
    chance: float, delay: float
) -> None:
    assert Life(chance).of(20) == pytest.approx(delay)
