"""Layers that combine several inputs into one, and the same as functions."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.graph import node_of
from kerasish.core.symbolic.keras_tensor import KerasTensor, MaskOrigin
from kerasish.layers.base.layer import Layer
from kerasish.ops import nn


class Merge(Layer):
    """Base of layers that combine a list of arrays element by element.

    Shapes broadcast, after the batch axis: an input of lower rank gets axes of size 1 behind it.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self._check_list(input_shape)
        batches = {shape[0] for shape in input_shape if shape} - {None}
        if len(batches) > 1:
            raise bad_argument(self, "inputs", "of one batch size", input_shape)
        longest = max(map(len, input_shape))
        for sizes in zip(*(_with_rank(shape, longest) for shape in input_shape), strict=True):
            if len(set(sizes) - {None, 1}) > 1:
                raise bad_argument(self, "inputs", "of shapes that broadcast together", input_shape)

    def _check_list(self, shapes, count=None):
        fits = isinstance(shapes, list | tuple) and shapes and isinstance(shapes[0], list | tuple)
        if not fits or count not in (None, len(shapes)):
            wanted = f"a list of {count} arrays" if count else "a list of arrays"
            raise bad_argument(self, "inputs", wanted, f"shape {shapes}")

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The output's shape; a size that is unknown in one input is taken from the others.

        Args:
            inputs: A list of symbolic tensors.
            *args: More arguments of `call`.
            **kwargs: More arguments of `call`, by name.
        """
        if not isinstance(inputs, list | tuple):
            self._check_list(getattr(inputs, "shape", inputs))
        if all(isinstance(x, KerasTensor) for x in inputs):
            shapes = self.agreed_shapes([x.shape for x in inputs])
            inputs = [KerasTensor(s, x.dtype) for s, x in zip(shapes, inputs, strict=True)]
        return super().compute_output_spec(inputs, *args, **kwargs)

    def agreed_shapes(self, shapes: list) -> list:
        """The shapes, with unknown sizes that must be those of other inputs filled in.

        Args:
            shapes: The inputs' shapes, `None` where unknown.
        """
        rank = max(map(len, shapes))
        axes = [{a: a if a == 0 else a - rank + len(s) for a in range(rank)} for s in shapes]
        tied = [[at[a] if a == 0 or at[a] > 0 else None for at in axes] for a in range(rank)]
        return _filled(shapes, tied)

    def call(self, inputs: Any) -> Any:
        return self.combine(self._of_one_rank(inputs))

    def _of_one_rank(self, inputs):
        rank = max(x.ndim for x in inputs)
        return [jnp.reshape(x, _with_rank(x.shape, rank)) for x in inputs]

    def _full_masks(self, inputs, masks):
        """A mask for each input, of its shape after `_of_one_rank`; `None` where there is none."""
        rank = max(x.ndim for x in inputs)
        full = []
        for x, m in zip(inputs, _masks(self, inputs, masks), strict=True):
            if m is not None:
                m = jnp.reshape(m, _with_rank(m.shape, rank - 1))[..., None]
                m = jnp.broadcast_to(m.astype(bool), _with_rank(x.shape, rank))
            full.append(m)
        return full

    def combine(self, inputs: Any) -> jax.Array:
        """Combine arrays of equal rank. Overridden by each layer.

        Args:
            inputs: The arrays.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `combine`.")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where any input has a step, if all have masks.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        masks: list[Any] = _masks(self, inputs, mask)
        if any(mask is None for mask in masks):
            return None
        return functools.reduce(jnp.logical_or, masks)

    def _origin_of_mask(self, inputs, masks):
        if not all(masks):
            return None
        last = len(masks) - 1  # each joins all before it
        moved = [mask.further(last - max(i - 1, 0)) for i, mask in enumerate(masks)]
        sources = itertools.chain(*(mask.sources for mask in moved))
        return MaskOrigin(max(mask.ndim for mask in masks), tuple(sources))

    def _trace_masks(self, bound, tensors, outputs):
        super()._trace_masks(bound, tensors, outputs)
        node_of(outputs).masks = []  # in Keras' graph these layers get none


