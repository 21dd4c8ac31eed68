"""The endpoints below `api/`; each is a question to the `Console`.

Epoch seconds, seconds, bytes, per second. Messages are JSON *text*: their 64-bit
numbers stay exact. What goes wrong is `{error, fields: [{loc, msg}]}`.
"""

from __future__ import annotations

import base64
import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastkafka import __version__
from fastkafka.errors import (
    BrokerUnavailableError,
    ClientError,
    ConfigError,
)
from fastkafka.tools import jsontext
from fastkafka.tools.find import Find
from fastkafka.tools.models import schema_of, secrets_of
from fastkafka.tools.records import Limits, Page, RecordReader, RecordView
from fastkafka.tools.sending import Checker, MessageError, TopicSender
from fastkafka.tools.topics import Clusters
from fastkafka.transport.librdkafka.inspection import Position
from fastkafka.web.console import Console
from fastkafka.web.control import command, control
from fastkafka.web.guard import RIGHT
from fastkafka.web.health import health
from fastkafka.web.lag import lag_rows
from fastkafka.web.reader import LONGEST_VALUE, shown
from fastkafka.web.requests import RequestError, read_wish
from fastkafka.web.stream import stream
from fastkafka.web.wishes import ReplayWish, SendWish, TokenWish

logger = logging.getLogger(__name__)

MOST_RECORDS = 200

Endpoint = Callable[[Console, Request], Awaitable[Response]]


def routes(console: Console) -> list[Route]:
    """Return the endpoints of a console."""

    def route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
        return Route(
            path, _answering(partial(endpoint, console), console), methods=[method]
        )

    return [
        route("/app", app),
        route("/now", now),
        route("/history", history),
        route("/stream", stream),
        route("/lag", lag),
        route("/health", healthy),
        route("/failures", failures),
        route("/failures/{group}", failure),
        route("/topics/{topic}/schema", schema),
        route("/topics/{topic}/records", records),
        route("/topics/{topic}/records", send, "POST"),
        route("/topics/{topic}/records/{partition:int}/{offset:int}", record),
        route("/replays", replays),
        route("/replays", replay, "POST"),
        route("/replays/{replay}", replaying),
        route("/replays/{replay}", stop_replay, "DELETE"),
        route("/control", control),
        route("/control", command, "POST"),
        route("/login", login, "POST"),
    ]


def _answering(
    endpoint: Callable[[Request], Awaitable[Response]], console: Console
) -> Callable[[Request], Awaitable[Response]]:
    """Make sentences of what goes wrong."""

    async def answer(request: Request) -> Response:
        console.wake_up()
        try:
            return await endpoint(request)
        except RequestError as error:
            return _problem(error.status, str(error), error.fields)
        except MessageError as error:
            fields = [{"loc": list(f.location), "msg": f.message} for f in error.fields]
            return _problem(422, str(error), fields)
        except ConfigError as error:
            return _problem(404, str(error))
        except BrokerUnavailableError as error:
            return _problem(503, str(error))
        except ClientError as error:
            return _problem(503 if error.retriable else 502, str(error))

    return answer


def _problem(
    status: int, sentence: str, fields: Sequence[Mapping[str, Any]] = ()
) -> Response:
    return JSONResponse({"error": sentence, "fields": list(fields)}, status)


# The app and its numbers.


async def app(console: Console, request: Request) -> Response:
    """Say what the app is made of, and what may be done here."""
    one = console.app
    may_write = request.scope[RIGHT] == "write"
    made = console.shape.to_dict() | {
        "rev": console.shape.rev,
        "title": (one.title or one.group_id or "FastKafka") if one else console.name,
        "version": one.version if one else "",
        "group": one.group_id if one else None,
        "cluster": console.cluster,
        "mode": console.mode,
        "fastkafka": __version__,
        "can": {
            "read": True,
            "send": may_write,
            "replay": may_write,
            "control": may_write,
        },
        "broken": asdict(console.broken) if console.broken else None,
    }
    return JSONResponse(made)


async def now(console: Console, _: Request) -> Response:
    """Return the last tick, for who has no stream."""
    return Response(console.tick_json, media_type="application/json")


