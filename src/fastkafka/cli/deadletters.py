"""What the commands of `fastkafka dlt` do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import typer
from rich.text import Text

from fastkafka.app import FastKafka
from fastkafka.cli.output import print_json, print_text, progress
from fastkafka.cli.printing import print_groups, print_letter
from fastkafka.cli.terminal import complain, say
from fastkafka.errors import ConfigError
from fastkafka.tools.deadletters import grouped, own_headers
from fastkafka.tools.parking import DeadLetter, Parking
from fastkafka.tools.records import RecordViews
from fastkafka.tools.replay import Progress, Replay
from fastkafka.tools.selection import Selection, dead_letter_topics, parse_place
from fastkafka.tools.topics import AppTopic, Clusters, app_topics

_SAMPLES = 5
_DISMISSED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """Which dead letters are meant, as on the command line; see `dlt.py`."""

    topic: str | None
    error: str | None
    records: Sequence[str]
    limit: int | None
    everything: bool

    def selection(self, topics: Sequence[AppTopic]) -> Selection:
        """Return what is meant in each of *topics*.

        Raises:
            ConfigError: Nothing says which, or too much does.
        """
        if not (self.everything or self.error or self.records or self.limit):
            raise ConfigError(
                "Say which dead letters: `--all`, `--limit 10`, `--error ValueError` "
                "or `--record 2:1042`."
            )
        places = {parse_place(text) for text in self.records} or None
        if places is not None and len(topics) > 1:
            names = " or ".join(repr(topic.name) for topic in topics)
            raise ConfigError(f"`--record` needs the topic. Add {names}.")
        return Selection(self.error, places, self.limit)


@dataclass(slots=True)
class _Chosen:
    """What is meant in one topic.

    Attributes:
        parking: The topic.
        until: Where it ended when somebody looked.
        count: How many are meant.
        samples: Some of them.
    """

    parking: Parking
    selection: Selection
    until: dict[int, int]
    count: int = 0
    samples: list[DeadLetter] = field(default_factory=list)

    def letters(self) -> Iterator[DeadLetter]:
        return self.selection.of(self.parking, self.until)


def list_groups(
    app: FastKafka, clusters: Clusters, topic: str | None, *, as_json: bool
) -> None:
    """Print what is parked, by its cause."""
    found = []
    unseen = 0
    for place in dead_letter_topics(app_topics(app, clusters), topic):
        with Parking(place, clusters) as parking:
            letters = parking.read(newest=True)
            unseen += letters.parked - len(letters.letters)
            pairs = [(letter.record, letter.failure) for letter in letters.letters]
            found += [(place.name, group) for group in grouped(pairs)]
    found.sort(key=lambda pair: -pair[1].count)
    if found or as_json:
        print_groups(found, as_json=as_json)
    else:
        say("Nothing is parked.")
    if unseen > 0 and not as_json:
        say(f"{unseen:,} older ones were not looked at.")


def show_letters(
    app: FastKafka, clusters: Clusters, wish: Wish, *, as_json: bool
) -> None:
    """Print dead letters, the newest last."""
    topics = dead_letter_topics(app_topics(app, clusters), wish.topic)
    everything = wish.selection(topics)
    shown = False
    for place in topics:
        views = RecordViews(place)
        with Parking(place, clusters) as parking:
            if everything.places is None and everything.error is None:
                letters = parking.read(wish.limit or 1, newest=True).letters
            else:
                alike = Selection(everything.error, everything.places)
                letters = list(alike.of(parking, parking.ends()))
                letters = letters[-(wish.limit or 1) :]
        for letter in letters:
            shown = True
            print_letter(
                letter,
                views.view(letter.record, own_headers(letter.record)),
                as_json=as_json,
            )
    if not shown and not as_json:
        say(
            "Nothing is parked." if wish.error is None else "Nothing of that is parked."
        )


def replay_letters(
    app: FastKafka,
    clusters: Clusters,
    wish: Wish,
    *,
    rate: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> bool:
    """Send dead letters back; return whether all of them are.

    Raises:
        ConfigError: The arguments contradict each other.
        ClientError: The broker refuses.
    """
    topics = app_topics(app, clusters)
    with _chosen(topics, clusters, wish) as chosen:
        total = sum(each.count for each in chosen)
        replays = [Replay(each.parking, topics, clusters, rate=rate) for each in chosen]
        if not as_json:
            for each, one in zip(chosen, replays, strict=True):
                _say_where(each, one)
        if dry_run or not total:
            _say_total("would be replayed", total, as_json=as_json)
            return True
        _ask(f"Replay {_counted(total)}?", yes)
        state = Progress(total)
        try:
            with progress("Replaying", total) as bar:
                for each, one in zip(chosen, replays, strict=True):
                    one.run(
                        each.letters(), state, on_progress=lambda p: bar.advance(p.sent)
                    )
        except KeyboardInterrupt:
            complain(f"Stopped: {state.sent:,} of {total:,} were replayed.")
            raise
    if as_json:
        print_json({"replayed": state.sent, "refused": len(state.refused)})
    else:
        say(f"Replayed {_counted(state.sent)}.")
    for letter, error in state.refused[:_SAMPLES]:
        p, offset = letter.place
        complain(f"{letter.record.topic()}[{p}]@{offset} stays parked: {error}")
    return not state.refused


def dismiss_letters(
    app: FastKafka, clusters: Clusters, wish: Wish, *, yes: bool, as_json: bool
) -> None:
    """Finish dead letters without sending them anywhere.

    Raises:
        ConfigError: The arguments contradict each other.
        ClientError: The broker refuses.
    """
    with _chosen(app_topics(app, clusters), clusters, wish) as chosen:
        total = sum(each.count for each in chosen)
        if total:
            _ask(f"Dismiss {_counted(total)}? Nobody handles them then.", yes)
        done = 0
        with progress("Dismissing", total) as bar:
            for each in chosen:
                letters = each.letters()
                while some := list(islice(letters, _DISMISSED_AT_ONCE)):
                    each.parking.finish(some)
                    done += len(some)
                    bar.advance(done)
    if as_json:
        print_json({"dismissed": done})
    else:
        say(f"Dismissed {_counted(done)}.")


@contextmanager
def _chosen(
    topics: Sequence[AppTopic], clusters: Clusters, wish: Wish
) -> Iterator[list[_Chosen]]:
    """Count what is meant, and keep it open."""
    places = dead_letter_topics(topics, wish.topic)
    selection = wish.selection(places)
    chosen: list[_Chosen] = []
    left = selection.limit
    try:
        for place in places:
            parking = Parking(place, clusters)
            own = Selection(selection.error, selection.places, left)
            each = _Chosen(parking, own, dict(parking.ends()))
            chosen.append(each)
            for letter in each.letters():
                each.count += 1
                if len(each.samples) < _SAMPLES:
                    each.samples.append(letter)
            if left is not None:
                left -= each.count
        yield [each for each in chosen if each.count]
    finally:
        for each in chosen:
            each.parking.close()


def _say_where(chosen: _Chosen, replay: Replay) -> None:
    """Say what goes where, with some of the records."""
    for letter in chosen.samples:
        p, offset = letter.place
        to = replay.outgoing(letter)
        where = "" if to.partition is None else f"[{to.partition}]"
        print_text(
            Text.assemble(
                (f"{letter.record.topic()}[{p}]@{offset}", "cyan"),
                f" to {to.topic}{where}  ",
                (letter.failure.kind, "red"),
            )
        )
    if chosen.count > len(chosen.samples):
        say(f"and {chosen.count - len(chosen.samples):,} more")


def _say_total(what: str, total: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"replayed": 0, "refused": 0, "chosen": total})
    else:
        say(f"{_counted(total)} {what}.")


def _ask(question: str, yes: bool) -> None:
    """Ask, unless the answer was given.

    Raises:
        ConfigError: There is nobody to ask.
        typer.Exit: The answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} Nobody can be asked here. Add `--yes`.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _counted(number: int) -> str:
    return "1 dead letter" if number == 1 else f"{number:,} dead letters"