def _filled(shapes, tied):
    """Shapes in which axes that are tied to each other, one of each shape or `None`, agree."""
    filled = [list(shape) for shape in shapes]
    for axes in tied:
        positions = [(s, a) for s, a in zip(filled, axes, strict=True) if a is not None]
        known = {shape[a] for shape, a in positions} - {None, 1}
        if len(known) == 1:
            for shape, a in positions:
                shape[a] = max(known) if shape[a] is None else shape[a]
    return [tuple(shape) for shape in filled]


def _with_rank(shape, rank):
    return (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:])


def _masks(layer, inputs, masks):
    if not isinstance(inputs, list | tuple):
        raise bad_argument(layer, "inputs", "a list of arrays", inputs)
    if masks is None:
        return [None] * len(inputs)
    if not isinstance(masks, list | tuple) or len(masks) != len(inputs):
        raise bad_argument(layer, "mask", f"a list of {len(inputs)} masks", masks)
    return list(masks)


class Add(Merge):
    """Sum of all inputs.

    Shapes:
        List of arrays that broadcast -> one array.

    Example:
        >>> Add()([np.ones((1, 2)), np.ones((1, 2))])
        Array([[2., 2.]], dtype=float32)
    """

    def combine(self, inputs: Any) -> jax.Array:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total


class Subtract(Merge):
    """First of two inputs minus the second.

    Shapes:
        List of two arrays that broadcast -> one array.

    Example:
        >>> Subtract()([np.ones((1, 2)), np.ones((1, 2))])
        Array([[0., 0.]], dtype=float32)
    """

    def build(self, input_shape: tuple) -> None:
        self._check_list(input_shape, 2)
        super().build(input_shape)

    def combine(self, inputs: Any) -> jax.Array:
        return inputs[0] - inputs[1]


class Multiply(Merge):
    """Product of all inputs; elements that are masked out do not take part.

    Shapes:
        List of arrays that broadcast -> one array.

    Example:
        >>> Multiply()([np.full((1, 2), 2.0), np.full((1, 2), 3.0)])
        Array([[6., 6.]], dtype=float32)
    """

    def call(self, inputs: Any, mask: Any = None) -> Any:
        inputs, masks = self._of_one_rank(inputs), self._full_masks(inputs, mask)
        pairs = zip(inputs, masks, strict=True)
        product, *others = [x if m is None else jnp.where(m, x, 1) for x, m in pairs]
        for x in others:
            product = product * x
        if any(m is None for m in masks):
            return product
        return jnp.where(functools.reduce(jnp.logical_or, masks), product, 0)


class Average(Add):
    """Mean of all inputs.

    Shapes:
        List of arrays that broadcast -> one array.

    Example:
        >>> Average()([np.ones((1, 2)), np.zeros((1, 2))])
        Array([[0.5, 0.5]], dtype=float32)
    """

    def combine(self, inputs: Any) -> jax.Array:
        dtype = jnp.result_type(*inputs)
        if dtypes.is_float(dtype):  # sums of 16 bits overflow
            inputs = [x.astype(jnp.promote_types(dtype, jnp.float32)) for x in inputs]
        mean = super().combine(inputs) / len(inputs)
        return mean.astype(dtype) if dtypes.is_float(dtype) else mean


class _Extreme(Merge):
    """Base of `Maximum` and `Minimum`, where masked-out elements do not take part."""

    choose = staticmethod(jnp.maximum)

    def call(self, inputs, mask=None):
        inputs, masks = self._of_one_rank(inputs), self._full_masks(inputs, mask)
        chosen, counts = inputs[0], masks[0]
        for x, m in zip(inputs[1:], masks[1:], strict=True):
            x = x if m is None else jnp.where(m, x, chosen)
            chosen = chosen if counts is None else jnp.where(counts, chosen, x)
            counts = None if m is None or counts is None else m | counts
            chosen = self.choose(chosen, x)
        return chosen


class Maximum(_Extreme):
    """Greatest of all inputs, element by element.

    Shapes:
        List of arrays that broadcast -> one array.

    Example:
        >>> Maximum()([np.array([[1.0, 4.0]]), np.array([[3.0, 2.0]])])
        Array([[3., 4.]], dtype=float32)
    """


class Minimum(_Extreme):
    """Least of all inputs, element by element.

    Shapes:
        List of arrays that broadcast -> one array.

    Example:
        >>> Minimum()([np.array([[1.0, 4.0]]), np.array([[3.0, 2.0]])])
        Array([[1., 2.]], dtype=float32)
    """

    choose = staticmethod(jnp.minimum)