async def history(console: Console, request: Request) -> Response:
    """Return what was: the column `t`, and one for each series."""
    seconds = _number(request, "seconds", 900)
    return JSONResponse(console.board.history(seconds))


async def lag(console: Console, _: Request) -> Response:
    """Return every partition of every group, the worst first."""
    return JSONResponse(await lag_rows(console))


async def healthy(console: Console, _: Request) -> Response:
    """Return probes, workers, events and settings."""
    return JSONResponse(health(console))


# Records.


async def schema(console: Console, request: Request) -> Response:
    """Return a topic's JSON Schema, and an example as text."""
    topic = await console.topic(request.path_params["topic"])
    found = schema_of(topic)
    example = None
    if found.example is not None:
        example = json.dumps(found.example, indent=2, ensure_ascii=False)
    return JSONResponse(
        {"schema": found.schema, "example": example, "model": topic.model}
    )


async def records(console: Console, request: Request) -> Response:
    """Return a topic's records: the newest, those before others, or those from a place.

    ``before`` and ``at`` are ``0:123,1:456``, offsets by partition; ``at`` may be
    ``beginning``, or epoch seconds with ``t`` before.
    """
    topic = await console.topic(request.path_params["topic"])
    find = _find(request)
    limit = min(MOST_RECORDS, int(_number(request, "limit", 50)))
    partition = request.query_params.get("partition")
    before, at = (request.query_params.get(name) for name in ("before", "at"))

    def read(clusters: Clusters) -> Page:
        with RecordReader(
            topic, clusters, redact=console.redact, longest=LONGEST_VALUE
        ) as reader:
            chosen = None if not partition else [_partition(partition, reader)]
            if at:
                return _from(reader, at, chosen, limit, find)
            return reader.newest(
                limit,
                partitions=chosen,
                before=_offsets(before) if before else None,
                wanted=find,
            )

    page = await console.desk.ask(read)
    secrets = secrets_of(topic, console.redact)
    return JSONResponse(
        {
            "records": [shown(one, secrets) for one in page.records],
            "searched": page.searched,
            "back_to": _places(page.back_to),
            "more": page.more,
        }
    )


async def record(console: Console, request: Request) -> Response:
    """Return one record whole, with its bytes and what has become of it."""
    topic = await console.topic(request.path_params["topic"])
    partition, offset = (request.path_params[name] for name in ("partition", "offset"))

    def read(clusters: Clusters) -> RecordView | None:
        with RecordReader(topic, clusters, redact=console.redact) as reader:
            return reader.one(partition, offset)

    found = await console.desk.ask(read)
    if found is None:
        raise RequestError(
            f"{topic.name}[{partition}]@{offset} is not there. It may have been "
            "removed by retention or compaction.",
            404,
        )
    secrets = secrets_of(topic, console.redact)
    made = shown(found, secrets)
    if found.format == "json" and found.value is not None:
        made["value"] = jsontext.indented(found.value)
    return JSONResponse(
        made
        | {
            "raw": None if secrets else _base64(found.record.value()),
            "raw_key": None if secrets else _base64(found.record.key()),
            "withheld": bool(secrets),
            "state": console.state(topic, partition, offset),
        }
    )


async def send(console: Console, request: Request) -> Response:
    """Check a message with the app's model, and send it if that is wanted, too."""
    topic = await console.topic(request.path_params["topic"])
    wish = await read_wish(SendWish, request)
    checker = Checker(topic)
    if wish.value is None:
        checker.tombstone()
        value = None
    else:
        value = checker.value(wish.value)
    if wish.check_only:
        return JSONResponse({"checked": True})

    def write(clusters: Clusters) -> Position:
        with TopicSender(topic, clusters) as sender:
            return sender.send(
                value,
                key=None if wish.key is None else wish.key.encode(),
                headers=[(name, text.encode()) for name, text in wish.headers],
                partition=wish.partition,
            )

    position = await console.desk.ask(write)
    logger.info(
        "Sent from the page: %s[%d]@%d", topic.name, position.partition, position.offset
    )
    return JSONResponse(
        {"partition": position.partition, "offset": position.offset}, 201
    )


# Failures.


async def failures(console: Console, _: Request) -> Response:
    """Return the parked records, grouped by their causes."""
    return JSONResponse(await console.failures.groups())


