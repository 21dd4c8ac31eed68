"""`/livez` and `/readyz`: what Kubernetes asks, answered with reasons.

`/livez` says whether this process, or each worker of the run, can make progress. It
never turns red because a broker is away: a restart does not bring that back, and makes
the group rebalance. `/readyz` says whether the work is being done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastkafka.observe.snapshot import Problem, Snapshot
from fastkafka.web.source import Source


def probe_routes(source: Source) -> Sequence[Route]:
    """Return the routes of both probes; each answers 200 or 503."""
    return (
        Route("/livez", _probe(source, "live", lambda problem: problem.live)),
        Route("/readyz", _probe(source, "ready", lambda problem: problem.ready)),
    )


def _probe(
    source: Source, name: Literal["live", "ready"], is_well: Callable[[Problem], bool]
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        reasons = [
            _said(snapshot, problem)
            for snapshot in source.snapshots()
            for problem in snapshot.problems
            if not is_well(problem)
        ]
        said: dict[str, Any] = {name: not reasons, "reasons": reasons}
        paused = [
            _said(snapshot, problem)
            for snapshot in source.snapshots()
            for problem in snapshot.problems
            if problem.kind == "paused"
        ]
        if paused and name == "ready":
            said["paused"] = paused
        return JSONResponse(
            said,
            status_code=503 if reasons else 200,
            headers={"cache-control": "no-store"},
        )

    return answer


def _said(snapshot: Snapshot, problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "what": problem.what,
        "text": problem.text,
        "since": problem.since,
        "worker": snapshot.worker,
        "pid": snapshot.pid or None,
    }
