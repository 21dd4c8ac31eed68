"""`kafka_brokers` -> clusters: who they are, and at which address they answer.

`parse_brokers` runs when the app is declared and checks only shapes: a published app
with placeholders in its dictionary must import. `bootstrap_servers` runs when the
address is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastkafka.errors import ConfigError, did_you_mean


class SecuritySchema(BaseModel):
    """How a cluster is protected: for the documentation only.

    It never configures a connection; `security_protocol`, `sasl_mechanism` and the
    other settings do.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, defer_build=True)

    security_type: Annotated[
        Literal[
            "plain",
            "userPassword",
            "apiKey",
            "X509",
            "symmetricEncryption",
            "asymmetricEncryption",
            "httpApiKey",
            "http",
            "oauth2",
            "openIdConnect",
            "scramSha256",
            "scramSha512",
            "gssapi",
        ],
        Field(alias="type"),
    ]
    description: str | None = None
    name: str | None = None
    api_key_loc: Annotated[
        Literal["user", "password", "query", "header", "cookie"] | None,
        Field(alias="in"),
    ] = None
    scheme: str | None = None
    bearerFormat: str | None = None
    flows: str | None = None
    openIdConnectUrl: str | None = None


class KafkaBroker(BaseModel):
    """One bootstrap server of a cluster; keys it does not know are ignored.

    `protocol` and `security` feed the documentation and never the connection.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    url: str
    """Host name, ``host:port``, or several of them separated by commas."""
    description: str = "Kafka broker"
    port: str | int = "9092"
    protocol: str = "kafka"
    security: SecuritySchema | None = None


BrokerSpec = KafkaBroker | Mapping[str, Any]
"""One bootstrap server as apps write it."""


class KafkaBrokers(BaseModel):
    """A whole `kafka_brokers` dictionary as an object."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    brokers: Mapping[str, KafkaBroker | list[KafkaBroker]]


BrokersSpec = KafkaBrokers | Mapping[str, BrokerSpec | Sequence[BrokerSpec]]
"""What `kafka_brokers=` and `brokers=` take."""

DEFAULT_NAME = "localhost"
"""Of the cluster that an app uses unless somebody chooses another."""

_EXAMPLE = "{'url': 'localhost', 'port': 9092}"
_ADVICE = {
    "url": f"Write the host name of a broker: {_EXAMPLE}.",
    "port": f"Write a number from 1 to 65535: {_EXAMPLE}.",
}
_PLACEHOLDER = re.compile("<.*>")


def parse_brokers(spec: BrokersSpec | None) -> dict[str, list[KafkaBroker]]:
    """Read a `kafka_brokers` dictionary: a name, and that cluster's bootstrap servers.

    Addresses are not looked at: an app whose placeholders were never filled in can
    still be imported, documented and run on another broker.

    Args:
        spec: A dictionary of brokers, of lists of brokers, or a `KafkaBrokers`; None
            is a cluster 'localhost' at localhost:9092.

    Raises:
        ConfigError: A shape that is none of these, or an entry without `url`.
    """
    if spec is None:
        spec = {
            DEFAULT_NAME: KafkaBroker(url="localhost", description="local kafka broker")
        }
    if isinstance(spec, KafkaBrokers):
        spec = spec.brokers
    if not isinstance(spec, Mapping):
        raise ConfigError(
            f"Brokers cannot be {spec!r}. "
            f"Write a dictionary by name: {{'localhost': {_EXAMPLE}}}."
        )
    if not spec:
        raise ConfigError(
            "Brokers cannot be an empty dictionary. "
            f"Name at least one cluster: {{'localhost': {_EXAMPLE}}}."
        )
    return {name: _servers(name, entry) for name, entry in spec.items()}


def bootstrap_servers(name: str, brokers: Sequence[KafkaBroker]) -> str:
    """Return the address of a cluster as Kafka clients take it.

    Args:
        name: The cluster's name, for the error.
        brokers: Its bootstrap servers.

    Returns:
        ``host:port,host:port``; IPv6 hosts in brackets.

    Raises:
        ConfigError: A placeholder was never filled in, a port is no port, or a `url`
            is more than a host and a port.
    """
    return ",".join(
        address for broker in brokers for address in _addresses(name, broker)
    )


