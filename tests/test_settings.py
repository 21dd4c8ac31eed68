"""The settings table: checked, merged, and taken by real clients."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, Unpack, get_args

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

from fastkafka import setting_names, settings
from fastkafka.errors import ConfigError
from fastkafka.setting_values import Partitioner, in_words
from fastkafka.settings import (
    SETTINGS,
    AppSettings,
    ConsumerSettings,
    ProducerSettings,
    Setting,
    check,
    consumer_config,
    producer_config,
    remarks,
)

BOTH = """
    api_version client_id connections_max_idle_ms loop metadata_max_age_ms
    request_timeout_ms retry_backoff_ms sasl_kerberos_domain_name
    sasl_kerberos_service_name sasl_mechanism sasl_oauth_token_provider
    sasl_plain_password sasl_plain_username security_protocol ssl_context
"""
CONSUMER = """
    auto_commit_interval_ms auto_offset_reset check_crcs client_rack consumer_timeout_ms
    enable_auto_commit exclude_internal_topics fetch_max_bytes fetch_max_wait_ms
    fetch_min_bytes group_id group_instance_id heartbeat_interval_ms isolation_level
    key_deserializer max_partition_fetch_bytes max_poll_interval_ms max_poll_records
    partition_assignment_strategy rebalance_timeout_ms session_timeout_ms
    value_deserializer
"""
PRODUCER = """
    acks compression_type enable_idempotence key_serializer linger_ms max_batch_size
    max_request_size partitioner send_backoff_ms transaction_timeout_ms transactional_id
    value_serializer
"""
"""The keywords of aiokafka's clients, 0.8 to 0.14."""

OURS = "librdkafka"
OURS_CONSUMER = "group_protocol max_buffer_size on_gap timeout_ms"


class RoundRobinPartitionAssignor:
    """Stands for aiokafka's class of this name."""

    name = "roundrobin"


class StickyPartitionAssignor:
    name = "sticky"


class DefaultPartitioner:
    def __call__(self, key: bytes, every: list[int], available: list[int]) -> int:
        return 0


class Tokens:
    async def token(self) -> str:
        return "opaque"


def refused(given: Mapping[str, object], kind: setting_names.Kind = "app") -> str:
    with pytest.raises(ConfigError) as caught:
        check(given, kind=kind)
    return str(caught.value)


def made(config: Mapping[str, Any], kind: type) -> None:
    """Make a real client of *config* that connects to nothing, and close it."""
    if kind is Consumer:
        Consumer({**config, "group.id": "tests", "log_level": 0}).close()
    else:
        Producer({**config, "log_level": 0})


# The table


def table(kind: str) -> set[str]:
    return {name for name, row in SETTINGS.items() if kind in row.kinds}


def test_every_setting_of_aiokafka_is_in_the_table() -> None:
    assert table("consumer") == {*f"{BOTH} {CONSUMER} {OURS} {OURS_CONSUMER}".split()}
    assert table("producer") == {*f"{BOTH} {PRODUCER} {OURS}".split()}


def test_the_typed_dictionaries_are_the_table() -> None:
    assert table("consumer") == set(ConsumerSettings.__annotations__)
    assert table("producer") == set(ProducerSettings.__annotations__)
    assert set(SETTINGS) == set(AppSettings.__annotations__)


def test_the_typed_dictionaries_type_keywords() -> None:
    def consumes(**given: Unpack[ConsumerSettings]) -> None:
        check(given, kind="consumer")

    def produces(**given: Unpack[ProducerSettings]) -> None:
        check(given, kind="producer")

    def app(**given: Unpack[AppSettings]) -> None:
        check(given, kind="app")

    consumes(group_id="orders", auto_offset_reset="latest", client_id=None)
    produces(acks="all", linger_ms=5, librdkafka={"batch.num.messages": 100})
    app(sasl_oauth_token_provider=Tokens(), session_timeout_ms=6000, acks=1)


TRIED: dict[str, list[object]] = {
    "security_protocol": ["PLAINTEXT", "SSL"],
    # GSSAPI is not in every build of the client, and OAUTHBEARER waits for a token.
    "sasl_mechanism": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
    "partition_assignment_strategy": [
        ["range", "roundrobin"],
        "range,roundrobin",
        "cooperative-sticky",
        (RoundRobinPartitionAssignor,),
        [StickyPartitionAssignor()],
    ],
    "partitioner": [*get_args(Partitioner), DefaultPartitioner()],
    "ssl_context": [None, ssl.create_default_context()],
    "sasl_oauth_token_provider": [None, Tokens()],
}

