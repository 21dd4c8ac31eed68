"""What requests say, and why one cannot be answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from fastkafka.errors import FastKafkaError


class RequestError(FastKafkaError):
    """A request that cannot be answered.

    Attributes:
        status: HTTP's.
        fields: What is wrong where.
    """

    def __init__(
        self, message: str, status: int = 400, fields: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.fields = fields


async def read_wish(kind: Any, request: Request) -> Any:
    """Return the body of a request.

    Raises:
        RequestError: It does not fit.
    """
    try:
        return TypeAdapter(kind).validate_json(await request.body())
    except ValidationError as error:
        fields = [
            {"loc": list(item["loc"]), "msg": item["msg"]}
            for item in error.errors(include_url=False, include_context=False)
        ]
        raise RequestError("The request does not fit.", 422, fields) from None
