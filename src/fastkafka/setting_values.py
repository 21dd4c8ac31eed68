"""One setting's value: whether it fits, how to show it, and librdkafka's form of it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    Protocol,
    Union,
    get_args,
    get_origin,
    runtime_checkable,
)

from fastkafka.errors import ConfigError

logger = logging.getLogger("fastkafka.settings")

Partitioner = Literal[
    "murmur2_random",
    "murmur2",
    "consistent_random",
    "consistent",
    "fnv1a_random",
    "fnv1a",
    "random",
]
"""librdkafka's partitioners; the first is Java's."""


@runtime_checkable
class TokenProvider(Protocol):
    """Gives OAuth tokens; aiokafka's `AbstractTokenProvider` is one.

    An optional method `extensions()` returns a dictionary of SASL extensions.
    """

    async def token(self) -> str:
        """Return a token that has not expired."""


_WORDS: Mapping[Any, str] = {
    NoneType: "None",
    TokenProvider: "an object with `async def token()`",
    bool: "True or False",
    float: "a number",
    int: "a whole number",
    object: "anything",
    ssl.SSLContext: "an `ssl.SSLContext`",
    str: "a string",
    Callable: "aiokafka's `DefaultPartitioner`",
    Mapping: "a dictionary",
    Sequence: "a list",
}


def fits(value: object, wants: Any, within: tuple[int, int] | None = None) -> bool:
    """Tell whether *value* is of the type *wants*, and a number *within* its bounds.

    Unlike `isinstance`, it tells bools from numbers and looks into unions and literals.
    """
    origin = get_origin(wants)
    if origin in (Union, UnionType):
        return any(fits(value, one, within) for one in get_args(wants))
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(wants))
    if wants in (int, float):
        if isinstance(value, bool) or not isinstance(value, wants | int):
            return False
        least, greatest = within or (0, float("inf"))
        return bool(least <= value <= greatest)
    return isinstance(value, origin or wants)


def in_words(wants: Any, within: tuple[int, int] | None = None) -> str:
    """Say what a value has to be, as the end of "Write ..."."""
    *first, last = _words(wants, within)
    return f"{', '.join(first)} or {last}" if first else last


def _words(wants: Any, within: tuple[int, int] | None) -> list[str]:
    origin = get_origin(wants)
    if origin in (Union, UnionType):
        return [word for one in get_args(wants) for word in _words(one, within)]
    if origin is Literal:
        return [repr(one) for one in get_args(wants)]
    if wants in (int, float):
        bounds = f"from {within[0]} to {within[1]}" if within else "of 0 or more"
        return [f"{_WORDS[wants]} {bounds}"]
    return [_WORDS[origin or wants]]


_SECRET = re.compile("pass|secret|token|pem|private|credential|bearer.config", re.I)


def shown(name: str, value: object) -> str:
    """Return *value* as an error may show it: of a secret, only the type."""
    return f"of type `{type(value).__name__}`" if _SECRET.search(name) else repr(value)


def redacted(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, under either kind of names, as they may be logged.

    A secret is starred, so that not even its length is seen.
    """
    return {
        name: "***"
        if _SECRET.search(name)
        else (redacted(value) if isinstance(value, Mapping) else value)
        for name, value in config.items()
    }


def acks(value: object) -> object:
    """Say ``"all"`` for -1."""
    return "all" if value == -1 else value


def assignors(value: str | Sequence[object]) -> str:
    """Name librdkafka's assignors for aiokafka's classes, or for plain names."""
    given = value.split(",") if isinstance(value, str) else value
    names = [str(getattr(one, "name", one)).strip() for one in given]
    names = ["cooperative-sticky" if name == "sticky" else name for name in names]
    eager = {"range", "roundrobin"}
    if names != ["cooperative-sticky"] and not (names and eager.issuperset(names)):
        raise ConfigError(
            f"Setting 'partition_assignment_strategy' cannot be {','.join(names)!r}. "
            "Write 'cooperative-sticky', 'range', 'roundrobin' or 'range,roundrobin'."
        )
    return ",".join(names)


def partitioner(value: object) -> object:
    """Take a name, or aiokafka's default, which is Java's."""
    if type(value).__name__ == "DefaultPartitioner":
        return "murmur2_random"
    if callable(value):
        raise ConfigError(
            "Setting 'partitioner' cannot be a function: librdkafka calls none of "
            "Python's. Choose the partition in `KafkaEvent(message, partition=...)`, "
            f"or write {in_words(Partitioner)}."
        )
    return value