BESIDE: dict[str, AppSettings] = {
    "sasl_mechanism": {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_plain_username": "me",
        "sasl_plain_password": "hush",
    },
    "session_timeout_ms": {"max_poll_interval_ms": 86_400_000},
}


def values_to_try(name: str, row: Setting) -> list[object]:
    """Return every value that a setting takes, or the extremes of its numbers."""
    if name in TRIED:
        return TRIED[name]
    if row.within:
        return [*row.within]
    by_type: dict[Any, list[object]] = {
        bool: [True, False],
        str: ["text"],
        NoneType: [None],
    }
    values: list[object] = []
    for wants in get_args(row.wants) or [row.wants]:
        # The arguments of a Literal are values already.
        values += by_type.get(wants) or get_args(wants) or [wants]
    return values


PASSED = [(name, row) for name, row in SETTINGS.items() if row.client]


@pytest.mark.parametrize(("name", "row"), PASSED, ids=[name for name, _ in PASSED])
def test_a_real_client_takes_every_value_of_a_setting(name: str, row: Setting) -> None:
    values = values_to_try(name, row)
    assert values
    for value in values:
        given = {**BESIDE.get(name, {}), name: value}
        check(given, kind="app")
        if "consumer" in row.kinds:
            made(consumer_config(given), Consumer)
        if "producer" in row.kinds:
            made(producer_config(given), Producer)


BOUNDED = [(name, row) for name, row in PASSED if row.within]


@pytest.mark.parametrize(("name", "row"), BOUNDED, ids=[name for name, _ in BOUNDED])
def test_a_number_out_of_bounds_is_refused_before_the_client_refuses_it(
    name: str, row: Setting
) -> None:
    assert row.within
    least, greatest = row.within
    words = in_words(row.wants, row.within)
    for number in (least - 1, greatest + 1):
        assert refused({name: number}) == (
            f"Setting '{name}' cannot be {number}. Write {words}."
        )
    beyond = {str(row.client): greatest + 1}
    if "consumer" in row.kinds:
        with pytest.raises(KafkaException):
            made(consumer_config() | beyond, Consumer)
    if "producer" in row.kinds:
        with pytest.raises(KafkaException):
            made(producer_config() | beyond, Producer)


# What is refused


def test_an_unknown_setting_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        check({"auto_ofset_reset": "latest"}, where="`on_orders`", kind="consumer")
    assert str(caught.value) == (
        "`on_orders`: Unknown setting 'auto_ofset_reset'. "
        "Did you mean 'auto_offset_reset'?"
    )


def test_the_nearest_name_may_be_the_callers_own() -> None:
    with pytest.raises(ConfigError) as caught:
        check({"encoder": "json"}, kind="consumer", also=("decoder",))
    assert str(caught.value) == "Unknown setting 'encoder'. Did you mean 'decoder'?"


def test_the_callers_own_names_are_not_looked_at() -> None:
    check({"decoder": 1}, kind="consumer", also=("decoder",))


def test_an_unknown_setting_that_is_near_to_none_is_refused() -> None:
    assert refused({"queued.min.messages": 1000}) == (
        "Unknown setting 'queued.min.messages'. "
        "librdkafka's own names go into `librdkafka={...}`."
    )


def test_a_setting_of_the_other_client_is_refused() -> None:
    assert refused({"acks": 1}, "consumer") == (
        "Setting 'acks' is for producers. "
        "Write it for the app, or in `@app.produces(...)`."
    )
    assert refused({"group_id": "a"}, "producer") == (
        "Setting 'group_id' is for consumers. "
        "Write it for the app, or in `@app.consumes(...)`."
    )


