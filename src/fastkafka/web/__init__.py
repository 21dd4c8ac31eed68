"""What an app shows over HTTP: probes, metrics, its document and its page.

`asgi.py` is where to start. Only this imports Starlette.
"""

from __future__ import annotations