def oauth_cb(provider: TokenProvider) -> OAuthCallback:
    """Let librdkafka ask *provider* for tokens, on the event loop that runs now."""
    try:
        return OAuthCallback(provider, asyncio.get_running_loop())
    except RuntimeError:
        return OAuthCallback(provider, None)


@dataclass(frozen=True, slots=True)
class OAuthCallback:
    """Asks a token provider for librdkafka; those of one provider are equal.

    librdkafka asks from a thread of its own and waits. The provider runs on the event
    loop, as with aiokafka, since it may hold connections that belong there. Therefore a
    client must be constructed in another thread: its constructor waits for a token.
    """

    provider: TokenProvider
    loop: asyncio.AbstractEventLoop | None

    def __call__(self, _: object) -> tuple[str, float, str, Mapping[str, str]]:
        """Return the token, its expiry, no principal, and the extensions."""
        try:
            if self.loop is not None and self.loop.is_running():
                answer = asyncio.run_coroutine_threadsafe(
                    _token(self.provider), self.loop
                )
                token = answer.result(_TOKEN_TIMEOUT)
            else:
                token = asyncio.run(_token(self.provider))
            extensions = getattr(self.provider, "extensions", dict[str, str])()
            return token, _expiry(token), "", extensions
        except Exception:
            # The client drops the reason and says only that there was no token.
            logger.exception("`sasl_oauth_token_provider` gave no token")
            raise


async def _token(provider: TokenProvider) -> str:
    return await provider.token()


_TOKEN_TIMEOUT = 8.0
"""Seconds; a client's constructor gives up after ten."""

_TOKEN_LIFETIME = 300.0
"""Seconds after which a token that does not tell its expiry is asked for again."""


def _expiry(token: str) -> float:
    """Return when a JSON web token expires, in seconds since the epoch."""
    try:
        payload = token.split(".")[1]
        claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return float(json.loads(claims)["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return time.time() + _TOKEN_LIFETIME


def secured(config: dict[str, Any]) -> dict[str, Any]:
    """Return *config* with its TLS and SASL values as librdkafka takes them.

    Args:
        config: librdkafka's names; ``ssl.ca.pem`` may still be an `ssl.SSLContext`.
    """
    protocol = str(config.get("security.protocol", "")).lower()
    if protocol.startswith("sasl"):  # aiokafka's default; librdkafka's is GSSAPI
        config = {"sasl.mechanism": "PLAIN"} | config
    if config.get("sasl.mechanism") != "OAUTHBEARER" or "sasl" not in protocol:
        config.pop("oauth_cb", None)  # no broker asks, yet the client waits for a token
    context = config.get("ssl.ca.pem")
    if isinstance(context, ssl.SSLContext):
        del config["ssl.ca.pem"]
        if protocol.endswith("ssl"):
            config = _tls(context) | config
            if "ssl.ca.location" in config:
                config.pop("ssl.ca.pem", None)
    return config


def _tls(context: ssl.SSLContext) -> dict[str, Any]:
    """Read what Python lets be read of *context*: `tls_remarks` says the rest."""
    algorithm = "https" if context.check_hostname else "none"
    config: dict[str, Any] = {
        "enable.ssl.certificate.verification": context.verify_mode != ssl.CERT_NONE,
        "ssl.endpoint.identification.algorithm": algorithm,
    }
    certificates = context.get_ca_certs(binary_form=True)
    if certificates:
        config["ssl.ca.pem"] = "".join(map(ssl.DER_cert_to_PEM_cert, certificates))
    return config


def tls_remarks(context: ssl.SSLContext, client: Collection[str]) -> list[str]:
    """Return what its author should be told about *context*.

    Args:
        client: The librdkafka names that are set beside it.
    """
    said = []
    if not any(name.startswith(("ssl.cert", "ssl.keystore")) for name in client):
        said.append(
            "`ssl_context`: its CA certificates and its checks of the broker are used. "
            "A client certificate cannot be read back from it. If a broker wants one: "
            "`librdkafka={'ssl.certificate.location': ..., 'ssl.key.location': ...}`."
        )
    trusted = context.cert_store_stats()["x509"]
    readable = len(context.get_ca_certs(binary_form=True))
    if context.verify_mode and not trusted == readable > 0:
        said.append(
            f"`ssl_context`: {readable} CA certificates can be read back from it, but "
            "no others, and none of a directory. Without any, the system's are used. "
            "To name a file or a directory: `librdkafka={'ssl.ca.location': ...}`."
        )
    return said