@pytest.mark.parametrize("kind", ["app", "consumer", "producer"])
def test_the_address_is_not_a_setting(kind: setting_names.Kind) -> None:
    assert refused({"bootstrap_servers": "localhost:9092"}, kind) == (
        "'bootstrap_servers' is not a setting. "
        "Write `kafka_brokers=` for the app, or `brokers=` for one function."
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"session_timeout_ms": "10s"},
            "Setting 'session_timeout_ms' cannot be '10s'. "
            "Write a whole number from 1 to 3600000.",
        ),
        (
            {"linger_ms": None},
            "Setting 'linger_ms' cannot be None. Write a number from 0 to 299999.",
        ),
        (
            {"auto_offset_reset": "smallest"},
            "Setting 'auto_offset_reset' cannot be 'smallest'. "
            "Write 'earliest', 'latest' or 'none'.",
        ),
        (
            {"librdkafka": ["debug"]},
            "Setting 'librdkafka' cannot be ['debug']. Write a dictionary.",
        ),
        (
            {"librdkafka": {1: 2}},
            "`librdkafka` has a name 1. Write a string.",
        ),
        (
            {"librdkafka": {"debug": ["all"]}},
            "`librdkafka`: 'debug' cannot be ['all']. "
            "Write a string, a number, True, False or a function.",
        ),
        (
            {"librdkafka": {"group.id": "mine"}},
            "`librdkafka` cannot set 'group.id'. Write `group_id=` instead.",
        ),
        (
            {"librdkafka": {"enable.auto.commit": False}},
            "`librdkafka` cannot set 'enable.auto.commit'. An offset is committed when "
            "its record is handled; there is nothing to set.",
        ),
        (
            {"librdkafka": {"error_cb": print}},
            "`librdkafka` cannot set 'error_cb'. FastKafka listens there itself.",
        ),
    ],
)
def test_a_value_that_cannot_work_is_refused(given: Any, sentence: str) -> None:
    assert refused(given) == sentence


# What the clients get


def test_consumer_defaults_are_as_promised() -> None:
    assert consumer_config() == {
        "allow.auto.create.topics": False,
        "auto.commit.interval.ms": 1000,
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "queued.min.messages": 10_000,
        "fetch.queue.backoff.ms": 10,
        "group.protocol": "classic",
        "heartbeat.interval.ms": 3000,
        "partition.assignment.strategy": "cooperative-sticky",
        "queued.max.messages.kbytes": 16384,
        "session.timeout.ms": 10000,
        "topic.metadata.refresh.interval.ms": 10000,
    }
    made(consumer_config(), Consumer)


def test_producer_defaults_are_as_promised() -> None:
    assert producer_config() == {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "queue.buffering.max.kbytes": 65536,
    }
    made(producer_config(), Producer)


def test_each_client_takes_its_own_names() -> None:
    app: AppSettings = {"client_id": "me", "fetch_min_bytes": 10, "linger_ms": 20}
    consumer, producer = consumer_config(app), producer_config(app)
    assert (consumer["client.id"], consumer["fetch.min.bytes"]) == ("me", 10)
    assert (producer["client.id"], producer["linger.ms"]) == ("me", 20)
    assert "linger.ms" not in consumer
    assert "fetch.min.bytes" not in producer


def test_names_that_are_the_apps_do_not_reach_the_client() -> None:
    given: ConsumerSettings = {
        "group_id": "mine",
        "auto_offset_reset": "latest",
        "max_poll_records": 5,
        "enable_auto_commit": False,
    }
    assert consumer_config(given) == consumer_config()


def test_a_later_layer_wins() -> None:
    app: AppSettings = {"fetch_min_bytes": 10, "librdkafka": {"fetch.wait.max.ms": 1}}
    function: ConsumerSettings = {"fetch_min_bytes": 20, "fetch_max_wait_ms": 2}
    config = consumer_config(app, function)
    assert (config["fetch.min.bytes"], config["fetch.wait.max.ms"]) == (20, 2)


def test_none_in_a_later_layer_restores_the_default() -> None:
    config = consumer_config({"client_rack": "a"}, {"client_rack": None})
    assert "client.rack" not in config


def test_librdkafkas_names_win_in_their_layer_and_over_defaults() -> None:
    config = consumer_config(
        {
            "session_timeout_ms": 7000,
            "librdkafka": {"session.timeout.ms": 8000, "queued.min.messages": 1},
        }
    )
    assert config["session.timeout.ms"] == 8000
    assert config["queued.min.messages"] == 1


