"""A run: the workers, and beside them who watches them if somebody is to."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastkafka.cli.listening import listening, url_of
from fastkafka.cli.logs import LogFormat
from fastkafka.cli.process import JsonLines, prefixed
from fastkafka.cli.relay import Relay
from fastkafka.cli.supervise import Supervisor, Watcher
from fastkafka.cli.terminal import say


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Attributes:
        app: Where it is, ``module:attribute``.
        kafka_broker: A name of the app's, or addresses.
        num_workers: How many processes run it.
        log_level: From which level on to log.
        log_format: Lines for people, or JSON.
        shutdown_timeout: Seconds that workers have for stopping.
        http: Where to serve HTTP, ``host:port``.
        allowed_hosts: Names by which that may be called, besides the loopback's.
        health_file: What is touched while the workers are live.
        dev: It is for development: the page may send and replay, and logs are brief.
    """

    app: str
    kafka_broker: str
    num_workers: int
    log_level: str
    log_format: LogFormat
    shutdown_timeout: float
    http: str | None = None
    allowed_hosts: Sequence[str] = ()
    health_file: Path | None = None
    dev: bool = False

    @property
    def watched(self) -> bool:
        """Whether somebody wants to know how the workers are."""
        return self.http is not None or self.health_file is not None

    def worker(self, number: int, control: int, kept: str = "[]") -> list[str]:
        """Return the arguments that start a worker; *kept* is what it does first."""
        return self._command(
            "fastkafka.cli.worker",
            f"--shutdown-timeout={self.shutdown_timeout}",
            f"--control={control}",
            *(["--snapshots"] if self.watched else []),
            *(["--brief"] if self.dev else []),
            *([f"--commands={kept}"] if kept != "[]" else []),
            *([f"--worker={number}"] if self.num_workers > 1 else []),
        )

    def web(self, control: int, listener: int, address: str) -> list[str]:
        """Return the arguments that start the web process."""
        return self._command(
            "fastkafka.cli.web_process",
            f"--control={control}",
            f"--listen={listener}",
            f"--address={address}",
            *(f"--allowed-host={host}" for host in self.allowed_hosts),
            *(["--dev"] if self.dev else []),
        )

    def _command(self, module: str, *options: str) -> list[str]:
        # -P: a file in the current directory takes no module's place.
        return [
            *(sys.executable, "-P", "-u", "-m", module),
            f"--kafka-broker={self.kafka_broker}",
            f"--log-level={self.log_level}",
            f"--log-format={self.log_format}",
            *options,
            "--",
            self.app,
        ]


async def run_workers(plan: Plan) -> int:
    """Run an app until a signal and return the exit code.

    Raises:
        ConfigError: It cannot listen at that address, or write that file.
    """
    lines = JsonLines if plan.log_format == LogFormat.JSON else prefixed
    async with contextlib.AsyncExitStack() as stack:
        watcher: Watcher | None = None
        relay = Relay()
        supervisor: Supervisor

        def output(descriptor: int, lines: bytes) -> None:
            supervisor.write(descriptor, lines)

        if plan.watched:
            # They need Pydantic, which a parent does without that watches nobody.
            from fastkafka.cli.watch import Watch, WebProcess  # noqa: PLC0415
            from fastkafka.observe.workers import Workers  # noqa: PLC0415

            web = None
            if plan.http is not None:
                server = stack.enter_context(listening(plan.http))
                address, descriptor = server.getsockname()[0], server.fileno()
                _check_rules(plan, address)
                web = WebProcess(
                    lambda control: plan.web(control, descriptor, address),
                    listener=descriptor,
                    output=output,
                    lines=lines,
                    relay=relay,
                )
                say(f"Page, probes and metrics: {url_of(server)}")
            watcher = watch = Watch(
                Workers(plan.num_workers),
                health_file=plan.health_file,
                web=web,
                relay=relay,
            )
        supervisor = Supervisor(
            lambda number, control: plan.worker(number, control, relay.kept),
            num_workers=plan.num_workers,
            shutdown_timeout=plan.shutdown_timeout,
            lines=lines,
            watcher=watcher,
        )
        if watcher is not None:
            await stack.enter_async_context(watch.telling())
        return await supervisor.run()


def _check_rules(plan: Plan, address: str) -> None:
    """Raise here what the web process would raise again and again.

    Raises:
        ConfigError: The token is too short, or an allowed host is no name.
    """
    from fastkafka.web.guard import read_token, rules  # noqa: PLC0415 - Starlette

    rules(address, token=read_token(), allowed_hosts=plan.allowed_hosts)
