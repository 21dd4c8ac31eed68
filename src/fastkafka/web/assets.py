"""The page's files, in memory: what is not among them cannot be asked for."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "toml": "text/plain; charset=utf-8",
}

_NEEDLESS = re.compile(rb"^[ \t]*(?://.*\n|/\*(?s:.*?)\*/\n|\n)|^[ \t]+", re.MULTILINE)
"""Indentation, empty lines, and comments that have lines of their own: a tenth of what
is sent."""

_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page.

    Attributes:
        raw: Its bytes.
        zipped: The same, compressed.
        content_type: What it is.
    """

    raw: bytes
    zipped: bytes
    content_type: str

    def response(self, request: Request) -> Response:
        """Return it, compressed for who takes that."""
        headers = {"content-type": self.content_type, "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.zipped, headers=headers | {"content-encoding": "gzip"})
        return Response(self.raw, headers=headers)


@cache
def assets() -> dict[str, Asset]:
    """Return the page's files by their paths, ``screens/overview.js``."""
    return dict(_gathered(resources.files("fastkafka.web") / "static", ""))


def import_map_hash() -> str:
    """Return the SHA-256, in base64, of the one script that is in the HTML itself."""
    found = _IMPORT_MAP.search(assets()["index.html"].raw)
    assert found is not None
    return base64.b64encode(hashlib.sha256(found[1]).digest()).decode()


def _gathered(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found = []
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _gathered(entry, f"{name}/")
        elif (kind := name.rpartition(".")[2]) in _TYPES:
            raw = entry.read_bytes()
            if kind in ("js", "css") and not name.startswith("vendor/"):
                raw = _NEEDLESS.sub(b"", raw)
            zipped = gzip.compress(raw, mtime=0)
            found.append((name, Asset(raw, zipped, _TYPES[kind])))
    return found
