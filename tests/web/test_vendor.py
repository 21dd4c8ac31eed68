"""The page's libraries are the published files, and the page is not too heavy."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import fastkafka.web
from fastkafka.web.assets import assets

STATIC = Path(fastkafka.web.__file__).parent / "static"
VENDOR = STATIC / "vendor"

LIMIT_ZIPPED = 93_500
LIMIT = 246_000


def test_the_libraries_are_the_published_files() -> None:
    packages = tomllib.loads((VENDOR / "vendor.toml").read_text())["package"]
    sums = {
        name: file["sha256"]
        for package in packages
        for name, file in package["files"].items()
    }
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.toml"
    }
    assert found == sums


def test_each_library_has_its_licence() -> None:
    for package in tomllib.loads((VENDOR / "vendor.toml").read_text())["package"]:
        assert package["license"] in ("MIT", "Apache-2.0")
        licences = [n for n in package["files"] if n.startswith("licenses/")]
        assert licences, package["name"]


def test_the_page_loads_little() -> None:
    loaded = [
        asset
        for name, asset in assets().items()
        if not name.startswith("vendor/licenses/") and not name.endswith(".toml")
    ]
    assert sum(len(asset.zipped) for asset in loaded) < LIMIT_ZIPPED
    assert sum(len(asset.raw) for asset in loaded) < LIMIT


def test_every_module_is_preloaded() -> None:
    html = (STATIC / "index.html").read_text()
    preloaded = set(re.findall(r'rel="modulepreload" href="static/([^"]+)"', html))
    modules = {name for name in assets() if name.endswith((".js", ".mjs"))}
    assert preloaded == modules - {"vendor/uplot.js"}


def test_no_module_reaches_elsewhere() -> None:
    for path in STATIC.rglob("*.js"):
        if "vendor" in path.parts:
            continue
        text = path.read_text()
        assert not re.search(r"https?://", text), path
        for name in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "dangerously",
        ):
            assert name not in text, path
