"""`keras.backend`: the names of older Keras code, as a table over `ops`.

Write `ops` in new code. What has no meaning here is left out: graphs and sessions (`function`,
`gradients`), the learning phase (layers take `training`), sparse tensors.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from kerasish import ops, random
from kerasish.core import dtypes, names, settings
from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.keras_tensor import is_keras_tensor as is_keras_tensor
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike

# -- the process's settings and types

backend = settings.backend
epsilon = settings.epsilon
floatx = settings.floatx
image_data_format = settings.image_data_format
is_float_dtype = dtypes.is_float
name_scope = names.name_scope
result_type = dtypes.result_type
set_epsilon = settings.set_epsilon
set_floatx = settings.set_floatx
set_image_data_format = settings.set_image_data_format
standardize_dtype = dtypes.standardize_dtype

# -- as in `ops`

abs = ops.abs
all = ops.all
any = ops.any
binary_crossentropy = ops.binary_crossentropy
cast = ops.cast
categorical_crossentropy = ops.categorical_crossentropy
conv1d = conv2d = conv3d = ops.conv
cos = ops.cos
depthwise_conv2d = ops.depthwise_conv
dtype = ops.dtype
elu = ops.elu
equal = ops.equal
exp = ops.exp
greater = ops.greater
greater_equal = ops.greater_equal
less = ops.less
less_equal = ops.less_equal
log = ops.log
max = ops.max
maximum = ops.maximum
mean = ops.mean
min = ops.min
minimum = ops.minimum
ndim = ops.ndim
not_equal = ops.not_equal
one_hot = ops.one_hot
ones_like = ops.ones_like
pow = ops.power
prod = ops.prod
reshape = ops.reshape
round = ops.round
separable_conv2d = ops.separable_conv
shape = int_shape = ops.shape
sigmoid = ops.sigmoid
sign = ops.sign
sin = ops.sin
softmax = ops.softmax
softplus = ops.softplus
softsign = ops.softsign
sparse_categorical_crossentropy = ops.sparse_categorical_crossentropy
sqrt = ops.sqrt
square = ops.square
squeeze = ops.squeeze
stack = ops.stack
std = ops.std
stop_gradient = ops.stop_gradient
sum = ops.sum
tanh = ops.tanh
tile = ops.tile
transpose = ops.transpose
var = ops.var
zeros_like = ops.zeros_like

dropout = random.dropout
random_normal = random.normal
random_uniform = random.uniform
truncated_normal = random.truncated_normal

# -- other arguments or defaults than in `ops`


def argmax(x: TensorLike, axis: int = -1) -> jax.Array:
    """The index of the largest element along an axis.

    Args:
        x: Array.
        axis: The axis.

    Example:
        >>> int(keras.backend.argmax([1, 3, 2]))
        1
    """
    return ops.argmax(x, axis)


def argmin(x: TensorLike, axis: int = -1) -> jax.Array:
    """The index of the least element along an axis.

    Args:
        x: Array.
        axis: The axis.

    Example:
        >>> int(keras.backend.argmin([3, 1, 2]))
        1
    """
    return ops.argmin(x, axis)


def arange(
    start: TensorLike,
    stop: TensorLike | None = None,
    step: Any = 1,
    dtype: DTypeLike | None = "int32",
) -> jax.Array:
    """Numbers from `start` (0 if `stop` is not given) up to but without `stop`.

    Args:
        start: First number.
        stop: The end, not included.
        step: Difference of neighbours.
        dtype: Name of the type.

    Example:
        >>> print(keras.backend.arange(1, 7, 2))
        [1 3 5]
    """
    return ops.arange(start, stop, step, dtype)


def cumsum(x: TensorLike, axis: int = 0) -> jax.Array:
    """Sums of all elements up to each, along an axis.

    Args:
        x: Array.
        axis: The axis.

    Example:
        >>> print(keras.backend.cumsum([1, 2, 3]))
        [1 3 6]
    """
    return ops.cumsum(x, axis)


def cumprod(x: TensorLike, axis: int = 0) -> jax.Array:
    """Products of all elements up to each, along an axis.

    Args:
        x: Array.
        axis: The axis.

    Example:
        >>> print(keras.backend.cumprod([1, 2, 3]))
        [1 2 6]
    """
    return ops.cumprod(x, axis)


def clip(x: TensorLike, min_value: Any, max_value: Any) -> jax.Array:
    """Each element moved into the range from `min_value` to `max_value`; `None` is no limit.

    Args:
        x: Array.
        min_value: Lower end, or `None`.
        max_value: Upper end, or `None`.

    Example:
        >>> print(keras.backend.clip([-2, 0, 9], -1, 5))
        [-1  0  5]
    """
    return ops.clip(x, min_value, max_value)


def concatenate(tensors: Sequence, axis: int = -1) -> jax.Array:
    """Several arrays one after the other along an axis.

    Args:
        tensors: List of arrays.
        axis: The axis.

    Example:
        >>> print(keras.backend.concatenate([[1, 2], [3]]))
        [1 2 3]
    """
    return ops.concatenate(tensors, axis)


def expand_dims(x: TensorLike, axis: int = -1) -> jax.Array:
    """With a new axis of size 1.

    Args:
        x: Array.
        axis: The axis.

    Example:
        >>> keras.backend.expand_dims(np.ones((2, 3))).shape
        (2, 3, 1)
    """
    return ops.expand_dims(x, axis)


def permute_dimensions(x: TensorLike, pattern: Sequence[int]) -> jax.Array:
    """With axes in another order.

    Args:
        x: Array.
        pattern: Which axis goes where.

    Example:
        >>> keras.backend.permute_dimensions(np.ones((2, 3, 4)), (0, 2, 1)).shape
        (2, 4, 3)
    """
    return ops.transpose(x, pattern)


def reverse(x: TensorLike, axes: Any) -> jax.Array:
    """In reverse along axes.

    Args:
        x: Array.
        axes: The axes.

    Example:
        >>> print(keras.backend.reverse([1, 2, 3], 0))
        [3 2 1]
    """
    return ops.flip(x, axes)


def gather(reference: TensorLike, indices: TensorLike) -> jax.Array:
    """The rows at indices.

    Args:
        reference: Array.
        indices: Integers.

    Example:
        >>> print(keras.backend.gather([10, 20, 30], [2, 0]))
        [30 10]
    """
    return ops.take(reference, indices, 0)


def flatten(x: TensorLike) -> jax.Array:
    """All elements in one axis.

    Args:
        x: Array.

    Example:
        >>> keras.backend.flatten(np.ones((2, 3))).shape
        (6,)
    """
    return ops.reshape(x, (-1,))


def batch_flatten(x: TensorLike) -> jax.Array:
    """All elements of each row in one axis.

    Args:
        x: Array.

    Example:
        >>> keras.backend.batch_flatten(np.ones((2, 3, 4))).shape
        (2, 12)
    """
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def repeat(x: TensorLike, n: int) -> jax.Array:
    """`(batch, d)` to `(batch, n, d)`.

    Args:
        x: Array.
        n: How many times.

    Example:
        >>> keras.backend.repeat(np.ones((2, 3)), 4).shape
        (2, 4, 3)
    """
    return ops.repeat(ops.expand_dims(x, 1), n, 1)


def repeat_elements(x: TensorLike, rep: int, axis: int) -> jax.Array:
    """Each element `rep` times in a row along an axis.

    Args:
        x: Array.
        rep: How many times.
        axis: The axis.

    Example:
        >>> print(keras.backend.repeat_elements([1, 2], 2, 0))
        [1 1 2 2]
    """
    return ops.repeat(x, rep, axis)


def in_top_k(predictions: TensorLike, targets: TensorLike, k: int) -> jax.Array:
    """Whether each target is among the `k` largest predictions.

    Args:
        predictions: Scores.
        targets: Class numbers.
        k: How many classes may be tried.

    Example:
        >>> print(keras.backend.in_top_k([[0.1, 0.9]], [1], 1))
        [ True]
    """
    return ops.in_top_k(targets, predictions, k)


def cast_to_floatx(x: TensorLike) -> jax.Array:
    """`x` in the global float type.

    Args:
        x: Array.

    Example:
        >>> keras.backend.cast_to_floatx([1, 2])
        Array([1., 2.], dtype=float32)
    """
    return ops.cast(x, floatx())


def hard_sigmoid(x: Any) -> jax.Array:
    """`0.2 x + 0.5`, kept between 0 and 1 (Keras 2's: `ops` has another slope).

    Args:
        x: Array.

    Example:
        >>> print(keras.backend.hard_sigmoid(np.array([-3.0, 0.0, 3.0])))
        [0.  0.5 1. ]
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@symbolic
def relu(x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> jax.Array:
    """`x` above the threshold, at most `max_value`; `alpha * (x - threshold)` below.

    Args:
        x: Array.
        alpha: Slope below the threshold.
        max_value: The most that comes out, or `None`.
        threshold: The threshold.

    Example:
        >>> print(keras.backend.relu(np.array([-1.0, 2.0, 9.0]), max_value=6.0))
        [-0.  2.  6.]
    """
    x = jnp.asarray(x)
    above = x if max_value is None else jnp.minimum(x, max_value)
    return jnp.where(x > threshold, above, alpha * (x - threshold))


def l2_normalize(x: TensorLike, axis: Any = None) -> jax.Array:
    """`x` divided by its Euclidean norm along an axis, or of all elements.

    Args:
        x: Array.
        axis: The axis.

    Example:
        >>> print(np.array(keras.backend.l2_normalize(np.array([3.0, 4.0]))).round(2))
        [0.6 0.8]
    """
    axis = tuple(range(len(x.shape))) if axis is None else axis
    return ops.normalize(x, axis, epsilon=1e-6)


def batch_normalization(
    x: TensorLike,
    mean: TensorLike,
    var: TensorLike,
    beta: TensorLike,
    gamma: TensorLike,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> jax.Array:
    """`(x - mean) / sqrt(var + epsilon) * gamma + beta`.

    Args:
        x: Array.
        mean: Mean.
        var: Variance.
        beta: Added at the end.
        gamma: Factor.
        axis: The axis.
        epsilon: Added to the variance.

    Example:
        >>> y = keras.backend.batch_normalization(np.ones((1, 1)), 0.0, 1.0, 0.0, 2.0)
        >>> print(np.array(y).round(2))
        [[2.]]
    """
    return ops.batch_normalization(x, mean, var, axis, beta, gamma, epsilon)


@symbolic
def bias_add(x: TensorLike, bias: TensorLike, data_format: str | None = None) -> jax.Array:
    """`x + bias`, the bias being one number per channel, or one array of the images' shape.

    Args:
        x: Array.
        bias: One number for each channel, or one array for each sample.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Example:
        >>> print(keras.backend.bias_add(np.zeros((1, 2)), np.array([1.0, 2.0])))
        [[1. 2.]]
    """
    x, bias = jnp.asarray(x), jnp.asarray(bias)
    if bias.ndim not in (1, x.ndim - 1):
        raise bad_argument("bias_add", "bias", f"of 1 or {x.ndim - 1} axes", bias.shape)
    bias = bias.reshape((1,) * (x.ndim - 1 - bias.ndim) + bias.shape)
    first = settings.standardize_data_format(data_format) == "channels_first"
    return x + (jnp.moveaxis(bias, -1, 0) if first else bias)


@symbolic
def dot(x: TensorLike, y: TensorLike) -> jax.Array:
    """The matrix product; of more than 2 axes, the last of `x` with the last but one of `y`.

    Args:
        x: Array.
        y: Array.

    Example:
        >>> print(keras.backend.dot(np.ones((1, 2)), np.ones((2, 1))))
        [[2.]]
    """
    return jnp.dot(jnp.asarray(x), jnp.asarray(y))


@symbolic
def batch_dot(x: TensorLike, y: TensorLike, axes: Any = None) -> jax.Array:
    """The sum of products over an axis of each, row by row of the batch.

    Args:
        x: Array of at least 2 axes, the first being the batch.
        y: Another, of the same batch.
        axes: Axis of `x` and axis of `y` to sum over, or one number for both; by default the
            last of `x` and the last but one of `y` (the last if it has only 2).

    Shapes:
        The other axes of `x`, then those of `y` without the batch; `(batch, 1)` if none is left.

    Example:
        >>> keras.backend.batch_dot(np.ones((5, 2, 3)), np.ones((5, 3, 4))).shape
        (5, 2, 4)
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    axes = (-1, -1 if y.ndim == 2 else -2) if axes is None else axes
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % x.ndim, second % y.ndim
    if x.ndim < 2 or y.ndim < 2 or 0 in (first, second):
        raise bad_argument("batch_dot", "axes", "other than the batch's, 0", axes)
    letters = iter("acdefghijklmnopqrstuvwxyz")
    left = ["b"] + [next(letters) for _ in range(x.ndim - 1)]
    right = ["b"] + [next(letters) for _ in range(y.ndim - 1)]
    right[second] = left[first]
    kept = [n for n in left + right[1:] if n != left[first]]
    result = jnp.einsum(f"{''.join(left)},{''.join(right)}->{''.join(kept)}", x, y)
    return result[:, None] if result.ndim == 1 else result


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two expressions: values or functions by one condition, values by one for each row.

    Args:
        condition: Boolean, or array of them.
        then_expression: Value or function without arguments.
        else_expression: The same, for where it does not hold.

    Example:
        >>> print(keras.backend.switch(np.array(True), 1, 2))
        1
    """
    chosen: list[Any] = [e() if callable(e) else e for e in (then_expression, else_expression)]
    if ops.ndim(condition) == 0 and callable(then_expression) and callable(else_expression):
        return ops.cond(condition, then_expression, else_expression)
    missing = ops.ndim(chosen[0]) - ops.ndim(condition)
    condition = ops.reshape(condition, (*ops.shape(condition), *(1,) * missing))
    return ops.where(condition, *chosen)


def map_fn(
    fn: Callable, elems: Any, name: str | None = None, dtype: DTypeLike | None = None
) -> Any:
    """`fn` of each row.

    Args:
        fn: Function of a row.
        elems: Array of rows.
        name: Name of the result; of Variables only where one is made.
        dtype: Name of the type.

    Example:
        >>> print(keras.backend.map_fn(lambda row: row.sum(), np.ones((2, 3))))
        [3. 3.]
    """
    return ops.map(fn, elems)


def foldl(fn: Callable, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """`fn(so far, row)` over the rows, from the first to the last.

    Args:
        fn: Function of the result so far and a row.
        elems: Array of rows.
        initializer: What stands before the first row; by default the first row itself.
        name: Name of the result; of Variables only where one is made.

    Example:
        >>> print(keras.backend.foldl(lambda total, row: total + row, np.array([1, 2, 3])))
        6
    """
    start, rest = (elems[0], elems[1:]) if initializer is None else (initializer, elems)
    return ops.scan(lambda so_far, x: (fn(so_far, x), None), start, rest)[0]


def foldr(fn: Callable, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """`fn(so far, row)` over the rows, from the last to the first.

    Args:
        fn: Function of the result so far and a row.
        elems: Array of rows.
        initializer: What stands before the first row; by default the first row itself.
        name: Name of the result; of Variables only where one is made.

    Example:
        >>> print(keras.backend.foldr(lambda total, row: total - row, np.array([1, 2, 3])))
        0
    """
    return foldl(fn, ops.flip(elems, 0), initializer)


def pool2d(
    x: TensorLike,
    pool_size: Sequence[int],
    strides: Sequence[int] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> jax.Array:
    """The largest element (`"max"`) or mean (`"avg"`) of each window of images.

    Args:
        x: Images.
        pool_size: Size of the window, for all axes or each.
        strides: Steps from one window to the next, for all axes or each.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.
        pool_mode: `"max"` or `"avg"`.

    Example:
        >>> keras.backend.pool2d(np.ones((1, 4, 4, 1)), (2, 2), (2, 2)).shape
        (1, 2, 2, 1)
    """
    if pool_mode not in ("max", "avg"):
        raise bad_argument("pool2d", "pool_mode", "'max' or 'avg'", pool_mode)
    pool = ops.max_pool if pool_mode == "max" else ops.average_pool
    return pool(x, pool_size, strides, padding, data_format)


def pool3d(
    x: TensorLike,
    pool_size: Sequence[int],
    strides: Sequence[int] = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> jax.Array:
    """As `pool2d`, of volumes.

    Args:
        x: Volumes.
        pool_size: Size of the window, for all axes or each.
        strides: Steps from one window to the next, for all axes or each.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.
        pool_mode: `"max"` or `"avg"`.

    Example:
        >>> keras.backend.pool3d(np.ones((1, 4, 4, 4, 1)), (2, 2, 2), (2, 2, 2)).shape
        (1, 2, 2, 2, 1)
    """
    return pool2d(x, pool_size, strides, padding, data_format, pool_mode)


def temporal_padding(x: TensorLike, padding: Sequence[int] = (1, 1)) -> jax.Array:
    """With zeros before and after along axis 1.

    Args:
        x: Array.
        padding: Zeros before and after.

    Example:
        >>> keras.backend.temporal_padding(np.ones((1, 4, 2))).shape
        (1, 6, 2)
    """
    return ops.pad(x, ((0, 0), tuple(padding), (0, 0)))


def spatial_2d_padding(
    x: TensorLike, padding: Sequence = ((1, 1), (1, 1)), data_format: str | None = None
) -> jax.Array:
    """With zeros around images.

    Args:
        x: Images.
        padding: Zeros before and after, along each axis.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Example:
        >>> keras.backend.spatial_2d_padding(np.ones((1, 4, 4, 1))).shape
        (1, 6, 6, 1)
    """
    return _pad_space(x, padding, data_format)


def spatial_3d_padding(
    x: TensorLike, padding: Sequence = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None
) -> jax.Array:
    """With zeros around volumes.

    Args:
        x: Volumes.
        padding: Zeros before and after, along each axis.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Example:
        >>> keras.backend.spatial_3d_padding(np.ones((1, 4, 4, 4, 1))).shape
        (1, 6, 6, 6, 1)
    """
    return _pad_space(x, padding, data_format)


def _pad_space(x, padding, data_format):
    last = settings.standardize_data_format(data_format) == "channels_last"
    padding = [tuple(each) for each in padding]
    none = (0, 0)
    return ops.pad(x, [none, *padding, none] if last else [none, none, *padding])


def resize_images(
    x: TensorLike,
    height_factor: int,
    width_factor: int,
    data_format: str | None,
    interpolation: str = "nearest",
) -> jax.Array:
    """Images so many times as high and as wide.

    Args:
        x: Images.
        height_factor: How many times as high.
        width_factor: How many times as wide.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.
        interpolation: `"bilinear"` or `"nearest"`.

    Example:
        >>> keras.backend.resize_images(np.ones((1, 2, 2, 1)), 2, 3, "channels_last").shape
        (1, 4, 6, 1)
    """
    rows = 1 if data_format == "channels_last" else 2
    size = x.shape[rows] * height_factor, x.shape[rows + 1] * width_factor
    return ops.image.resize(x, size, interpolation, data_format=data_format)


def resize_volumes(
    x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None
) -> jax.Array:
    """Volumes with each element so many times along each axis.

    Args:
        x: Volumes.
        depth_factor: How many times as deep.
        height_factor: How many times as high.
        width_factor: How many times as wide.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Example:
        >>> keras.backend.resize_volumes(np.ones((1, 2, 2, 2, 1)), 2, 2, 3, "channels_last").shape
        (1, 4, 4, 6, 1)
    """
    first = 1 if data_format == "channels_last" else 2
    for axis, factor in enumerate((depth_factor, height_factor, width_factor), first):
        x = ops.repeat(x, factor, axis)
    return x


# -- variables


def variable(
    value: Any, dtype: DTypeLike | None = None, name: str | None = None, constraint: Any = None
) -> Variable:
    """A Variable that starts with a value.

    Args:
        value: Its initial value.
        dtype: Name of the type.
        name: Name of the Variable.
        constraint: Constraint on its value.

    Example:
        >>> keras.backend.variable([1.0, 2.0]).shape
        (2,)
    """
    made = Variable(value, dtype=dtype or floatx(), name=name)
    made.constraint = constraint
    return made


def constant(
    value: Any, dtype: DTypeLike | None = None, shape: Any = None, name: str | None = None
) -> Any:
    """An array of a value, spread over a shape if one is given.

    Args:
        value: The value.
        dtype: Name of the type.
        shape: Sizes of the axes.
        name: Name of the result; of Variables only where one is made.

    Example:
        >>> print(keras.backend.constant(3.0, shape=(2,)))
        [3. 3.]
    """
    array = ops.convert_to_tensor(value, dtype or floatx())
    return array if shape is None else ops.broadcast_to(array, shape)


def zeros(shape: Any, dtype: DTypeLike | None = None, name: str | None = None) -> Variable:
    """A Variable of zeros.

    Args:
        shape: Sizes of the axes.
        dtype: Name of the type.
        name: Name of the Variable.

    Example:
        >>> keras.backend.zeros((2, 3)).shape
        (2, 3)
    """
    return variable(np.zeros(shape, "float32"), dtype, name)


def ones(shape: Any, dtype: DTypeLike | None = None, name: str | None = None) -> Variable:
    """A Variable of ones.

    Args:
        shape: Sizes of the axes.
        dtype: Name of the type.
        name: Name of the Variable.

    Example:
        >>> keras.backend.ones((2, 3)).shape
        (2, 3)
    """
    return variable(np.ones(shape, "float32"), dtype, name)


def eye(size: int, dtype: DTypeLike | None = None, name: str | None = None) -> Variable:
    """A Variable with ones on the diagonal of a square matrix.

    Args:
        size: Number of rows and columns.
        dtype: Name of the type.
        name: Name of the Variable.

    Example:
        >>> keras.backend.eye(2).shape
        (2, 2)
    """
    return variable(np.eye(size), dtype, name)


def random_normal_variable(
    shape: Any,
    mean: float,
    scale: float,
    dtype: DTypeLike | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Variable:
    """A Variable of draws from a normal distribution.

    Args:
        shape: Sizes of the axes.
        mean: Mean.
        scale: Standard deviation.
        dtype: Name of the type.
        name: Name of the Variable.
        seed: Integer, or `None` for the global generator.

    Example:
        >>> keras.backend.random_normal_variable((2, 3), 0.0, 1.0).shape
        (2, 3)
    """
    return variable(random.normal(shape, mean, scale, dtype, seed), dtype, name)


def random_uniform_variable(
    shape: Any,
    low: float,
    high: float,
    dtype: DTypeLike | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Variable:
    """A Variable of draws from a uniform distribution.

    Args:
        shape: Sizes of the axes.
        low: Lower end.
        high: Upper end.
        dtype: Name of the type.
        name: Name of the Variable.
        seed: Integer, or `None` for the global generator.

    Example:
        >>> keras.backend.random_uniform_variable((2, 3), 0.0, 1.0).shape
        (2, 3)
    """
    return variable(random.uniform(shape, low, high, dtype, seed), dtype, name)


def random_bernoulli(
    shape: Any, p: float = 0.0, dtype: DTypeLike | None = None, seed: int | None = None
) -> jax.Array:
    """Ones with probability `p`, else zeros.

    Args:
        shape: Sizes of the axes.
        p: Probability of 1.
        dtype: Name of the type.
        seed: Integer, or `None` for the global generator.

    Example:
        >>> print(keras.backend.random_bernoulli((2,), p=1.0))
        [1. 1.]
    """
    return ops.cast(random.uniform(shape, seed=seed) < p, dtype or floatx())


def get_value(x: Any) -> Any:
    """A NumPy copy of the value.

    Args:
        x: Array.

    Example:
        >>> keras.backend.get_value(keras.Variable([1.0]))
        array([1.], dtype=float32)
    """
    return np.array(x)


eval = get_value


def set_value(x: Any, value: Any) -> None:
    """Let a Variable hold another value.

    Args:
        x: Variable.
        value: The new value.

    Example:
        >>> x = keras.Variable(1.0)
        >>> keras.backend.set_value(x, 2.0)
        >>> float(x)
        2.0
    """
    x.assign(value)


def batch_get_value(tensors: Sequence) -> list:
    """NumPy copies of several values.

    Args:
        tensors: List of arrays.

    Example:
        >>> keras.backend.batch_get_value([keras.Variable(1.0)])
        [array(1., dtype=float32)]
    """
    return [get_value(x) for x in tensors]


def batch_set_value(tuples: Sequence) -> None:
    """Let each Variable of `(variable, value)` pairs hold that value.

    Args:
        tuples: Pairs of Variable and value.

    Example:
        >>> x = keras.Variable(1.0)
        >>> keras.backend.batch_set_value([(x, 2.0)])
        >>> float(x)
        2.0
    """
    for x, value in tuples:
        x.assign(value)


def update(x: Any, new_x: Any) -> Any:
    """Let a Variable hold another value.

    Args:
        x: Variable.
        new_x: The new value.

    Example:
        >>> x = keras.Variable(1.0)
        >>> float(keras.backend.update(x, 2.0))
        2.0
    """
    return x.assign(new_x)


def update_add(x: Any, increment: Any) -> Any:
    """Add to a Variable.

    Args:
        x: Variable.
        increment: What is added.

    Example:
        >>> x = keras.Variable(1.0)
        >>> float(keras.backend.update_add(x, 2.0))
        3.0
    """
    return x.assign_add(ops.convert_to_tensor(increment))


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtract from a Variable.

    Args:
        x: Variable.
        decrement: What is subtracted.

    Example:
        >>> x = keras.Variable(3.0)
        >>> float(keras.backend.update_sub(x, 2.0))
        1.0
    """
    return x.assign_sub(ops.convert_to_tensor(decrement))


def moving_average_update(x: Any, value: Any, momentum: Any) -> Any:
    """Let a Variable hold `momentum * x + (1 - momentum) * value`.

    Args:
        x: Variable.
        value: The new value.
        momentum: How much of the old value stays.

    Example:
        >>> x = keras.Variable(1.0)
        >>> float(keras.backend.moving_average_update(x, 3.0, 0.5))
        2.0
    """
    return x.assign(x * momentum + value * (1 - momentum))


def count_params(x: Any) -> int:
    """Number of elements.

    Args:
        x: Array.

    Example:
        >>> int(keras.backend.count_params(np.ones((2, 3))))
        6
    """
    return math.prod(x.shape)


# -- the session that is no more


def is_int_dtype(dtype: DTypeLike) -> bool:
    """Whether a dtype is an integer type.

    Args:
        dtype: Name of the type.

    Example:
        >>> keras.backend.is_int_dtype("int32")
        True
    """
    return jnp.issubdtype(standardize_dtype(dtype), jnp.integer)


_uids: Counter = Counter()


def get_uid(prefix: str = "") -> int:
    """A number that counts calls with this prefix, from 1.

    Args:
        prefix: Any string.

    Example:
        >>> keras.backend.get_uid("some_prefix")
        1
    """
    _uids[prefix] += 1
    return _uids[prefix]


def clear_session(free_memory: bool = True) -> None:
    """Start names anew and let go of compiled programs no one uses.

    Args:
        free_memory: Whether to run the garbage collector too.

    Example:
        >>> _ = keras.layers.Dense(1)
        >>> keras.backend.clear_session()
        >>> keras.layers.Dense(1).name
        'dense'
    """
    names.clear_names()
    _uids.clear()
    if free_memory:
        jax.clear_caches()
