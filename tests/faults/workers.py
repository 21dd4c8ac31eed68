"""Worker processes, real ones: what `fastkafka run` starts, or all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.faults.setup import Setup

ROOT = Path(__file__).parents[2]
_APP = "tests.faults.app:app"
_PATHS = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
STOP_SECONDS = 45.0


class Worker:
    """A process and what it has printed.

    Attributes:
        name: In a scenario.
        output: The file with what it printed.
    """

    def __init__(
        self,
        name: str,
        setup: Setup,
        output: Path,
        *,
        servers: str,
        supervised: int = 0,
        shutdown_timeout: float = 25.0,
    ) -> None:
        """Start it.

        Args:
            name: For people.
            setup: Of the app.
            output: Where its output goes.
            servers: The network it lives in.
            supervised: How many workers `fastkafka run` keeps; 0 is one worker alone,
                which can be killed and suspended.
            shutdown_timeout: As on the command line.
        """
        self.name = name
        self.output = output
        self.supervised = supervised
        command = (
            [*("-m", "fastkafka", "run", _APP), f"--num-workers={supervised}"]
            if supervised
            else ["-u", "-m", "fastkafka.cli.worker", _APP]
        )
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, *command),
                    "--kafka-broker=localhost",
                    f"--shutdown-timeout={shutdown_timeout}",
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(_PATHS)}
                | replace(setup, servers=servers).to_environment(),
                process_group=0,  # Ctrl-C is for us; we stop it
            )

    @property
    def pid(self) -> int:
        """Its process; with `supervised` that of the parent."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """What it has printed."""
        return self.output.read_text(errors="replace")

    @property
    def has_begun(self) -> bool:
        """Whether it has imported the app; until then Python ends by SIGTERM."""
        return "fastkafka" in self.log

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def wait(self, seconds: float = STOP_SECONDS) -> int | None:
        """Wait until it has ended; return its exit code, None if it did not."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, seconds: float = STOP_SECONDS) -> int | None:
        """Ask it to stop (SIGTERM); return its exit code, None if it did not."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def end(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        if self.exit_code is None:
            self.signal(signal.SIGCONT)
            if self.supervised:
                self.signal(signal.SIGTERM)  # it stops its workers
                if self.wait(10) is None:
                    self.signal(signal.SIGTERM)
                    self.wait(5)
            self.kill()


def is_alive(pid: int) -> bool:
    """Whether a process, of which we may not be the parent, runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until_gone(pid: int, seconds: float) -> bool:
    """Return whether a process has ended within *seconds*."""
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