class Concatenate(Merge):
    """All inputs one after the other along an axis.

    Args:
        axis: The axis; the inputs agree in all others.

    Shapes:
        List of `(batch, ..., n_i)` -> `(batch, ..., sum of n_i)` for `axis=-1`.

    Example:
        >>> Concatenate()([np.ones((1, 2)), np.zeros((1, 1))])
        Array([[1., 1., 0.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: tuple) -> None:
        self._check_list(input_shape)
        rank = len(input_shape[0])
        wanted = f"of equal shapes but for axis {self.axis}"
        if any(len(shape) != rank for shape in input_shape) or not -rank <= self.axis < rank:
            raise bad_argument(self, "inputs", wanted, input_shape)
        for axis, sizes in enumerate(zip(*input_shape, strict=True)):
            if axis != self.axis % rank and len(set(sizes) - {None}) > 1:
                raise bad_argument(self, "inputs", wanted, input_shape)

    def agreed_shapes(self, shapes: list) -> list:
        rank = len(shapes[0])
        axes = [axis for axis in range(rank) if axis != self.axis % rank]
        return _filled(shapes, [[axis] * len(shapes) for axis in axes])

    def call(self, inputs: Any) -> Any:
        return jnp.concatenate(inputs, axis=self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where any input has a step, those without a mask having all.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        masks = _masks(self, inputs, mask)
        if all(mask is None for mask in masks):
            return None
        full = [_like(mask, x) for mask, x in zip(masks, inputs, strict=True)]
        return jnp.any(jnp.concatenate(full, axis=self.axis), axis=-1)

    def _origin_of_mask(self, inputs, masks):
        sources = []
        for x, mask in zip(inputs, masks, strict=True):
            fits = mask is not None and mask.ndim == x.ndim
            if mask is not None:
                sources += mask.further(2 if fits else 4).sources
            if not fits:  # then it takes the input's shape
                sources.append((x, 4 if mask else 3))
        return MaskOrigin(inputs[0].ndim - 1, tuple(sources)) if any(masks) else None


def _like(mask, x):
    """A mask of the shape of `x`."""
    if mask is None:
        return jnp.ones(x.shape, bool)
    return jnp.broadcast_to(mask[..., None], x.shape) if mask.ndim < x.ndim else mask


class Dot(Merge):
    """Sum of the products of two inputs along an axis of each, sample by sample.

    Args:
        axes: The axis of both, or a pair of axes; not the batch axis.
        normalize: Whether to make vectors along the axes of length 1 first, which gives the
            cosine of the angle between them.

    Shapes:
        `(batch, a, n)` and `(batch, n, b)` -> `(batch, a, b)` for `axes=(2, 1)`;
        `(batch, n)` twice -> `(batch, 1)` for `axes=1`.

    Example:
        >>> Dot(axes=1)([np.ones((2, 3)), np.ones((2, 3))])
        Array([[3.],
               [3.]], dtype=float32)
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        pair = [axes, axes] if isinstance(axes, int) else axes
        if not isinstance(pair, list | tuple) or [type(a) for a in pair] != [int, int]:
            raise bad_argument(self, "axes", "an integer or two", axes)
        self.axes = axes
        self.normalize = normalize

    def build(self, input_shape: tuple) -> None:
        self._check_list(input_shape, 2)
        first, second = input_shape
        a, b = self._axes(len(first), len(second))
        sizes = {first[a], second[b]} - {None}
        if len(sizes) > 1:
            raise bad_argument(self, "inputs", f"of equal size in axes {(a, b)}", input_shape)

    def _axes(self, *ranks):
        pair = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        found = [
            axis % rank if -rank <= axis < rank else 0
            for axis, rank in zip(pair, ranks, strict=True)
        ]
        if 0 in found:
            wanted = f"axes behind the batch axis, for inputs of ranks {ranks}"
            raise bad_argument(self, "axes", wanted, self.axes)
        return found

    def agreed_shapes(self, shapes: list) -> list:
        return _filled(shapes, [(0, 0), self._axes(*map(len, shapes))])

    def call(self, inputs: Any) -> Any:
        x, y = inputs
        a, b = self._axes(x.ndim, y.ndim)
        if self.normalize:
            x, y = nn.normalize(x, axis=a), nn.normalize(y, axis=b)
        result = _batch_dot(x, y, a, b)
        return result[:, None] if result.ndim == 1 else result

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """`None`: no steps are left.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        return None

    def _origin_of_mask(self, inputs, masks):
        return None


def _batch_dot(x, y, a, b):
    names = "abcdefghijklmnopqrstuvwxyz"
    of_x = list(names[: x.ndim])
    of_y = ["a", *names[x.ndim : x.ndim + y.ndim - 1]]
    of_y[b] = of_x[a]
    kept = [n for i, n in enumerate(of_x) if i != a] + [
        n for i, n in enumerate(of_y) if i not in (0, b)
    ]
    return jnp.einsum(f"{''.join(of_x)},{''.join(of_y)}->{''.join(kept)}", x, y)


def add(inputs: Any, **kwargs: Any) -> Any:
    """Sum of the arrays of a list: see `Add`.

    Args:
        inputs: The arrays, real or symbolic.
        **kwargs: Arguments of the layer, as `name`.

    Shapes:
        Arrays whose shapes broadcast, after the batch axis -> one array.

    Example:
        >>> print(add([np.array([[3.0, 2.0]]), np.array([[1.0, 1.0]])]))
        [[4. 3.]]
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """First of two arrays minus the second: see `Subtract`.

    Args:
        inputs: Two arrays, real or symbolic.
        **kwargs: Arguments of the layer, as `name`.

    Shapes:
        Arrays whose shapes broadcast, after the batch axis -> one array.

    Example:
        >>> print(subtract([np.array([[3.0, 2.0]]), np.array([[1.0, 1.0]])]))
        [[2. 1.]]
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """Product of the arrays of a list: see `Multiply`.

    Args:
        inputs: The arrays, real or symbolic.
        **kwargs: Arguments of the layer, as `name`.

    Shapes:
        Arrays whose shapes broadcast, after the batch axis -> one array.

    Example:
        >>> print(multiply([np.array([[3.0, 2.0]]), np.array([[2.0, 1.0]])]))
        [[6. 2.]]
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """Mean of the arrays of a list: see `Average`.

    Args:
        inputs: The arrays, real or symbolic.
        **kwargs: Arguments of the layer, as `name`.

    Shapes:
        Arrays whose shapes broadcast, after the batch axis -> one array.

    Example:
        >>> print(average([np.array([[3.0, 2.0]]), np.array([[1.0, 1.0]])]))
        [[2.  1.5]]
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """Greatest of the arrays of a list: see `Maximum`.

    Args:
        inputs: The arrays, real or symbolic.
        **kwargs: Arguments of the layer, as `name`.

    Shapes:
        Arrays whose shapes broadcast, after the batch axis -> one array.

    Example:
        >>> print(maximum([np.array([[3.0, 2.0]]), np.array([[1.0, 4.0]])]))
        [[3. 4.]]
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """Least of the arrays of a list: see `Minimum`.

    Args:
        inputs: The arrays, real or symbolic.
        **kwargs: Arguments of the layer, as `name`.

    Shapes:
        Arrays whose shapes broadcast, after the batch axis -> one array.

    Example:
        >>> print(minimum([np.array([[3.0, 2.0]]), np.array([[1.0, 4.0]])]))
        [[1. 2.]]
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """The arrays of a list one after the other: see `Concatenate`.

    Args:
        inputs: The arrays, real or symbolic.
        axis: The axis.
        **kwargs: Arguments of the layer, as `name`.

    Shapes:
        Arrays of equal shapes but for the axis -> one array.

    Example:
        >>> print(concatenate([np.ones((1, 2)), np.zeros((1, 1))]))
        [[1. 1. 0.]]
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Sums of products of two arrays: see `Dot`.

    Args:
        inputs: Two arrays, real or symbolic.
        axes: The axis of both, or a pair of axes.
        **kwargs: Arguments of the layer, as `normalize`.

    Shapes:
        `(batch, a, n)` and `(batch, n, b)` -> `(batch, a, b)` for `axes=(2, 1)`.

    Example:
        >>> print(dot([np.ones((1, 3)), np.ones((1, 3))]))
        [[3.]]
    """
    return Dot(axes=axes, **kwargs)(inputs)
