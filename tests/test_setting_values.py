"""One setting's value: numbers and choices, TLS contexts, token providers, secrets."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import time
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from confluent_kafka import Consumer

from fastkafka.errors import ConfigError
from fastkafka.setting_values import OAuthCallback, fits, in_words, redacted
from fastkafka.settings import AppSettings, check, consumer_config, remarks

CA = """-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIUHVa0HNtlMSNffL84Jy2O5O5G7P0wCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRZmFzdGthZmthIHRlc3QgQ0EwIBcNMjYxMTI0MjIyNzI3WhgP
MjEyNjEwMzEyMjI3MjdaMBwxGjAYBgNVBAMMEWZhc3RrYWZrYSB0ZXN0IENBMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEopRe6bqYGJd7JjYHac2JJEG4AzJiBp5C
sGoWQy6CNtZxVhZamG6qAkp6F3ok0OS9Lz6SsqDTbpjuQbbgPXFh6qNTMFEwHQYD
VR0OBBYEFOzg+lBMAEmguI1M6V5PX0wTHXT/MB8GA1UdIwQYMBaAFOzg+lBMAEmg
uI1M6V5PX0wTHXT/MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIg
J7XkNPFtuby4LX9yv8DyjhQPPKHElcl/1R0dpW99H4kCIQDV5zB2D8lPu4pbgtBT
IEKgPZdCJVD4kwmaooA1IH5dIQ==
-----END CERTIFICATE-----
"""

OAUTH: AppSettings = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "OAUTHBEARER",
}


class Tokens:
    """Stands for a subclass of aiokafka's `AbstractTokenProvider`."""

    def __init__(self, token: str = "opaque") -> None:
        self.answer = token
        self.loops: list[asyncio.AbstractEventLoop] = []

    async def token(self) -> str:
        self.loops.append(asyncio.get_running_loop())
        return self.answer

    def extensions(self) -> dict[str, str]:
        return {"logicalCluster": "lkc-1"}


class NoTokens:
    async def token(self) -> str:
        raise ConnectionError("no identity provider")


def connectable(config: Mapping[str, Any]) -> None:
    """Make a real client of *config* that connects to nothing, and close it."""
    Consumer({**config, "group.id": "tests", "log_level": 0}).close()


