"""The document and its page as files, where the original FastKafka wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastkafka.asyncapi.document import Version, document
from fastkafka.asyncapi.operations import Service
from fastkafka.asyncapi.page import page
from fastkafka.asyncapi.yaml import to_yaml

_DOCUMENT = "asyncapi.yml"


@dataclass(frozen=True, slots=True)
class Docs:
    """Where the documentation of an app is.

    Attributes:
        document: The AsyncAPI document, ``asyncapi/spec/asyncapi.yml``.
        page: The page, ``asyncapi/docs/index.html``; its folder can be published.
    """

    document: Path
    page: Path


def write_docs(
    service: Service, root_path: str | Path | None = None, *, version: Version = "3.0"
) -> Docs:
    """Write the AsyncAPI document of an app, and a page that shows it.

    Args:
        service: An app.
        root_path: Gets the folder ``asyncapi``, is made if it does not exist; None is
            the current directory.
        version: Of AsyncAPI, for the document; the page is the same for all.

    Raises:
        ConfigError: The app says something that cannot be in such a document.
        OSError: Something cannot be written.
    """
    written = to_yaml(document(service, version=version))
    shown = page(document(service), downloads={_DOCUMENT: _DOCUMENT})
    folder = Path(root_path or ".") / "asyncapi"
    docs = Docs(folder / "spec" / _DOCUMENT, folder / "docs" / "index.html")
    for path, text in (
        (docs.document, written),
        (docs.page, shown),
        (docs.page.with_name(_DOCUMENT), written),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return docs
