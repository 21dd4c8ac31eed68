"""The guides with small greetings: 02, 11, 12, 21, 22 and 23."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fastkafka.testing import Tester
from tests.clients import read
from tests.compat.guides import Running, load, running

HELLO = b'{"msg":"Hello world"}'
HELLO_EVERY_SECOND = b'{"msg":"Hello world!"}'

FILES = {
    "g11-consumes": (
        "consumer_example",
        "consumer_prefix",
        "consumer_topic",
        "consumer_metadata",
        "consumer_dynamic",
    ),
    "g12-batches": ("consumer_batch",),
    "g21-produces": ("producer_example", "producer_prefix", "producer_topic"),
    "g22-keys": ("producer_with_key_example",),
    "g23-batches": ("producer_batch", "producer_batch_with_key"),
}
RUN = "fastkafka run --num-workers=1 --kafka-broker=demo_broker"


@pytest.fixture(scope="module", autouse=True)
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Running]]:
    """Run the guides' commands, all at once."""
    commands = {
        guide: {file: f"{RUN} {file}:app" for file in files}
        for guide, files in FILES.items()
    }
    first_steps = {
        name: f"{RUN} hello_kafka_{name}:kafka_app" for name in ("consumer", "producer")
    }
    folder = tmp_path_factory.mktemp("hello")
    topics = ("hello", "hello_world", "my_special_topic")
    with (
        running(commands, folder, topics=topics) as each_alone,
        running(
            {"g02-first-steps": first_steps}, folder, topics=topics, together=True
        ) as both,
    ):
        yield {**each_alone, **both}


# Guide 02


