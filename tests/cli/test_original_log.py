"""The original's log lines, from a worker's first to its last."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from fastkafka.testing import EmbeddedBroker
from tests.compat.guides import start

APP = """
import asyncio
from fastkafka import FastKafka
from fastkafka._components.logger import get_logger

logger = get_logger(__name__)
app = FastKafka(title="Shop", sasl_plain_username="shop", sasl_plain_password="s3cret")

@app.consumes(topic="orders", auto_offset_reset="latest")
async def on_orders(order: int):
    await to_invoices(order)

@app.produces(topic="invoices", linger_ms=0)
async def to_invoices(order: int) -> int:
    return order

@app.run_in_background()
async def once():
    pass

@app.run_in_background()
async def tick():
    logger.info("tick")
    try:
        await asyncio.sleep(60)
    finally:
        logger.info("tock")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def run(folder: Path, *options: str) -> tuple[str, str]:
    """Run the app until it has started; return its output and its broker's address."""
    with EmbeddedBroker(["orders", "invoices"]) as servers:
        line = f"fastkafka run --num-workers=1 --kafka-broker={servers} shop:app"
        command = start(f"{line} {' '.join(options)}", folder, [servers])
        try:
            (pid,) = command.wait_for(r"^\[(\d+)\]: (?:.* shop: )?tick$")
            command.signal(signal.SIGTERM)
            assert command.end() == 0, command.err
        finally:
            if command.process.poll() is None:
                command.process.kill()
                command.end()
    return command.out.replace(pid, "N"), servers


def test_a_run_logs_what_the_original_logged(folder: Path) -> None:
    output, servers = run(folder)

    app = "[N]: [INFO] fastkafka._application.app: "
    loop = "[N]: [INFO] fastkafka._components.aiokafka_consumer_loop: "
    parent = "[INFO] fastkafka._components._subprocess: terminate_asyncio_process(): "
    login = "'sasl_plain_password': '***', 'sasl_plain_username': 'shop'"
    engine = re.compile(r"\[N\]: \[INFO\] fastkafka\.(app|engine).*")
    assert [line for line in output.splitlines() if not engine.match(line)] == [
        f"{app}run_in_background() : Adding function 'once' as background task",
        f"{app}run_in_background() : Adding function 'tick' as background task",
        f"{app}set_kafka_broker() : Setting bootstrap_servers value to '{servers}'",
        f"{app}_create_producer() : created producer using the config: "
        f"'{{'bootstrap_servers': '{servers}', 'linger_ms': 0, {login}}}'",
        f"{loop}aiokafka_consumer_loop() starting...",
        f"{loop}aiokafka_consumer_loop(): Consumer created using the following "
        f"parameters: {{'bootstrap_servers': '{servers}', 'group_id': 'shop', {login}, "
        "'auto_offset_reset': 'latest'}",
        f"{loop}aiokafka_consumer_loop(): Consumer started.",
        f"{loop}aiokafka_consumer_loop(): Consumer subscribed.",
        f"{app}_populate_bg_tasks() : Starting background task 'once'",
        f"{app}_shutdown_bg_tasks() : Execution finished for background task 'once'",
        f"{app}_populate_bg_tasks() : Starting background task 'tick'",
        "[N]: [INFO] shop: tick",
        "Starting process cleanup, this may take a few seconds...",
        f"{parent}Terminating the process N...",
        f"{app}_shutdown_bg_tasks() : Cancelling background task 'tick'",
        f"{app}_shutdown_bg_tasks() : Waiting for background task 'tick' to finish",
        "[N]: [INFO] shop: tock",
        f"{app}_shutdown_bg_tasks() : Execution finished for background task 'tick'",
        f"{loop}aiokafka_consumer_loop(): Consumer stopped.",
        f"{loop}aiokafka_consumer_loop() finished.",
        f"{parent}Process N terminated.",
    ]


def test_a_log_level_holds_for_every_logger(folder: Path) -> None:
    text = APP.replace('logger.info("tick")', 'print("tick")')
    (folder / "shop.py").write_text(text)

    output, _ = run(folder, "--log-level=warning")

    assert output == (
        "[N]: tick\nStarting process cleanup, this may take a few seconds...\n"
    )
