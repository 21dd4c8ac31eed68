"""Charts as SVG: bars, ranges on a logarithmic axis, and curves; light and dark.

An SVG's own style sheet sees whether its reader prefers dark pages, so one file serves
both. There are no scripts and no fonts in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 760
_ROW = 26
_LABEL = 250
_RIGHT = 70
_TOP = 58

_STYLE = """\
  <style>
    text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
    .title { font-size: 15px; font-weight: 600; }
    .note, .tick { fill: #59636e; font-size: 11px; }
    .page { fill: #ffffff; }
    .grid { stroke: #d1d9e0; stroke-width: 1; }
    .ours { fill: #0969da; stroke: #0969da; }
    .bare { fill: #59636e; stroke: #59636e; }
    .other { fill: #afb8c1; stroke: #afb8c1; }
    .third { fill: #bc4c00; stroke: #bc4c00; }
    .bar { stroke: none; }
    .line { fill: none; stroke-width: 2; }
    .range { stroke-width: 3; stroke-linecap: round; }
    .hollow { fill: #ffffff; stroke-width: 2; }
    .strong { font-weight: 600; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .note, .tick { fill: #9198a1; }
      .page { fill: #0d1117; }
      .grid { stroke: #3d444d; }
      .ours { fill: #4493f8; stroke: #4493f8; }
      .bare { fill: #9198a1; stroke: #9198a1; }
      .other { fill: #59636e; stroke: #59636e; }
      .third { fill: #db6d28; stroke: #db6d28; }
      .hollow { fill: #0d1117; }
    }
  </style>"""


@dataclass(frozen=True)
class Bar:
    """A value with its name.

    Attributes:
        name: Beside the bar.
        value: Its length.
        text: At its end.
        style: "ours", "bare" or "other".
    """

    name: str
    value: float
    text: str
    style: str = "other"


@dataclass(frozen=True)
class Range:
    """Two values with a name: dots with a line between them, or two of one kind.

    Attributes:
        name: Beside them.
        low, high: The values; None is not shown.
        text: At the right.
        style: "ours", "bare" or "other".
    """

    name: str
    low: float | None
    high: float | None
    text: str
    style: str = "other"


@dataclass(frozen=True)
class Curve:
    """Points with a name.

    Attributes:
        name: In the legend.
        points: From left to right.
        style: "ours", "bare" or "third".
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: str


@dataclass(frozen=True)
class Panel:
    """Curves over one axis.

    Attributes:
        title: Above it.
        curves: What is drawn.
        ticks: Named places of the horizontal axis.
    """

    title: str
    curves: Sequence[Curve]
    ticks: Sequence[tuple[float, str]]


def bars(title: str, note: str, found: Sequence[Bar]) -> str:
    """Draw a bar for each value, from zero."""
    span = _WIDTH - _LABEL - _RIGHT - 30
    most = max((bar.value for bar in found), default=1) or 1
    parts = []
    for number, bar in enumerate(found):
        y = _TOP + number * _ROW
        width = max(1.0, bar.value / most * span)
        parts += [
            _label(bar.name, bar.style, y),
            f'<rect class="bar {bar.style}" x="{_LABEL}" y="{y}" '
            f'width="{width:.1f}" height="{_ROW - 8}" rx="2"/>',
            _text(bar.text, _LABEL + width + 6, y + 13),
        ]
    return _svg(title, note, _TOP + len(found) * _ROW + 8, parts)


def ranges(title: str, note: str, found: Sequence[Range]) -> str:
    """Draw dots on a logarithmic axis: a filled one for low, a hollow one for high."""
    values = [v for each in found for v in (each.low, each.high) if v]
    if not values:
        return _svg(title, note, _TOP, [])
    first = math.floor(math.log10(min(values)))
    last = math.ceil(math.log10(max(values))) or 1
    last = max(last, first + 1)
    span = _WIDTH - _LABEL - 130
    height = _TOP + 14 + len(found) * _ROW

    def at(value: float) -> float:
        return _LABEL + (math.log10(value) - first) / (last - first) * span

    parts = []
    for power in range(first, last + 1):
        x = at(10.0**power)
        parts += [
            f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{height}"/>',
            _text(f"{10.0**power:g}", x, _TOP - 4, "tick", "middle"),
        ]
    for number, each in enumerate(found):
        y = _TOP + 10 + number * _ROW
        middle = y + 9
        parts.append(_label(each.name, each.style, y))
        if each.low and each.high:
            parts.append(
                f'<line class="range {each.style}" x1="{at(each.low):.1f}" '
                f'y1="{middle}" x2="{at(each.high):.1f}" y2="{middle}" opacity="0.45"/>'
            )
        if each.low:
            parts.append(_dot(at(each.low), middle, each.style))
        if each.high:
            parts.append(_dot(at(each.high), middle, f"{each.style} hollow"))
        parts.append(_text(each.text, _WIDTH - 12, y + 13, "note", "end"))
    return _svg(title, note, height + 10, parts)


def curves(title: str, note: str, panels: Sequence[Panel]) -> str:
    """Draw panels beside each other, each with its curves, from zero."""
    gap = 56
    width = (_WIDTH - gap * len(panels) - 28) / len(panels)
    height, top = 170, _TOP + 22
    parts = []
    for number, panel in enumerate(panels):
        left = gap + number * (width + gap)
        parts.append(_text(panel.title, left, top - 12, "strong"))
        parts += _panel(panel, left, top, width, height)
    names = dict.fromkeys((c.name, c.style) for p in panels for c in p.curves)
    x = 16.0
    for name, style in names:
        y = top + height + 42
        parts.append(_dot(x + 4, y - 4, style))
        parts.append(_text(name, x + 14, y))
        x += 34 + 6.6 * len(name)
    return _svg(title, note, top + height + 56, parts)


def _panel(
    panel: Panel, left: float, top: float, width: float, height: float
) -> list[str]:
    points = [point for curve in panel.curves for point in curve.points]
    most = _round_up(max((y for _, y in points), default=1))
    xs = [x for x, _ in points] or [0.0, 1.0]
    low, high = min(xs), max(xs)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - low) / (high - low) if high > low else 0.5
        return left + across * width, top + height - y / most * height

    parts = []
    for step in range(5):
        value = most * step / 4
        y = at(low, value)[1]
        parts += [
            f'<line class="grid" x1="{left:.1f}" y1="{y:.1f}" '
            f'x2="{left + width:.1f}" y2="{y:.1f}"/>',
            _text(f"{value:g}", left - 6, y + 4, "tick", "end"),
        ]
    for x, name in panel.ticks:
        parts.append(_text(name, at(x, 0)[0], top + height + 16, "tick", "middle"))
    for curve in panel.curves:
        path = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in curve.points)
        parts.append(
            f'<polyline class="line {curve.style}" style="fill:none" points="{path}"/>'
        )
        if len(curve.points) < 12:
            parts += [_dot(*at(x, y), curve.style) for x, y in curve.points]
    return parts


def _round_up(value: float) -> float:
    """Return a round number above a value, that four equal steps divide well."""
    if value <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1, 2, 4, 6, 8, 10, 12) if step * power >= value
    )


def _svg(title: str, note: str, height: float, parts: Sequence[str]) -> str:
    body = "\n".join(f"  {part}" for part in parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" \
width="{_WIDTH}" height="{height:.0f}" role="img" aria-label="{escape(title)}">
{_STYLE}
  <rect class="page" width="100%" height="100%" rx="6"/>
  {_text(title, 16, 24, "title")}
  {_text(note, 16, 41, "note")}
{body}
</svg>
"""


def _label(name: str, style: str, y: float) -> str:
    kind = "strong" if style == "ours" else ""
    return _text(name, _LABEL - 10, y + 13, kind, "end")


def _dot(x: float, y: float, style: str) -> str:
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'


def _text(text: str, x: float, y: float, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )
