"""Who may read and who may write: what stands before the page and its API.

Attackers are messages, their headers and error texts (for which the page needs nothing
but a strict policy), and the website in the next tab, which may send requests to
loopback, or rebind its own name to it. Start in `Guard`; `rules` has the table.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastkafka.errors import ConfigError

TOKEN_VARIABLE = "FASTKAFKA_HTTP_TOKEN"
TOKEN_FILE_VARIABLE = "FASTKAFKA_HTTP_TOKEN_FILE"
SHORTEST_TOKEN = 16
LARGEST_BODY = 1_000_000
RIGHT = "fastkafka.right"
"""Where a request's scope has what it may do."""

Right: TypeAlias = Literal["none", "read", "write"]
Access: TypeAlias = Callable[[Scope], Right]
"""What a mounting app decides about a request."""

_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
_EVERYWHERE = {"", "0.0.0.0", "::"}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")

NO_TOKEN = (
    f"Nobody may read here without a token. Set `{TOKEN_VARIABLE}`, or listen on "
    "127.0.0.1."
)

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What one way of serving allows.

    Attributes:
        right: What everybody may do, or with a token, who has it.
        token: What must be known to have it.
        hosts: The names by which the server may be called, without ports; None is any,
            for a mounted app, where nothing is allowed that has no token and no
            `access`, neither of which another site could send.
        any_address: It may be called by any IP address, too, because it listens at all
            of them; a name that is rebound is no address.
        access: What a mounting app decides instead.
    """

    right: Right
    token: str | None = field(default=None, repr=False)
    hosts: frozenset[str] | None = frozenset(_LOOPBACK)
    any_address: bool = False
    access: Access | None = None

    @property
    def cookie(self) -> str:
        """The name of the cookie; servers on two ports of a host share their cookies,
        so each token has a name of its own.
        """
        return f"fastkafka-{self._sign('name')[:8]}"

    @property
    def cookie_value(self) -> str:
        """What stands for the token, which it does not tell."""
        return self._sign("cookie")

    def _sign(self, what: str) -> str:
        key = (self.token or "").encode()
        return hmac.new(key, what.encode(), hashlib.sha256).hexdigest()

    def knows(self, given: str) -> bool:
        """Whether *given* is the token."""
        return self.token is not None and hmac.compare_digest(
            given.encode(), self.token.encode()
        )

    def of(self, scope: Scope) -> Right:
        """Return what a request may do."""
        if self.access is not None:
            return self.access(scope)
        if self.token is None or self._authorized(Headers(scope=scope)):
            return self.right
        return "none"

    def _authorized(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.knows(given.strip())
        cookies = cookie_parser(headers.get("cookie", ""))
        return hmac.compare_digest(
            cookies.get(self.cookie, "").encode(), self.cookie_value.encode()
        )

    def may_be_called(self, host: str) -> bool:
        """Whether a request's `Host` is one of ours."""
        if self.hosts is None:
            return True
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1].removesuffix(".")
        return name in self.hosts or (self.any_address and _address(name) is not None)


def rules(
    address: str | None,
    *,
    dev: bool = False,
    token: str | None = None,
    allowed_hosts: Collection[str] = (),
    web_actions: bool = True,
    access: Access | None = None,
) -> Rules:
    """Return the rules for a way of serving.

    ======================================  =====  ============
    started as                              read   send, replay
    ======================================  =====  ============
    `dev`                                   open   open
    on loopback, no token                   open   404
    on another address or mounted, no token 403    404
    with a token                            token  token
    ======================================  =====  ============

    Args:
        address: Where it listens, without the port; None when it is mounted.
        dev: Whether it is `fastkafka dev`.
        token: From `read_token`.
        allowed_hosts: Further names by which it may be called.
        web_actions: False takes sending and replaying away from everybody.
        access: What a mounting app decides about each request.

    Raises:
        ConfigError: An allowed host is no name.
    """
    loopback = address is not None and is_loopback(address)
    right: Right = "none"
    if token is not None or (dev and loopback):
        right = "write"
    elif loopback:
        right = "read"
    if right == "write" and not web_actions:
        right = "read"
    if access is not None and not web_actions:
        access = _without_writes(access)
    hosts = None
    if address is not None or allowed_hosts:
        own = {address.lower(), f"[{address.lower()}]"} if address else set()
        hosts = frozenset(_LOOPBACK | own | {_name(host) for host in allowed_hosts})
    everywhere = address is not None and address in _EVERYWHERE
    return Rules(right, token, hosts, everywhere, access)


def _name(host: str) -> str:
    match = _HOST.fullmatch(host.lower())
    if match is None:
        raise ConfigError(
            f"`--http-allowed-hosts`: {host!r} is not a host. Write a name or an "
            "address, as in `kafka.example.com`."
        )
    return match[1]


