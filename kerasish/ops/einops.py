"""Reshaping and transposing by a pattern."""

from __future__ import annotations

import itertools
import math
import re

import jax

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array

__all__ = ["rearrange"]


def _groups(side):
    return [group.strip("()").split() for group in re.findall(r"\([^)]*\)|\w+", side)]


@symbolic
def rearrange(tensor: TensorLike, pattern: str, **axes_lengths: int) -> jax.Array:
    """Axes regrouped and reordered as a pattern says: `"b (h p) c -> b h (p c)"`.

    Args:
        tensor: The array.
        pattern: Names of the axes before and after; names in parentheses share an axis.
        **axes_lengths: Sizes of names; in each group one may be left out.

    Shapes:
        `(...)` -> as the pattern says.

    Example:
        >>> import numpy as np
        >>> rearrange(np.zeros((2, 6, 3)), "b (h p) c -> b h (p c)", p=2).shape
        (2, 3, 6)
    """
    tensor = as_array(tensor)
    before, arrow, after = pattern.partition("->")
    before, after = _groups(before), _groups(after)
    names, wanted = ([*itertools.chain(*side)] for side in (before, after))
    if not arrow or sorted(names) != sorted(wanted) or len(before) != tensor.ndim:
        wanted = f"'... -> ...' with the same names, {tensor.ndim} axes before"
        raise bad_argument("rearrange", "pattern", wanted, pattern)
    sizes = dict(axes_lengths)
    for group, size in zip(before, tensor.shape, strict=True):
        missing = [name for name in group if name not in sizes]
        for name in group:
            size = size // sizes.get(name, 1)
        sizes.update(dict.fromkeys(missing, size))
    separate = tensor.reshape([sizes[name] for name in names])
    moved = separate.transpose([names.index(name) for name in wanted])
    return moved.reshape([math.prod(sizes[name] for name in group) for group in after])
