"""The page stays quick while much happens."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from fastkafka.testing import EmbeddedBroker
from tests.browser.pages import looking, serving
from tests.web.consoles import shop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

RATE = 1000
LONGEST = 100
"""Milliseconds that the page may be busy without a pause."""

SECONDS = 3
"""In each of which the page changes."""

TRIES = 15
"""A machine that is busy with something else makes the page slower, never quicker."""

OBSERVE = """
window.longTasks = [];
new PerformanceObserver((list) => {
  window.longTasks.push(...list.getEntries().map((entry) => entry.duration));
}).observe({ type: "longtask", buffered: false });
"""


@contextlib.contextmanager
def customers(servers: str) -> Iterator[None]:
    """Order a thousand times a second, until the block ends."""
    producer, ended = Producer({"bootstrap.servers": servers}), threading.Event()

    def order() -> None:
        while not ended.wait(0.1):
            for number in range(RATE // 10):
                value = b'{"id": %d, "customer": "c-%d", "total": 9.5}'
                producer.produce("orders", value % (number, number), b"c-%d" % number)
            producer.poll(0)

    thread = threading.Thread(target=order)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        producer.flush(10)


@pytest.mark.parametrize(
    ("fragment", "shown"),
    [("#/topics/orders", "Showing 50 of"), ("#/", "records per second now")],
)
async def test_a_thousand_messages_a_second_leave_it_quick(
    browser: Any, embedded: EmbeddedBroker, fragment: str, shown: str
) -> None:
    embedded.create_topic("orders", 6)
    embedded.create_topic("invoices", 6)
    app = shop(embedded.bootstrap_servers)
    async with (
        app,
        serving(app) as address,
        looking(browser, address) as (page, trouble),
    ):
        with customers(embedded.bootstrap_servers):
            await page.goto(f"{address}/{fragment}")
            await page.get_by_text(shown).first.wait_for()
            await page.evaluate(OBSERVE)
            found: list[list[float]] = []
            for _ in range(TRIES):
                found.append(await page.evaluate(LONG_TASKS_OF, SECONDS))
                if max(found[-1], default=0) < LONGEST:
                    break
            handled = app.snapshot().functions[0].handled
        trouble.check()
    assert handled > RATE
    assert max(found[-1], default=0) < LONGEST, found


LONG_TASKS_OF = """
async (seconds) => {
  window.longTasks.length = 0;
  await new Promise((resolve) => {
    const changed = new Set();
    new MutationObserver((_, observer) => {
      changed.add(Math.floor(performance.now() / 1000));
      if (changed.size < seconds) return;
      observer.disconnect();
      resolve();
    }).observe(document.body, {
      characterData: true, childList: true, attributes: true, subtree: true,
    });
  });
  return [...window.longTasks];
}
"""
