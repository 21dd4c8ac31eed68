"""An AsyncAPI 3.0 document to one of 2.6, for tools that read nothing newer."""

from __future__ import annotations

from fastkafka.asyncapi.names import unique
from fastkafka.asyncapi.schemas import Json

_VERBS = {"receive": "subscribe", "send": "publish"}


def to_version_2(document: Json) -> Json:
    """Rewrite a document that `document` made."""
    components = document["components"]
    security = components.get("securitySchemes", {})
    return {
        "asyncapi": "2.6.0",
        "info": document["info"],
        "defaultContentType": document["defaultContentType"],
        "servers": {
            name: _server(server) for name, server in document["servers"].items()
        },
        "channels": _channels(document),
        "components": components
        | {
            part: {name: _scheme(scheme) for name, scheme in security.items()}
            for part in ("securitySchemes",)
            if security
        },
    }


def _server(server: Json) -> Json:
    made = {"url": server["host"]} | server
    del made["host"]
    if "security" in made:
        made["security"] = [{_last(one): []} for one in made["security"]]
    return made


def _scheme(scheme: Json) -> Json:
    if "flows" not in scheme:
        return scheme
    flows = {
        name: {
            "scopes" if key == "availableScopes" else key: value
            for key, value in flow.items()
        }
        for name, flow in scheme["flows"].items()
    }
    return scheme | {"flows": flows}


def _channels(document: Json) -> Json:
    """Return the channels by address, which names them in 2.6, with operations."""
    made: Json = {}
    names: dict[str, str] = {}
    for name, channel in document["channels"].items():
        if "parameters" in channel:
            parameter = unique("topic", [key.strip("{}") for key in made])
            address = f"{{{parameter}}}"
            made[address] = {
                "parameters": {
                    parameter: channel["parameters"]["topic"]
                    | {"schema": {"type": "string"}}
                }
            }
        else:
            address = channel["address"]
            made.setdefault(address, {"bindings": channel["bindings"]})
        names[name] = address
        for server in channel.get("servers", ()):
            servers = made[address].setdefault("servers", [])
            if _last(server) not in servers:
                servers.append(_last(server))
    for name, operation in document["operations"].items():
        item = made[names[_last(operation["channel"])]]
        _add_operation(item, name, operation)
    return made


def _add_operation(item: Json, name: str, operation: Json) -> None:
    """Add an operation to a channel, which has at most one of each direction."""
    verb = _VERBS[operation["action"]]
    messages = [
        {"$ref": f"#/components/messages/{_last(one)}"} for one in operation["messages"]
    ]
    made = {"operationId": name} | {
        key: operation[key] for key in ("description", "bindings") if key in operation
    }
    if verb in item:
        before = item[verb]
        known = before["message"].get("oneOf", [before["message"]])
        messages = [*known, *(one for one in messages if one not in known)]
        made = _merged(before, made)
    made["message"] = messages[0] if len(messages) == 1 else {"oneOf": messages}
    item[verb] = made


def _merged(one: Json, other: Json) -> Json:
    """Return one operation for two functions: their texts, all of their groups."""
    merged = other | one
    texts = [part["description"] for part in (one, other) if "description" in part]
    if texts:
        merged["description"] = "\n\n".join(texts)
    groups = [
        group
        for part in (one, other)
        if "bindings" in part
        for group in part["bindings"]["kafka"]["groupId"]["enum"]
    ]
    if groups:
        kafka = merged["bindings"]["kafka"]
        group_id = {"type": "string", "enum": list(dict.fromkeys(groups))}
        merged["bindings"] = {"kafka": kafka | {"groupId": group_id}}
    return merged


def _last(reference: Json) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