async def failure(console: Console, request: Request) -> Response:
    """Return one group with its newest records."""
    found = await console.failures.group(request.path_params["group"])
    if found is None:
        raise RequestError("These records are no longer parked.", 404)
    return JSONResponse(found)


async def replays(console: Console, _: Request) -> Response:
    """Return what is being replayed, or was a short while ago."""
    return JSONResponse({"replays": console.replays.all()})


async def replay(console: Console, request: Request) -> Response:
    """Start to replay or to dismiss some records, or only say what would be sent."""
    wish = await read_wish(ReplayWish, request)
    if wish.check_only:
        return JSONResponse(await console.replays.preview(wish))
    return JSONResponse(await console.replays.start(wish), 201)


async def replaying(console: Console, request: Request) -> Response:
    """Say how far a replay is."""
    return JSONResponse(_found(console.replays.get(request.path_params["replay"])))


async def stop_replay(console: Console, request: Request) -> Response:
    """Stop a replay after what it has sent."""
    return JSONResponse(_found(console.replays.stop(request.path_params["replay"])))


# The token.


async def login(console: Console, request: Request) -> Response:
    """Trade the token for a cookie that no script can read."""
    rules = console.rules
    if rules.token is None:
        raise RequestError("There is no token here, and none is needed.", 404)
    wish = await read_wish(TokenWish, request)
    if not rules.knows(wish.token):
        raise RequestError("This is not the token.", 401)
    response = Response(status_code=204)
    response.set_cookie(
        rules.cookie,
        rules.cookie_value,
        path=request.scope.get("root_path", "").removesuffix("/api") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


# What requests say.


def _found(job: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if job is None:
        raise RequestError("There is no such replay.", 404)
    return job


def _number(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name, default)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number > 0:
        raise RequestError(f"`{name}` is {text!r}. Use a number above 0.")
    return min(number, 1e9)


def _find(request: Request) -> Find | None:
    text = request.query_params.get("find", "").strip()
    try:
        return Find.parse(text) if text else None
    except ConfigError as error:
        raise RequestError(str(error)) from error


def _partition(text: str, reader: RecordReader) -> int:
    if not text.isdecimal() or int(text) not in reader.partitions:
        raise RequestError(
            f"There is no partition {text!r}; they count from 0 to "
            f"{max(reader.partitions, default=0)}.",
            404,
        )
    return int(text)


def _offsets(text: str) -> dict[int, int]:
    try:
        pairs = [pair.split(":") for pair in text.split(",")]
        return {int(partition): int(offset) for partition, offset in pairs}
    except ValueError:
        raise RequestError(
            f"{text!r} is no place. Write offsets by partition: `0:123,1:456`."
        ) from None


def _from(
    reader: RecordReader,
    at: str,
    partitions: Sequence[int] | None,
    limit: int,
    find: Find | None,
) -> Page:
    """Read forwards from a place."""
    since = 0
    if at == "beginning":
        start = dict(reader.begins(partitions))
    elif at.startswith("t"):
        try:
            since = int(float(at[1:]) * 1000)
        except (ValueError, OverflowError):
            raise RequestError(f"{at!r} is no time. Write `t` and seconds.") from None
        start = dict(reader.at_time(since, partitions))
    else:
        begins = reader.begins(partitions)
        start = {
            p: max(begins[p], offset)
            for p, offset in _offsets(at).items()
            if p in begins
        }
    ends = reader.ends(list(start))
    until = {p: min(ends[p], low + Limits().records) for p, low in start.items()}
    found = list(reader.forward(start, limit, until=until, since=since, wanted=find))
    return Page(
        records=found,
        searched=len(found),
        back_to=start,
        ends=ends,
        more=any(
            low > begin for low, begin in _pairs(start, reader.begins(list(start)))
        ),
    )


def _pairs(a: Mapping[int, int], b: Mapping[int, int]) -> list[tuple[int, int]]:
    return [(a[p], b[p]) for p in a.keys() & b.keys()]


def _places(offsets: Mapping[int, int]) -> str:
    return ",".join(f"{p}:{offset}" for p, offset in sorted(offsets.items()))


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()