def joined(servers: object) -> str | None:
    """Return what `bootstrap_servers=` names, as Kafka clients take it.

    Args:
        servers: ``host:port``, several with commas, or a list of them; or None.

    Raises:
        ConfigError: It is something else.
    """
    if servers is None or isinstance(servers, str):
        return servers
    several = list(servers) if isinstance(servers, Sequence) else []
    if not several or not all(isinstance(server, str) for server in several):
        raise ConfigError(
            f"FastKafka: `bootstrap_servers` is {servers!r}. "
            "Write 'localhost:9092', or a list of such strings."
        )
    return ",".join(several)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which cluster an app uses.

    Attributes:
        brokers: Those that there are, by name.
        name: The chosen one, also among those that a function has instead.
        address: What is used instead of any of them, or None.
        address_of: Returns the address of a cluster.
    """

    brokers: Mapping[str, Sequence[KafkaBroker]]
    name: str
    address: str | None = None
    address_of: Callable[[str, Sequence[KafkaBroker]], str] = bootstrap_servers

    def of(self, name: str) -> Choice:
        """Return the choice of another cluster.

        Raises:
            ConfigError: There is none of that name.
        """
        if name not in self.brokers:
            raise ConfigError(self._unknown(name))
        return replace(self, name=name, address=None)

    def servers(self, instead: Mapping[str, Sequence[KafkaBroker]] | None) -> str:
        """Return the address of the chosen cluster.

        Args:
            instead: A function's own clusters, under the same names.

        Raises:
            ConfigError: There is no such cluster, or its address is none.
        """
        if self.address is not None:
            return self.address
        brokers = self.brokers if instead is None else instead
        if self.name not in brokers:
            raise ConfigError(self._unknown(self.name))
        return self.address_of(self.name, brokers[self.name])

    def check_names(self, instead: Mapping[str, Sequence[KafkaBroker]]) -> None:
        """Refuse a function's own clusters under names that the app does not have.

        Raises:
            ConfigError: The names are others.
        """
        if instead.keys() != self.brokers.keys():
            raise ConfigError(
                "To override application default brokers, you must define all of the "
                f"broker options. Default defined: {set(self.brokers)}, override "
                f"defined: {set(instead)}."
            )

    def _unknown(self, name: str) -> str:
        return (
            f"Given kafka_broker_name '{name}' is not found in kafka_brokers, "
            f"available options are {self.brokers.keys()}."
            f"{did_you_mean(name, self.brokers)}"
        )


def declared(spec: BrokersSpec | None, name: str, servers: object) -> Choice:
    """Return the choice that an app's arguments make.

    Args:
        spec: Its `kafka_brokers`, see `parse_brokers`.
        name: Its `bootstrap_servers_id`.
        servers: Its `bootstrap_servers`, which win; see `joined`.

    Raises:
        ConfigError: One of them cannot be.
    """
    address = joined(servers)
    if spec is None and address is not None:
        spec = {name: {"url": address}}
    return Choice(parse_brokers(spec), name, address)


def _servers(name: object, entry: object) -> list[KafkaBroker]:
    if not isinstance(name, str):
        raise ConfigError(f"Broker {name!r}: a name is a string. Write {str(name)!r}.")
    if not isinstance(entry, Sequence) or isinstance(entry, str | bytes):
        return [_broker(f"Broker {name!r}", entry)]
    if not entry:
        raise ConfigError(
            f"Broker {name!r}: the list is empty. "
            f"Name at least one server: [{_EXAMPLE}]."
        )
    return [
        _broker(f"Broker {name!r}, number {number}", server)
        for number, server in enumerate(entry, 1)
    ]


def _broker(where: str, entry: object) -> KafkaBroker:
    if isinstance(entry, KafkaBroker):
        return entry
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{where} is {entry!r}. Write a dictionary: {_EXAMPLE}.")
    try:
        return KafkaBroker.model_validate(entry)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = str(problem["loc"][0])
        if key == "security":  # its values may be secret: name only the place
            key = ".".join(map(str, problem["loc"]))
            sentence = f"`{key}` does not fit. {problem['msg']}."
        elif problem["type"] == "missing":
            sentence = f"`{key}` is missing. {_ADVICE[key]}"
        else:
            advice = _ADVICE.get(key, "Write a string.")
            sentence = f"`{key}` is {problem['input']!r}. {advice}"
        raise ConfigError(f"{where}: {sentence}") from error


def _addresses(name: str, broker: KafkaBroker) -> list[str]:
    unfilled = [
        f"`{key}` is still {value!r}"
        for key, value in (("url", broker.url), ("port", broker.port))
        if _PLACEHOLDER.search(str(value))
    ]
    if unfilled:
        raise ConfigError(
            f"Broker {name!r}: {' and '.join(unfilled)}. Write the address of a Kafka "
            "broker. To try without one: `--kafka-broker embedded`."
        )
    return [_address(name, broker, url.strip()) for url in broker.url.split(",")]


def _address(name: str, broker: KafkaBroker, url: str) -> str:
    host, port = _split(url)
    if not host or re.search(r"[/@\s]", url):
        raise ConfigError(
            f"Broker {name!r}: `url` is {broker.url!r}. "
            "Write only a host name, 'localhost', or 'localhost:9092'."
        )
    if port is None:
        port = str(broker.port).strip()
    elif "port" in broker.model_fields_set and port != str(broker.port).strip():
        raise ConfigError(
            f"Broker {name!r}: `url` is {broker.url!r}, but `port` is {broker.port!r}. "
            "Write the port in one place."
        )
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ConfigError(
            f"Broker {name!r}: the port is {port!r}. Write a number from 1 to 65535."
        )
    return f"{host}:{port}"


def _split(url: str) -> tuple[str, str | None]:
    """Split ``host:port``; an IPv6 host comes back in brackets."""
    bracketed = re.fullmatch(r"(\[[^\]]+\])(?::(.*))?", url)
    if bracketed:
        return bracketed[1], bracketed[2]
    if url.count(":") > 1 and "/" not in url:
        return f"[{url}]", None
    host, colon, port = url.partition(":")
    return host, port if colon else None
