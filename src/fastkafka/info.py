"""What an app says about itself, and the group that follows from it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from fastkafka.errors import ConfigError


def check_texts(texts: Mapping[str, object]) -> None:
    """Refuse a title, a description or a version that is no text.

    Raises:
        ConfigError: One is neither a string nor None.
    """
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise ConfigError(
                f"FastKafka: `{name}` is {text!r}. Write a string: {str(text)!r}."
            )


def check_contact(contact: object) -> None:
    """Refuse a contact that is no dictionary of texts.

    Raises:
        ConfigError: It is something else.
    """
    if contact is None:
        return
    if not isinstance(contact, Mapping) or not all(
        isinstance(text, str) for pair in contact.items() for text in pair
    ):
        raise ConfigError(
            f"FastKafka: `contact` is {contact!r}. Write a dictionary of strings: "
            "{'name': 'Team', 'url': 'https://example.com', "
            "'email': 'team@example.com'}."
        )


def check_redact(fields: object) -> tuple[str, ...]:
    """Return the fields that nobody may see; a lone string would be its letters.

    Raises:
        ConfigError: They are no collection of strings.
    """
    if (
        isinstance(fields, str)
        or not isinstance(fields, Collection)
        or not all(isinstance(field, str) for field in fields)
    ):
        raise ConfigError(
            f"FastKafka: `redact` is {fields!r}. Write a tuple of dotted paths: "
            "('card.number',)."
        )
    return tuple(fields)


def default_group(title: str, module: str) -> str:
    """Return the group of an app that names none: the slug of its title.

    Args:
        title: May be empty.
        module: Where the app is made, which names one without a title.
    """
    return _slug(title) or _slug(module) or "fastkafka"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