@pytest.fixture
def kafka_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the apps of guide 02 read."""
    monkeypatch.setenv("KAFKA_HOSTNAME", "localhost")
    monkeypatch.setenv("KAFKA_PORT", "9092")


def test_the_first_producers_messages_reach_the_first_consumer(
    apps: Mapping[str, Running],
) -> None:
    apps["producer"].logged(r"\[INFO\] hello_kafka_producer: Producing: msg='hello'")
    apps["consumer"].logged("Got data, msg=hello")


@pytest.mark.usefixtures("kafka_in_environment")
async def test_a_tester_of_the_first_consumer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = load("g02-first-steps", "hello_kafka_consumer", tmp_path)

    async with Tester(app.kafka_app) as tester:
        await tester.to_hello(app.HelloKafkaMsg(msg="hi"))
        await app.kafka_app.awaited_mocks.on_hello.assert_awaited_with(
            app.HelloKafkaMsg(msg="hi"), timeout=2
        )

    assert capsys.readouterr().out == "Got data, msg=hi\n"


@pytest.mark.usefixtures("kafka_in_environment")
async def test_a_tester_of_the_first_producer(tmp_path: Path) -> None:
    app = load("g02-first-steps", "hello_kafka_producer", tmp_path)

    async with Tester(app.kafka_app) as tester:
        await tester.awaited_mocks.on_hello.assert_awaited_with(
            app.HelloKafkaMsg(msg="hello"), timeout=2
        )


# Guides 11 and 12


@pytest.mark.parametrize(
    ("file", "topic"),
    [
        ("consumer_example", "hello_world"),
        ("consumer_prefix", "hello_world"),
        ("consumer_topic", "my_special_topic"),
        ("consumer_dynamic", "hello_world"),
    ],
)
def test_a_consumer_logs_what_the_console_producer_sends(
    apps: Mapping[str, Running], file: str, topic: str
) -> None:
    apps[file].send(topic, HELLO)

    apps[file].logged(rf"\[INFO\] {file}: Got msg: msg='Hello world'")


def test_metadata_tell_where_a_message_came_from(apps: Mapping[str, Running]) -> None:
    app = apps["consumer_metadata"]
    app.send("hello_world", HELLO)

    app.logged(
        r"\[INFO\] consumer_metadata: Got metadata: EventMetadata\("
        r"topic='hello_world', partition=\d, offset=0, timestamp=\d+, "
        r"timestamp_type=0, key=None, value=b'{\"msg\":\"Hello world\"}', "
        r"checksum=None, serialized_key_size=-1, serialized_value_size=21, "
        r"headers=\(\)\)"
    )


def test_batches_are_lists(apps: Mapping[str, Running]) -> None:
    app = apps["consumer_batch"]
    app.send("hello_world", HELLO, HELLO)

    # In one list or in two, as they were fetched.
    got = r"HelloWorld\(msg='Hello world'\)"
    line = rf"\[INFO\] consumer_batch: Got msg batch: \[((?:{got}(?:, )?)+)\]"
    batches = app.logged(line)
    if len(re.findall(got, batches[0])) == 1:
        batches = app.logged(line, 2)
    assert len(re.findall(got, " ".join(batches))) == 2


@pytest.mark.parametrize(
    ("file", "name", "mirror"),
    [
        ("consumer_example", "on_hello_world", "to_hello_world"),
        ("consumer_prefix", "read_from_hello_world", "to_hello_world"),
        ("consumer_topic", "on_hello_world", "to_my_special_topic"),
        ("consumer_dynamic", "on_hello_world", "to_hello_world"),
    ],
)
async def test_a_tester_of_a_consumer_needs_no_name_of_a_cluster(
    file: str, name: str, mirror: str, tmp_path: Path
) -> None:
    app = load("g11-consumes", file, tmp_path)

    async with Tester(app.app) as tester:
        await getattr(tester, mirror)(app.HelloWorld(msg="Hello world"))
        await getattr(app.app.awaited_mocks, name).assert_awaited_with(
            app.HelloWorld(msg="Hello world"), timeout=2
        )


async def test_a_tester_can_name_the_cluster(tmp_path: Path) -> None:
    app = load("g11-consumes", "consumer_example", tmp_path)

    async with Tester(app.app).using_inmemory_broker("demo_broker") as tester:
        await tester.to_hello_world(app.HelloWorld(msg="Hello world"))
        await app.app.awaited_mocks.on_hello_world.assert_awaited_once(timeout=2)


async def test_a_tester_fills_in_metadata(tmp_path: Path) -> None:
    app = load("g11-consumes", "consumer_metadata", tmp_path)

    async with Tester(app.app) as tester:
        await tester.to_hello_world(app.HelloWorld(msg="Hello world"))
        await app.app.awaited_mocks.on_hello_world.assert_awaited_once(timeout=2)

    _, meta = app.app.mocks.on_hello_world.await_args.args
    assert (meta.topic, meta.offset, meta.value) == ("hello_world", 0, HELLO)


async def test_a_tester_sends_batches(tmp_path: Path) -> None:
    app = load("g12-batches", "consumer_batch", tmp_path)
    messages = [app.HelloWorld(msg=f"Hello {i}") for i in range(3)]

    async with Tester(app.app) as tester:
        await tester.to_hello_world(messages)
        await tester.idle()

    calls = app.app.mocks.on_hello_world.await_args_list
    assert [msg for call in calls for msg in call.args[0]] == messages


# Guides 21, 22 and 23


@pytest.mark.parametrize(
    ("file", "topic"),
    [
        ("producer_example", "hello_world"),
        ("producer_prefix", "hello_world"),
        ("producer_topic", "my_special_topic"),
    ],
)
def test_the_console_consumer_reads_what_a_producer_sends(
    apps: Mapping[str, Running], file: str, topic: str
) -> None:
    assert apps[file].sent(topic) == [HELLO_EVERY_SECOND]


def test_a_record_has_its_key(apps: Mapping[str, Running]) -> None:
    (record,) = read(apps["producer_with_key_example"].servers[0], "hello_world", 1)

    assert (record.key(), record.value()) == (b"my_key", HELLO_EVERY_SECOND)


@pytest.mark.parametrize(
    ("file", "keys"),
    [("producer_batch", {None}), ("producer_batch_with_key", {b"my_key"})],
)
def test_a_list_is_as_many_records_and_the_app_runs_on(
    apps: Mapping[str, Running], file: str, keys: set[bytes | None]
) -> None:
    app = apps[file]
    app.logged(r".*Execution finished for background task '(\w+)'")

    records = read(app.servers[0], "hello_world", 10)
    assert sorted(r.value() or b"" for r in records) == [
        json.dumps({"msg": f"Hello world {i}"}, separators=(",", ":")).encode()
        for i in range(10)
    ]
    assert {record.key() for record in records} == keys
    if keys != {None}:
        assert len({record.partition() for record in records}) == 1
    assert app.command.process.poll() is None


@pytest.mark.parametrize(
    ("guide", "file", "mirror"),
    [
        ("g21-produces", "producer_example", "on_hello_world"),
        ("g21-produces", "producer_prefix", "on_hello_world"),
        ("g21-produces", "producer_topic", "on_my_special_topic"),
        ("g22-keys", "producer_with_key_example", "on_hello_world"),
    ],
)
async def test_a_tester_of_a_producer(
    guide: str, file: str, mirror: str, tmp_path: Path
) -> None:
    app = load(guide, file, tmp_path)

    async with Tester(app.app) as tester:
        await getattr(tester.awaited_mocks, mirror).assert_awaited_with(
            app.HelloWorld(msg="Hello world!"), timeout=2
        )


@pytest.mark.parametrize("file", FILES["g23-batches"])
async def test_a_tester_gets_each_message_of_a_batch(file: str, tmp_path: Path) -> None:
    app = load("g23-batches", file, tmp_path)

    async with Tester(app.app) as tester:
        for i in range(10):
            await tester.awaited_mocks.on_hello_world.assert_any_await(
                app.HelloWorld(msg=f"Hello world {i}"), timeout=2
            )


# The lines that guides show and scripts wait for.


def test_a_consumers_log_is_the_originals(apps: Mapping[str, Running]) -> None:
    app = apps["consumer_example"]
    loop = r"\[INFO\] fastkafka\._components\.aiokafka_consumer_loop: "
    app.logged(rf"{loop}aiokafka_consumer_loop\(\): Consumer subscribed\.")

    said = [line.partition("]: ")[2] for line in app.command.out.splitlines()]
    address = app.servers[0].replace("127.0.0.1", "localhost")
    lines = [
        "[INFO] fastkafka._application.app: set_kafka_broker() : Setting "
        f"bootstrap_servers value to '{address}'",
        "[INFO] fastkafka._components.aiokafka_consumer_loop: "
        "aiokafka_consumer_loop() starting...",
        "[INFO] fastkafka._components.aiokafka_consumer_loop: "
        "aiokafka_consumer_loop(): Consumer created using the following parameters: "
        f"{{'bootstrap_servers': '{address}', 'group_id': 'consumer-example', "
        "'auto_offset_reset': 'earliest'}",
        "[INFO] fastkafka._components.aiokafka_consumer_loop: "
        "aiokafka_consumer_loop(): Consumer started.",
        "[INFO] fastkafka._components.aiokafka_consumer_loop: "
        "aiokafka_consumer_loop(): Consumer subscribed.",
    ]
    assert [line for line in said if line in lines] == lines


def test_a_producers_log_is_the_originals(apps: Mapping[str, Running]) -> None:
    app = apps["producer_example"]
    app.logged(".*Starting background task 'hello_every_second'")

    said = [line.partition("]: ")[2] for line in app.command.out.splitlines()]
    address = app.servers[0].replace("127.0.0.1", "localhost")
    lines = [
        "[INFO] fastkafka._application.app: run_in_background() : Adding function "
        "'hello_every_second' as background task",
        "[INFO] fastkafka._application.app: set_kafka_broker() : Setting "
        f"bootstrap_servers value to '{address}'",
        "[INFO] fastkafka._application.app: _create_producer() : created producer "
        f"using the config: '{{'bootstrap_servers': '{address}'}}'",
        "[INFO] fastkafka._application.app: _populate_bg_tasks() : Starting "
        "background task 'hello_every_second'",
    ]
    assert [line for line in said if line in lines] == lines
