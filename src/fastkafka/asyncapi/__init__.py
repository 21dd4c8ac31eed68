"""An app to its AsyncAPI document, and that to a page for people.

`document` is where to start: `operations` reads the routes, `schemas` the types,
`messages` and `servers` make their parts of the document, `version2` is an older one.
`page` shows a document, and `files` writes both.
"""

from __future__ import annotations

from fastkafka.asyncapi.document import Version, document
from fastkafka.asyncapi.files import Docs, write_docs
from fastkafka.asyncapi.operations import Service

__all__ = ["Docs", "Service", "Version", "document", "write_docs"]
