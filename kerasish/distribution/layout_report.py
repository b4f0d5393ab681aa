"""How a model's weights lie on a mesh, as a table."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasish.core.text_tables import as_html, as_text, readable_bytes


class LayoutReport:
    """What each weight's layout is, what chose it, and what a device holds of it.

    Attributes:
        layouts: Paths of weights to their `TensorLayout`s.
        bytes: Size of all weights.
        bytes_per_device: What each device holds of them.
        unmatched: Paths of weights that no rule of the `LayoutMap` matches: every device holds them
            whole.
        unused: Rules of the `LayoutMap` that match no weight.
    """

    def __init__(self, distribution: Any, weights: Sequence, layout_map: Any = None):
        self._mesh = distribution.device_mesh
        self.layouts, self._rows = {}, []
        self.bytes = self.bytes_per_device = 0
        rules = {v.path: distribution.rule_for(v) for v in weights}
        for v in weights:
            layout = self.layouts[v.path] = distribution.get_variable_layout(v)
            size = v.size * np.dtype(v.value.dtype).itemsize
            part = size // math.prod(self._mesh.size(axis) for axis in layout.axes)
            self.bytes, self.bytes_per_device = self.bytes + size, self.bytes_per_device + part
            row = [v.path, str(tuple(v.shape)), str(layout.axes), readable_bytes(part)]
            self._rows.append([*row, rules[v.path] or "-"])
        matched = {rule for rule in rules.values() if rule is not None}
        has_map = layout_map is not None
        self.unmatched = [path for path, rule in rules.items() if has_map and rule is None]
        self.unused = [rule for rule in layout_map or () if rule not in matched]

    def _parts(self):
        lines = [
            f"All weights: {readable_bytes(self.bytes)}; "
            f"on each device: {readable_bytes(self.bytes_per_device)}"
        ]
        if self.unmatched:
            lines.append(f"No rule matches, so whole on every device: {self.unmatched}")
        if self.unused:
            lines.append(f"Rules that match no weight: {self.unused}")
        columns = ["weight", "shape", "layout", "a device holds", "rule"]
        return f"Layouts on {self._mesh}", columns, self._rows, lines

    def __repr__(self):
        return as_text(*self._parts())

    def _repr_html_(self):
        return as_html(*self._parts())