def refused(given: Mapping[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        check(given, kind="app")
    return str(caught.value)


def asking(provider: object) -> Any:
    """Return what librdkafka calls to ask *provider*."""
    return consumer_config(OAUTH, {"sasl_oauth_token_provider": provider})["oauth_cb"]


# Values and words


def test_a_value_fits_its_type_and_no_other() -> None:
    assert fits(1, float, (0, 2))
    assert not fits(3, float, (0, 2))
    assert not fits(1.0, int, (0, 2))
    assert not fits(True, int)
    assert not fits(1.0, Literal[1])
    assert fits(None, int | None)


def test_a_type_is_said_in_words() -> None:
    assert in_words(str) == "a string"
    assert in_words(int, (1, 9)) == "a whole number from 1 to 9"
    assert in_words(Literal["a", "b"] | int | None) == (
        "'a', 'b', a whole number of 0 or more or None"
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"timeout_ms": -1},
            "Setting 'timeout_ms' cannot be -1. Write a whole number of 0 or more.",
        ),
        (
            {"acks": True},
            "Setting 'acks' cannot be True. Write 0, 1, -1 or 'all'.",
        ),
        (
            {"compression_type": "brotli"},
            "Setting 'compression_type' cannot be 'brotli'. "
            "Write 'gzip', 'snappy', 'lz4', 'zstd', 'none' or None.",
        ),
        (
            {"enable_auto_commit": 0},
            "Setting 'enable_auto_commit' cannot be 0. Write True or False.",
        ),
        (
            {"ssl_context": "ca.pem"},
            "Setting 'ssl_context' cannot be 'ca.pem'. "
            "Write an `ssl.SSLContext` or None.",
        ),
        (
            {"partition_assignment_strategy": ["sticky", "range"]},
            "Setting 'partition_assignment_strategy' cannot be "
            "'cooperative-sticky,range'. "
            "Write 'cooperative-sticky', 'range', 'roundrobin' or 'range,roundrobin'.",
        ),
        (
            {"partition_assignment_strategy": []},
            "Setting 'partition_assignment_strategy' cannot be ''. "
            "Write 'cooperative-sticky', 'range', 'roundrobin' or 'range,roundrobin'.",
        ),
        (
            {"partitioner": lambda key, every, available: every[0]},
            "Setting 'partitioner' cannot be a function: librdkafka calls none of "
            "Python's. Choose the partition in `KafkaEvent(message, partition=...)`, "
            "or write 'murmur2_random', 'murmur2', 'consistent_random', 'consistent', "
            "'fnv1a_random', 'fnv1a' or 'random'.",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    given: Mapping[str, object], sentence: str
) -> None:
    assert refused(given) == sentence


# Secrets


@pytest.mark.parametrize(
    "name",
    [
        "sasl_plain_password",
        "sasl.password",
        "ssl.key.pem",
        "ssl.key.password",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.config",
        "sasl_oauth_token_provider",
    ],
)
def test_secrets_are_starred(name: str) -> None:
    assert redacted({name: "hush"}) == {name: "***"}
    assert redacted({"librdkafka": {name: "hush"}}) == {"librdkafka": {name: "***"}}


def test_what_is_no_secret_is_shown() -> None:
    config = {"sasl.username": "me", "ssl.key.location": "/key", "client.id": "a"}
    assert redacted(config) == config


def test_a_secret_of_the_wrong_type_is_not_shown() -> None:
    assert refused({"sasl_plain_password": 12345}) == (
        "Setting 'sasl_plain_password' cannot be of type `int`. Write a string or None."
    )
    assert refused({"librdkafka": {"ssl.key.password": ["hush"]}}) == (
        "`librdkafka`: 'ssl.key.password' cannot be of type `list`. "
        "Write a string, a number, True, False or a function."
    )


# TLS


def test_a_tls_context_becomes_certificates_and_checks() -> None:
    context = ssl.create_default_context(cadata=CA)
    config = consumer_config({"security_protocol": "SSL", "ssl_context": context})
    assert config["ssl.ca.pem"] == CA
    assert config["enable.ssl.certificate.verification"] is True
    assert config["ssl.endpoint.identification.algorithm"] == "https"
    connectable(config)


def test_a_tls_context_that_checks_nothing_stays_so() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    config = consumer_config({"security_protocol": "SSL", "ssl_context": context})
    assert "ssl.ca.pem" not in config
    assert config["enable.ssl.certificate.verification"] is False
    assert config["ssl.endpoint.identification.algorithm"] == "none"
    connectable(config)


def test_librdkafkas_certificates_win_over_those_of_a_context() -> None:
    config = consumer_config(
        {
            "security_protocol": "SSL",
            "ssl_context": ssl.create_default_context(cadata=CA),
            "librdkafka": {"ssl.ca.location": "/ca.pem"},
        }
    )
    assert "ssl.ca.pem" not in config
    assert config["ssl.ca.location"] == "/ca.pem"


def test_without_tls_a_context_is_not_used() -> None:
    context = ssl.create_default_context(cadata=CA)
    assert consumer_config({"ssl_context": context}) == consumer_config()


def test_what_cannot_be_read_of_a_tls_context_is_said() -> None:
    client = (
        "`ssl_context`: its CA certificates and its checks of the broker are used. A "
        "client certificate cannot be read back from it. If a broker wants one: "
        "`librdkafka={'ssl.certificate.location': ..., 'ssl.key.location': ...}`."
    )
    authorities = (
        "`ssl_context`: 0 CA certificates can be read back from it, but no others, and "
        "none of a directory. Without any, the system's are used. To name a file or a "
        "directory: `librdkafka={'ssl.ca.location': ...}`."
    )
    readable = ssl.create_default_context(cadata=CA)
    empty = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own = {"ssl.certificate.location": "me.pem"}
    assert remarks({"ssl_context": readable}) == [client]
    assert remarks({"ssl_context": empty}) == [client, authorities]
    assert remarks({"ssl_context": readable, "librdkafka": own}) == []


# SASL


def test_the_sasl_mechanism_is_plain_unless_said_otherwise() -> None:
    config = consumer_config(
        {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_plain_username": "me",
            "sasl_plain_password": "hush",
        }
    )
    assert config["sasl.mechanism"] == "PLAIN"
    assert "sasl.mechanism" not in consumer_config()
    connectable(config)


async def test_a_token_provider_is_asked_on_the_event_loop() -> None:
    tokens = Tokens()
    config = consumer_config(OAUTH, {"sasl_oauth_token_provider": tokens})
    await asyncio.to_thread(connectable, config)  # its constructor waits for the token
    assert tokens.loops == [asyncio.get_running_loop()]


def test_without_a_loop_a_token_provider_gets_one() -> None:
    token, expiry, principal, extensions = asking(Tokens())(None)
    assert (token, principal, extensions) == ("opaque", "", {"logicalCluster": "lkc-1"})
    assert 0 < expiry - time.time() <= 300


def test_a_web_token_tells_its_expiry() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 4102444800}).encode()).decode()
    _, expiry, _, _ = asking(Tokens(f"head.{claims.rstrip('=')}.signature"))(None)
    assert expiry == 4102444800.0


def test_a_token_provider_that_fails_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ConnectionError):
        asking(NoTokens())(None)
    assert caplog.record_tuples == [
        (
            "fastkafka.settings",
            logging.ERROR,
            "`sasl_oauth_token_provider` gave no token",
        )
    ]


def test_configurations_with_one_token_provider_are_equal() -> None:
    tokens = Tokens()
    assert isinstance(asking(tokens), OAuthCallback)
    assert {asking(tokens), asking(tokens)} == {asking(tokens)}
    assert asking(tokens) != asking(Tokens())


def test_a_token_provider_is_left_out_where_no_broker_asks() -> None:
    assert consumer_config({"sasl_oauth_token_provider": Tokens()}) == consumer_config()