def _without_writes(access: Access) -> Access:
    def limited(scope: Scope) -> Right:
        right = access(scope)
        return "read" if right == "write" else right

    return limited


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    if address.lower() == "localhost":
        return True
    parsed = _address(address)
    return parsed is not None and parsed.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def read_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the token: from `FASTKAFKA_HTTP_TOKEN`, or from the file whose path
    `FASTKAFKA_HTTP_TOKEN_FILE` is, as orchestrators mount secrets; None without.

    It is never an argument: those are shown to everybody on the machine.

    Raises:
        ConfigError: It is too short, the file cannot be read, or there are both.
    """
    token, file = (environ.get(v) for v in (TOKEN_VARIABLE, TOKEN_FILE_VARIABLE))
    where = f"`{TOKEN_VARIABLE}`"
    if token and file:
        raise ConfigError(
            f"`{TOKEN_VARIABLE}` and `{TOKEN_FILE_VARIABLE}` are both set. "
            "Leave one out."
        )
    if file:
        where = f"The token in {file!r}"
        try:
            token = Path(file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise ConfigError(
                f"{where} cannot be read: {why}. Name a file that this user may read."
            ) from error
    elif not token:
        return None
    token = (token or "").strip()
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"{where} has {len(token)} characters. That can be guessed. Use at least "
            f"{SHORTEST_TOKEN}, for example of `openssl rand -hex 16`."
        )
    return token


class Guard:
    """Let through to the page and its API what may pass.

    Paths below ``api/`` need the right to read, and whatever is no GET the right to
    write; everything else is the page itself, which holds no secret.

    Args:
        app: What it stands before.
        rules: Who may do what.
        script_hash: The SHA-256, in base64, of the one inline script: the import map.
    """

    def __init__(self, app: ASGIApp, rules: Rules, script_hash: str) -> None:
        self._app = app
        self._rules = rules
        self._headers = _HEADERS | {"content-security-policy": policy(script_hash)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None and scope["method"] not in ("GET", "HEAD"):
            body = await _body(receive)
            if body is None:
                refusal = refuse(
                    413, f"The body is larger than {LARGEST_BODY:,} bytes."
                )
            else:
                receive = _again(body, receive)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if refusal := refused_host(self._rules, headers):
            return refusal
        path = path_of(scope)
        if not path.startswith("api/"):
            return None
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return refuse(403, "Requests of other sites are refused.")
        writes = scope["method"] not in ("GET", "HEAD")
        if writes and (refusal := _refused_write(scope["method"], headers)):
            return refusal
        if path == "api/login":
            return None
        return self._refused_right(scope, writes)

    def _refused_right(self, scope: Scope, writes: bool) -> Response | None:
        right = scope[RIGHT] = self._rules.of(scope)
        if right == "none" and self._rules.token is not None:
            return refuse(
                401,
                "The token is missing or wrong. Open the link that has it, or send it "
                "as `Authorization: Bearer ...`.",
                {"www-authenticate": "Bearer"},
            )
        if writes and right != "write":
            return refuse(
                404, "Sending, replaying and controlling are switched off here."
            )
        if right == "none":
            return refuse(403, NO_TOKEN)
        return None


def path_of(scope: Scope) -> str:
    """Return a request's path below where the page is mounted, without ``/`` before."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    return path.lstrip("/")


def policy(script_hash: str) -> str:
    """Return the Content-Security-Policy of the page: no text can become markup."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'sha256-{script_hash}'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _refused_write(method: str, headers: Headers) -> Response | None:
    """Refuse what a foreign page could send: a form, or a request without our header.

    A browser asks before it sends another site's header or JSON, and nobody answers.
    """
    if headers.get("x-fastkafka") != "1":
        return refuse(403, "The header `X-FastKafka: 1` is missing.")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers["host"]:
        return refuse(403, f"Requests of {origin!r} are refused.")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method == "POST" and kind != "application/json":
        return refuse(415, "The body must be `Content-Type: application/json`.")
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > LARGEST_BODY:
        return refuse(413, f"The body is larger than {LARGEST_BODY:,} bytes.")
    return None


def refused_host(rules: Rules, headers: Headers) -> Response | None:
    """Refuse what is not called by one of our names: DNS rebinding."""
    hosts = headers.getlist("host")
    if len(hosts) == 1 and rules.may_be_called(hosts[0]):
        return None
    return refuse(
        421,
        f"This server is not called {', '.join(hosts)!r}. If it is, say so with "
        "`--http-allowed-hosts`.",
    )


def refuse(
    status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error in the form that all of them have."""
    return JSONResponse({"error": sentence, "fields": []}, status, headers)


async def _body(receive: Receive) -> bytes | None:
    """Read a request's body; None if it is too large."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        more = message.get("more_body", False)
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that brings a body that has been read already."""
    waiting = [body]

    async def received() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return received