def test_librdkafkas_second_names_do_not_stand_beside_the_first() -> None:
    config = producer_config(
        {"linger_ms": 1, "librdkafka": {"queue.buffering.max.ms": 2}},
        {"librdkafka": {"request.required.acks": "-1"}},
    )
    assert (config["linger.ms"], config["acks"]) == (2, "-1")
    assert not {"queue.buffering.max.ms", "request.required.acks"} & config.keys()


def test_what_the_engine_owns_cannot_be_set_past_the_check() -> None:
    config = consumer_config({"librdkafka": {"enable.auto.offset.store": True}})
    assert config["enable.auto.offset.store"] is False


@pytest.mark.parametrize("acks", [0, 1])
def test_weaker_acks_turn_idempotence_off(acks: Literal[0, 1]) -> None:
    config = producer_config({"acks": acks})
    assert config["enable.idempotence"] is False
    made(config, Producer)


def test_weaker_acks_contradict_idempotence() -> None:
    with pytest.raises(ConfigError) as caught:
        producer_config(
            {"enable_idempotence": True}, {"acks": 1}, where="`to_predictions`"
        )
    assert str(caught.value) == (
        "`to_predictions`: `acks` is 1, but `enable_idempotence` is True. Without all "
        "replicas a repeated send cannot be recognized. Write `acks='all'` or "
        "`enable_idempotence=False`."
    )


def test_brokers_that_assign_partitions_also_decide_the_timeouts() -> None:
    config = consumer_config({"group_protocol": "consumer"})
    assert config["group.protocol"] == "consumer"
    assert not set(setting_names.BY_BROKER) & config.keys()
    made(config, Consumer)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("session_timeout_ms", 6000),
        ("heartbeat_interval_ms", 1000),
        ("partition_assignment_strategy", "range"),
    ],
)
def test_what_the_broker_decides_cannot_be_set(name: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        consumer_config({name: value}, {"group_protocol": "consumer"}, where="`on_a`")
    assert str(caught.value) == (
        f"`on_a`: `{name}` cannot be set with `group_protocol='consumer'`: the broker "
        "decides it (KIP-848). Remove it, or write `group_protocol='classic'`."
    )


def test_a_short_poll_interval_shortens_the_session() -> None:
    config = consumer_config({"max_poll_interval_ms": 6000})
    assert config["session.timeout.ms"] == 6000
    assert config["heartbeat.interval.ms"] == 2000
    made(config, Consumer)


def test_a_session_cannot_be_longer_than_the_poll_interval() -> None:
    with pytest.raises(ConfigError) as caught:
        consumer_config({"session_timeout_ms": 400_000})
    assert str(caught.value) == (
        "`session_timeout_ms` is 400000, more than `max_poll_interval_ms`, 300000. "
        "Lower the one or raise the other."
    )


def test_a_small_fetch_is_taken_by_a_real_client() -> None:
    made(consumer_config({"fetch_max_bytes": 50_000}), Consumer)


# What is said


def test_what_has_no_meaning_is_said() -> None:
    app: AppSettings = {"api_version": "auto", "loop": None, "client_id": "me"}
    function: ConsumerSettings = {"timeout_ms": 100, "enable_auto_commit": True}
    assert remarks(app, function) == [
        "`api_version` has no meaning here. "
        "The client asks each broker what it speaks.",
        "`timeout_ms` has no meaning here. The client fetches without a period.",
    ]


def test_that_offsets_are_committed_all_the_same_is_said() -> None:
    assert remarks({"enable_auto_commit": False}) == [
        "`enable_auto_commit=False` has no meaning here. Only offsets of handled "
        "records are committed. To commit none: `group_id=None`."
    ]


# What the app asks for


def test_the_last_layer_that_names_a_group_decides() -> None:
    assert settings.group_id({}, {}, default="slug") == "slug"
    assert settings.group_id({"group_id": "a"}, {}, default="slug") == "a"
    assert settings.group_id({"group_id": "a"}, {"group_id": None}, default="x") is None


def test_a_new_group_starts_at_the_earliest_unless_said_otherwise() -> None:
    assert settings.start_at({}) == "earliest"
    assert settings.start_at({"auto_offset_reset": "none"}, {}) == "none"


def test_a_batch_has_at_most_a_hundred_records_unless_said_otherwise() -> None:
    assert settings.max_poll_records({}) == 100
    assert settings.max_poll_records({"max_poll_records": None}) is None
    assert settings.max_poll_records({}, {"max_poll_records": 7}) == 7
