"""Clusters to AsyncAPI servers, and what protects them to security schemes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fastkafka.asyncapi.names import legal, unique
from fastkafka.asyncapi.operations import Brokers
from fastkafka.asyncapi.schemas import Json
from fastkafka.brokers import KafkaBroker, SecuritySchema
from fastkafka.errors import ConfigError

_FIELDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "apiKey": {"in": ("user", "password")},
    "httpApiKey": {"name": (), "in": ("query", "header", "cookie")},
    "http": {"scheme": ()},
    "openIdConnect": {"openIdConnectUrl": ()},
}
"""What AsyncAPI wants to know of a type of security, and the values that it takes."""


class Servers:
    """Names every bootstrap server once; a cluster that is used again keeps its names.

    Attributes:
        servers: The servers by name.
        schemes: The security schemes by name.
    """

    def __init__(self) -> None:
        self.servers: Json = {}
        self.schemes: Json = {}
        self._known: list[tuple[str, list[KafkaBroker], list[str]]] = []

    def add(self, brokers: Brokers) -> tuple[str, ...]:
        """Return the names of all servers of some clusters."""
        return tuple(
            name
            for cluster, servers in brokers.items()
            for name in self._cluster(cluster, list(servers))
        )

    def _cluster(self, cluster: str, brokers: list[KafkaBroker]) -> list[str]:
        for name, known, names in self._known:
            if name == cluster and known == brokers:
                return names
        hosts = [
            (broker, url.strip()) for broker in brokers for url in broker.url.split(",")
        ]
        base = legal(cluster, fallback="kafka")
        if any(name == cluster for name, _, _ in self._known):
            base = unique(f"{base}-2", self.servers)
        names = []
        for index, (broker, url) in enumerate(hosts):
            name = base if len(hosts) == 1 else f"{base}-bootstrap-server-{index}"
            name = unique(name, self.servers)
            self.servers[name] = self._server(name, broker, url)
            names.append(name)
        self._known.append((cluster, brokers, names))
        return names

    def _server(self, name: str, broker: KafkaBroker, url: str) -> Json:
        host, port = _split(url)
        server: Json = {
            "host": host,
            "protocol": broker.protocol,
            "description": broker.description,
        }
        if port is None:
            server["host"] = f"{host}:{{port}}"
            server["variables"] = {"port": {"default": str(broker.port)}}
        else:
            server["host"] = f"{host}:{port}"
        if broker.security is not None:
            scheme = f"{name}_default_security"
            self.schemes[scheme] = _scheme(name, broker.security)
            server["security"] = [{"$ref": f"#/components/securitySchemes/{scheme}"}]
        return server


def _split(url: str) -> tuple[str, str | None]:
    """Split ``host:port``; an IPv6 host comes back in brackets."""
    if url.count(":") > 1 and not url.startswith("["):
        return f"[{url}]", None
    found = re.fullmatch(r"(.*):(\d+)", url)
    return (found[1], found[2]) if found else (url, None)


def _scheme(server: str, security: SecuritySchema) -> Json:
    given = security.model_dump(by_alias=True, exclude_none=True)
    kind = given["type"]
    scheme = {"type": kind}
    for field, values in _FIELDS.get(kind, {}).items():
        if field not in given:
            raise ConfigError(
                f"Broker {server!r}: `security` has no `{field}`, which the type "
                f"{kind!r} needs in an AsyncAPI document. Add it."
            )
        if values and given[field] not in values:
            raise ConfigError(
                f"Broker {server!r}: `security.{field}` is {given[field]!r}, but the "
                f"type {kind!r} knows only {' and '.join(map(repr, values))}."
            )
        scheme[field] = given[field]
    if kind == "oauth2":
        scheme["flows"] = _flows(server, given.get("flows", "{}"))
    if kind == "http" and given["scheme"] == "bearer" and "bearerFormat" in given:
        scheme["bearerFormat"] = given["bearerFormat"]
    if "description" in given:
        scheme["description"] = given["description"]
    return scheme


def _flows(server: str, text: str) -> Json:
    """Read OAuth flows, which a broker holds as JSON text.

    Raises:
        ConfigError: It is none.
    """
    try:
        flows: Any = json.loads(text)
        return {
            name: {_FLOW_NAMES.get(key, key): value for key, value in flow.items()}
            for name, flow in flows.items()
        }
    except (ValueError, AttributeError) as error:
        raise ConfigError(
            f"Broker {server!r}: `security.flows` is no JSON object of OAuth flows. "
            """Write '{"clientCredentials": {"tokenUrl": ..., "scopes": {}}}'."""
        ) from error


_FLOW_NAMES = {"scopes": "availableScopes"}
"""AsyncAPI 2's names that have changed in 3."""
