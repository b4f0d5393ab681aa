"""Diagrams of models as SVG, drawn without any other program.

Nodes stand in ranks by their distance from the inputs (Sugiyama, Tagawa and Toda, 1981, "Methods
for Visual Understanding of Hierarchical System Structures"); within a rank they are ordered by the
mean position of their neighbours, and edges over several ranks are led around the nodes between.
"""

import html
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_CHARACTER, _LINE, _PADDING = 6.9, 17, 12  # pixels of text at 12 px
_GAP, _RANK_GAP, _MARGIN = 18, 34, 12
_SWEEPS = 8


class Box(NamedTuple):
    """A node of a diagram.

    Attributes:
        rows: Its lines of text, the first as title.
        fill: Its colour.
        group: Names of the frames it stands in, the outermost first.
    """

    rows: Sequence[str]
    fill: str
    group: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        width = max(map(len, self.rows)) * _CHARACTER + 2 * _PADDING
        return width, len(self.rows) * _LINE + _PADDING


def draw(
    boxes: Mapping[Any, Box],
    edges: Sequence[tuple[Any, Any]],
    sideways: bool = False,
) -> str:
    """The diagram as SVG.

    Args:
        boxes: The nodes by their keys, each after those that it needs.
        edges: Pairs of keys, from and to.
        sideways: Whether it runs from left to right, instead of from top to bottom.

    Example:
        >>> text = draw({0: Box(["Input"], "#eee"), 1: Box(["Dense"], "#fff")}, [(0, 1)])
        >>> text.startswith("<svg"), text.count("<rect"), text.count("<path")
        (True, 2, 2)
    """
    ranks = _ranks(boxes, edges)
    sizes = {key: box.size[::-1] if sideways else box.size for key, box in boxes.items()}
    rows, links, chains = _with_bends(ranks, edges, sizes)
    _sort(rows, links)
    across = _positions(rows, links, sizes)
    along, ends, deepest = {}, {}, float(_MARGIN)
    for row in rows:
        depth = max(sizes[key][1] for key in row)
        along |= dict.fromkeys(row, deepest + depth / 2)
        # A bend is as deep as its row, so that its line runs straight between the boxes there.
        ends |= {key: (sizes[key][1] if key in boxes else depth) / 2 for key in row}
        deepest += depth + _RANK_GAP
    centre = {key: (across[key], along[key]) for key in across}
    lines = [_path([centre[key] for key in chain], ends, chain, sideways) for chain in chains]
    placed = {key: centre[key][::-1] if sideways else centre[key] for key in boxes}
    widest = max(across[key] + sizes[key][0] / 2 for key in across) + _MARGIN
    size = (deepest - _RANK_GAP + _MARGIN, widest)[:: 1 if sideways else -1]
    return _document(boxes, placed, lines, size)


def _ranks(boxes, edges):
    ranks = dict.fromkeys(boxes, 0)
    sources: dict = {key: [] for key in boxes}
    for start, end in edges:
        sources[end].append(start)
    for key in boxes:
        ranks[key] = max((ranks[start] + 1 for start in sources[key]), default=0)
    if not edges:
        ranks = {key: i for i, key in enumerate(boxes)}
    return ranks


def _with_bends(ranks, edges, sizes):
    """Rows of keys; an edge over several ranks gets a narrow key of its own in each between."""
    rows: list[list] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for key, rank in ranks.items():
        rows[rank].append(key)
    links, chains = [], []
    for start, end in edges:
        bends = [("bend", start, end, rank) for rank in range(ranks[start] + 1, ranks[end])]
        for bend in bends:
            sizes[bend] = 8.0, 0.0
            rows[bend[3]].append(bend)
        chain = [start, *bends, end]
        chains.append(chain)
        links += itertools.pairwise(chain)
    return rows, links, chains


def _sort(rows, links):
    """Order each row by the mean position of its neighbours in the row before, or after."""
    before, after = _neighbours(links)
    for sweep in range(_SWEEPS):
        near, order = (before, rows) if sweep % 2 == 0 else (after, rows[::-1])
        for row in order:
            at = {key: i for other in rows for i, key in enumerate(other)}
            row.sort(key=lambda key: _mean([at[k] for k in near.get(key, ())], at[key]))


