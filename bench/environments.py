"""A virtual environment for each contender, made once from its constraints file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from bench.registry import CONSTRAINTS, OURS

_INSTALL_SECONDS = 600.0


class NotInstalledError(Exception):
    """A contender's environment could not be made."""


def constraints(name: str) -> dict[str, str]:
    """Return the versions of an environment's packages."""
    lines = (CONSTRAINTS / f"{name}.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {package.strip(): version.strip() for package, version in pins}


def python_of(name: str) -> str:
    """Return the interpreter of an environment; make that if it is not there yet.

    It is made again when its constraints file has changed, or the Python that it is
    made with.

    Raises:
        NotInstalledError: With the last of what the installer said.
    """
    if name == OURS:
        return sys.executable
    folder = _cache() / name
    python = folder / "bin" / "python"
    wanted = CONSTRAINTS / f"{name}.txt"
    mark = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / "made-from"
    if stamp.is_file() and stamp.read_text() == mark and python.exists():
        return str(python)
    _run(sys.executable, "-m", "venv", "--clear", str(folder))
    _run(
        *(str(python), "-m", "pip", "install", "--quiet", "--no-deps"),
        *("--disable-pip-version-check", "--requirement", str(wanted)),
    )
    stamp.write_text(mark)
    return str(python)


def _cache() -> Path:
    cache = os.environ.get("FASTKAFKA_CACHE") or "~/.cache/fastkafka"
    return Path(cache).expanduser() / "bench"


def _run(*command: str) -> None:
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.CalledProcessError as failed:
        said = (failed.stderr or failed.stdout).strip().splitlines()
        raise NotInstalledError(said[-1] if said else "no word") from failed
    except subprocess.TimeoutExpired as late:
        raise NotInstalledError(f"not done in {_INSTALL_SECONDS:.0f} s") from late
    except OSError as unable:
        raise NotInstalledError(str(unable)) from unable
