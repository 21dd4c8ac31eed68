"""An app to its AsyncAPI document. Start in `document`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import HttpUrl, TypeAdapter, ValidationError

from fastkafka.asyncapi.messages import BINDING_VERSION, messages_of
from fastkafka.asyncapi.names import legal, unique
from fastkafka.asyncapi.operations import Brokers, Operation, Service, operations_of
from fastkafka.asyncapi.schemas import Json
from fastkafka.asyncapi.servers import Servers
from fastkafka.asyncapi.version2 import to_version_2
from fastkafka.errors import ConfigError
from fastkafka.routing import PATTERN

Version = Literal["3.0", "2.6"]

_WEB_ADDRESS = TypeAdapter(HttpUrl)


def document(service: Service, *, version: Version = "3.0") -> Json:
    """Describe a service as AsyncAPI does.

    In AsyncAPI 3.0 the app *receives* what it consumes and *sends* what it produces.
    In 2.6 consumers are ``subscribe`` and producers ``publish``, as the original
    FastKafka wrote them; that specification means the other direction.

    Args:
        service: An app.
        version: Of AsyncAPI.

    Returns:
        What can be written as JSON or YAML; a dictionary of its own.

    Raises:
        ConfigError: The contact, or what a broker says of its security, cannot be in
            such a document.
    """
    operations = operations_of(service)
    servers = Servers()
    channels = _Channels(service.brokers, operations, servers)
    uses = [
        (operation, channels.name_of(topic, operation.brokers))
        for operation in operations
        for topic in operation.topics
    ]
    messages = messages_of(uses)
    described: Json = {}
    for (operation, channel), message in zip(uses, messages.names, strict=True):
        name = operation.name
        if len(operation.topics) > 1:
            name = f"{name}-{channel}"
        name = unique(legal(name, fallback="function"), described)
        described[name] = _operation(operation, name, channel, message)
        channels.channels[channel]["messages"][message] = {
            "$ref": f"#/components/messages/{message}"
        }
    made: Json = {
        "asyncapi": "3.0.0",
        "info": _info(service),
        "defaultContentType": "application/json",
        "servers": servers.servers,
        "channels": channels.channels,
        "operations": described,
        "components": {
            "schemas": messages.schemas,
            "messages": messages.messages,
            "securitySchemes": servers.schemes,
        },
    }
    made["components"] = {
        name: part for name, part in made["components"].items() if part
    }
    return made if version == "3.0" else to_version_2(made)


class _Channels:
    """A channel for each topic; a topic of two clusters is two.

    Attributes:
        channels: The channels by name.
    """

    def __init__(
        self, brokers: Brokers, operations: Sequence[Operation], servers: Servers
    ) -> None:
        self.channels: Json = {}
        self._brokers = brokers
        self._servers = servers
        self._default = servers.add(brokers)
        # Where all functions use the app's clusters, no channel has to name them.
        self._several = any(
            servers.add(operation.brokers) != self._default
            for operation in operations
            if operation.brokers is not None
        )
        self._names: dict[tuple[str, tuple[str, ...]], str] = {}

    def name_of(self, topic: str, brokers: Brokers | None) -> str:
        """Return the name of a topic's channel on some clusters."""
        names = self._default if brokers is None else self._servers.add(brokers)
        if (topic, names) not in self._names:
            pattern = topic.startswith(PATTERN)
            name = legal(topic, fallback="topics") + ("-pattern" if pattern else "")
            name = unique(name, self.channels)
            self.channels[name] = _pattern(topic) if pattern else _topic(topic)
            if self._several:
                self.channels[name]["servers"] = [
                    {"$ref": f"#/servers/{server}"} for server in names
                ]
            self._names[topic, names] = name
        return self._names[topic, names]


def _topic(topic: str) -> Json:
    return {
        "address": topic,
        "messages": {},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": BINDING_VERSION}},
    }


def _pattern(pattern: str) -> Json:
    return {
        "address": "{topic}",
        "title": f"Topics that match {pattern}",
        "messages": {},
        "parameters": {
            "topic": {"description": f"Every topic that matches `{pattern}`."}
        },
    }


def _operation(operation: Operation, name: str, channel: str, message: str) -> Json:
    described: Json = {
        "action": operation.action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }
    if name != operation.name:
        described["title"] = operation.name
    if operation.description:
        described["description"] = operation.description
    if operation.group is not None:
        group = {"type": "string", "enum": [operation.group]}
        described["bindings"] = {
            "kafka": {"groupId": group, "bindingVersion": BINDING_VERSION}
        }
    return described


def _info(service: Service) -> Json:
    info: Json = {
        "title": service.title or service.group_id or "FastKafka",
        "version": service.version,
    }
    if service.description:
        info["description"] = inspect.cleandoc(service.description)
    if service.contact:
        info["contact"] = _contact(service.contact)
    return info


def _contact(contact: Mapping[str, str]) -> Json:
    given = {key: contact[key] for key in ("name", "url", "email") if contact.get(key)}
    if "url" in given:
        try:
            _WEB_ADDRESS.validate_python(given["url"])
        except ValidationError as error:
            raise ConfigError(
                f"FastKafka: the contact's `url` is {given['url']!r}. "
                "Write a web address: 'https://example.com'."
            ) from error
    if "email" in given and not re.fullmatch(r"[^@\s]+@[^@\s]+", given["email"]):
        raise ConfigError(
            f"FastKafka: the contact's `email` is {given['email']!r}. "
            "Write an address: 'team@example.com'."
        )
    return given