def _positions(rows, links, sizes):
    """Where each key stands across its row: near its neighbours, without overlap."""
    before, after = _neighbours(links)
    at: dict = {}
    for row in rows:
        _spread(row, dict.fromkeys(row, 0.0), sizes, at)
    for sweep in range(_SWEEPS):
        near, order = (before, rows) if sweep % 2 == 0 else (after, rows[::-1])
        for row in order:
            wished = {key: _mean([at[k] for k in near.get(key, ())], at[key]) for key in row}
            _spread(row, wished, sizes, at)
    least = min(at[key] - sizes[key][0] / 2 for key in at)
    return {key: x - least + _MARGIN for key, x in at.items()}


def _spread(row, wished, sizes, at):
    """Put a row's keys where they wish to be, with the room they need; the mean stays."""
    edge = -math.inf
    for key in row:
        half = sizes[key][0] / 2
        at[key] = max(wished[key], edge + _GAP + half)
        edge = at[key] + half
    shift = _mean([wished[key] - at[key] for key in row], 0.0)
    for key in row:
        at[key] += shift


def _neighbours(links):
    before: dict = {}
    after: dict = {}
    for start, end in links:
        before.setdefault(end, []).append(start)
        after.setdefault(start, []).append(end)
    return before, after


def _mean(values, otherwise):
    return sum(values) / len(values) if values else otherwise


def _path(points, ends, chain, sideways):
    """A smooth line through points, from the border of the first node to that of the last."""
    (x, y), (u, v) = points[0], points[-1]
    bends = [
        (at, depth + side * ends[key])
        for key, (at, depth) in zip(chain[1:-1], points[1:-1], strict=True)
        for side in (-1, 1)
    ]
    points = [(x, y + ends[chain[0]]), *bends, (u, v - ends[chain[-1]] - 5)]
    text = "M" + _pair(points[0], sideways)
    for (x, y), (u, v) in itertools.pairwise(points):
        middle = (y + v) / 2
        text += f" C{_pair((x, middle), sideways)} {_pair((u, middle), sideways)} "
        text += _pair((u, v), sideways)
    return f'<path d="{text}" fill="none" stroke="#666" marker-end="url(#tip)"/>'


def _pair(point, sideways):
    x, y = point[::-1] if sideways else point
    return f"{x:.1f},{y:.1f}"


def _document(boxes, placed, lines, size):
    width, height = size
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" font-family="sans-serif" font-size="12">',
        '<marker id="tip" viewBox="0 0 6 6" refX="1" refY="3" markerWidth="6" markerHeight="6" '
        'orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="#666"/></marker>',
        *_frames(boxes, placed),
        *lines,
    ]
    for key, box in boxes.items():
        (x, y), (wide, high) = placed[key], box.size
        parts.append(
            f'<rect x="{x - wide / 2:.1f}" y="{y - high / 2:.1f}" width="{wide:.1f}" '
            f'height="{high:.1f}" rx="5" fill="{box.fill}" stroke="#666"/>'
        )
        for i, row in enumerate(box.rows):
            weight = ' font-weight="bold"' if i == 0 else ""
            top = y - high / 2 + _PADDING / 2 + (i + 0.75) * _LINE
            text = f'<text x="{x:.1f}" y="{top:.1f}" text-anchor="middle"{weight}>'
            parts.append(f"{text}{html.escape(row)}</text>")
    return "\n".join([*parts, "</svg>\n"])


def _frames(boxes, placed):
    """A dashed frame around the nodes of each model inside."""
    groups: dict = {}
    for key, box in boxes.items():
        for depth in range(len(box.group)):
            groups.setdefault(box.group[: depth + 1], []).append(key)
    for group, keys in groups.items():
        corners = [(*placed[key], *(n / 2 for n in boxes[key].size)) for key in keys]
        left, top = min(x - w for x, _, w, _ in corners), min(y - h for _, y, _, h in corners)
        right, low = max(x + w for x, _, w, _ in corners), max(y + h for _, y, _, h in corners)
        yield (
            f'<rect x="{left - 8:.1f}" y="{top - 14:.1f}" width="{right - left + 16:.1f}" '
            f'height="{low - top + 22:.1f}" fill="none" stroke="#999" stroke-dasharray="4 3"/>'
        )
        name = html.escape(group[-1])
        yield f'<text x="{left - 4:.1f}" y="{top - 4:.1f}" font-size="10">{name}</text>'
