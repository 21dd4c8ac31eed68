"""Which log a committed offset belongs to: pure.

A topic that is deleted and made again has the same name and another id (KIP-516). An
offset of the old one means nothing in the new one, though it may lie within it, and
Kafka keeps offsets by name. So a commit says in its metadata, before what the engine
notes there, which topic it was made for:

    topic=1T7foobxR+KRGkwxPtBFIQ;fk1:o0::

An offset without an id is taken as it is: it was set by hand, or by somebody else.
"""

from __future__ import annotations

import re

_FORM = re.compile(r"topic=([\w+/-]{22});", re.A)


def with_topic_id(topic_id: str | None, metadata: str) -> str:
    """Return metadata that says for which topic it is; None is not known."""
    return metadata if topic_id is None else f"topic={topic_id};{metadata}"


def split_topic_id(metadata: str) -> tuple[str | None, str]:
    """Return the id of the topic that a commit was made for, and the rest."""
    form = _FORM.match(metadata)
    return (None, metadata) if form is None else (form[1], metadata[form.end() :])
