"""An AsyncAPI 3.0 document to one page of HTML, which needs nothing else.

`layout` puts the page together from `operations` and `schemas`; they build it of
`elements`, which escape every text that is not theirs.
"""

from __future__ import annotations

from fastkafka.asyncapi.page.layout import page

__all__ = ["page"]
