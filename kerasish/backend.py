"""`keras.backend`: the names of older Keras code, as a table over `ops`.

Write `ops` in new code. What has no meaning here is left out: graphs and sessions (`function`,
`gradients`), the learning phase (layers take `training`), sparse tensors.
"""

import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import ops, random
from kerasish.core import dtypes, names, settings
from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.keras_tensor import is_keras_tensor as is_keras_tensor
from kerasish.core.symbolic.operation import symbolic

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


def argmax(x, axis=-1):
    """The index of the largest entry along an axis."""
    return ops.argmax(x, axis)


def argmin(x, axis=-1):
    """The index of the least entry along an axis."""
    return ops.argmin(x, axis)


def arange(start, stop=None, step=1, dtype="int32"):
    """Numbers from `start` (0 if `stop` is not given) up to but without `stop`."""
    return ops.arange(start, stop, step, dtype)


def cumsum(x, axis=0):
    """Sums of all entries up to each, along an axis."""
    return ops.cumsum(x, axis)


def cumprod(x, axis=0):
    """Products of all entries up to each, along an axis."""
    return ops.cumprod(x, axis)


def clip(x, min_value, max_value):
    """Each entry moved into the range from `min_value` to `max_value`; `None` is no limit."""
    return ops.clip(x, min_value, max_value)


def concatenate(tensors, axis=-1):
    """Several arrays one after the other along an axis."""
    return ops.concatenate(tensors, axis)


def expand_dims(x, axis=-1):
    """With a new axis of size 1."""
    return ops.expand_dims(x, axis)


def permute_dimensions(x, pattern):
    """With axes in another order."""
    return ops.transpose(x, pattern)


def reverse(x, axes):
    """In reverse along axes."""
    return ops.flip(x, axes)


def gather(reference, indices):
    """The rows at indices."""
    return ops.take(reference, indices, 0)


def flatten(x):
    """All entries in one axis."""
    return ops.reshape(x, (-1,))


def batch_flatten(x):
    """All entries of each row in one axis."""
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def repeat(x, n):
    """`(batch, d)` to `(batch, n, d)`."""
    return ops.repeat(ops.expand_dims(x, 1), n, 1)


def repeat_elements(x, rep, axis):
    """Each entry `rep` times in a row along an axis."""
    return ops.repeat(x, rep, axis)


def in_top_k(predictions, targets, k):
    """Whether each target is among the `k` largest predictions."""
    return ops.in_top_k(targets, predictions, k)


def cast_to_floatx(x):
    """`x` in the global float type."""
    return ops.cast(x, floatx())


def hard_sigmoid(x):
    """`0.2 x + 0.5`, kept between 0 and 1 (Keras 2's: `ops` has another slope)."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@symbolic
def relu(x, alpha=0.0, max_value=None, threshold=0.0):
    """`x` above the threshold, at most `max_value`; `alpha * (x - threshold)` below."""
    x = jnp.asarray(x)
    above = x if max_value is None else jnp.minimum(x, max_value)
    return jnp.where(x > threshold, above, alpha * (x - threshold))


def l2_normalize(x, axis=None):
    """`x` divided by its Euclidean norm along an axis, or of all entries."""
    axis = tuple(range(len(x.shape))) if axis is None else axis
    return ops.normalize(x, axis, epsilon=1e-6)


def batch_normalization(x, mean, var, beta, gamma, axis=-1, epsilon=1e-3):
    """`(x - mean) / sqrt(var + epsilon) * gamma + beta`."""
    return ops.batch_normalization(x, mean, var, axis, beta, gamma, epsilon)


@symbolic
def bias_add(x, bias, data_format=None):
    """`x + bias`, the bias being one number per channel, or one array of the images' shape."""
    x, bias = jnp.asarray(x), jnp.asarray(bias)
    if bias.ndim not in (1, x.ndim - 1):
        raise bad_argument("bias_add", "bias", f"of 1 or {x.ndim - 1} axes", bias.shape)
    bias = bias.reshape((1,) * (x.ndim - 1 - bias.ndim) + bias.shape)
    first = settings.standardize_data_format(data_format) == "channels_first"
    return x + (jnp.moveaxis(bias, -1, 0) if first else bias)


@symbolic
def dot(x, y):
    """The matrix product; of more than 2 axes, the last of `x` with the last but one of `y`."""
    return jnp.dot(jnp.asarray(x), jnp.asarray(y))


@symbolic
def batch_dot(x, y, axes=None):
    """The sum of products over an axis of each, row by row of the batch.

    Args:
        x, y: Arrays of at least 2 axes, the first being the batch.
        axes: Axis of `x` and axis of `y` to sum over, or one number for both; by default the
            last of `x` and the last but one of `y` (the last if it has only 2).

    Shapes:
        The other axes of `x`, then those of `y` without the batch; `(batch, 1)` if none is left.
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


def switch(condition, then_expression, else_expression):
    """One of two expressions: values or functions by one condition, values by one for each row."""
    chosen = [e() if callable(e) else e for e in (then_expression, else_expression)]
    if ops.ndim(condition) == 0 and callable(then_expression) and callable(else_expression):
        return ops.cond(condition, then_expression, else_expression)
    missing = ops.ndim(chosen[0]) - ops.ndim(condition)
    condition = ops.reshape(condition, (*ops.shape(condition), *(1,) * missing))
    return ops.where(condition, *chosen)


def map_fn(fn, elems, name=None, dtype=None):
    """`fn` of each row."""
    return ops.map(fn, elems)


def foldl(fn, elems, initializer=None, name=None):
    """`fn(so far, row)` over the rows, from the first to the last."""
    start, rest = (elems[0], elems[1:]) if initializer is None else (initializer, elems)
    return ops.scan(lambda so_far, x: (fn(so_far, x), None), start, rest)[0]


def foldr(fn, elems, initializer=None, name=None):
    """`fn(so far, row)` over the rows, from the last to the first."""
    return foldl(fn, ops.flip(elems, 0), initializer)


def pool2d(x, pool_size, strides=(1, 1), padding="valid", data_format=None, pool_mode="max"):
    """The largest entry (`"max"`) or mean (`"avg"`) of each window of images."""
    if pool_mode not in ("max", "avg"):
        raise bad_argument("pool2d", "pool_mode", "'max' or 'avg'", pool_mode)
    pool = ops.max_pool if pool_mode == "max" else ops.average_pool
    return pool(x, pool_size, strides, padding, data_format)


def pool3d(x, pool_size, strides=(1, 1, 1), padding="valid", data_format=None, pool_mode="max"):
    """As `pool2d`, of volumes."""
    return pool2d(x, pool_size, strides, padding, data_format, pool_mode)


def temporal_padding(x, padding=(1, 1)):
    """With zeros before and after along axis 1."""
    return ops.pad(x, ((0, 0), tuple(padding), (0, 0)))


def spatial_2d_padding(x, padding=((1, 1), (1, 1)), data_format=None):
    """With zeros around images."""
    return _pad_space(x, padding, data_format)


def spatial_3d_padding(x, padding=((1, 1), (1, 1), (1, 1)), data_format=None):
    """With zeros around volumes."""
    return _pad_space(x, padding, data_format)


def _pad_space(x, padding, data_format):
    last = settings.standardize_data_format(data_format) == "channels_last"
    padding = [tuple(each) for each in padding]
    none = (0, 0)
    return ops.pad(x, [none, *padding, none] if last else [none, none, *padding])


def resize_images(x, height_factor, width_factor, data_format, interpolation="nearest"):
    """Images so many times as high and as wide."""
    rows = 1 if data_format == "channels_last" else 2
    size = x.shape[rows] * height_factor, x.shape[rows + 1] * width_factor
    return ops.image.resize(x, size, interpolation, data_format=data_format)


def resize_volumes(x, depth_factor, height_factor, width_factor, data_format):
    """Volumes with each entry so many times along each axis."""
    first = 1 if data_format == "channels_last" else 2
    for axis, factor in enumerate((depth_factor, height_factor, width_factor), first):
        x = ops.repeat(x, factor, axis)
    return x


# -- variables


def variable(value, dtype=None, name=None, constraint=None):
    """A Variable that starts with a value."""
    made = Variable(value, dtype=dtype or floatx(), name=name)
    made.constraint = constraint
    return made


def constant(value, dtype=None, shape=None, name=None):
    """An array of a value, spread over a shape if one is given."""
    array = ops.convert_to_tensor(value, dtype or floatx())
    return array if shape is None else ops.broadcast_to(array, shape)


def zeros(shape, dtype=None, name=None):
    """A Variable of zeros."""
    return variable(np.zeros(shape, "float32"), dtype, name)


def ones(shape, dtype=None, name=None):
    """A Variable of ones."""
    return variable(np.ones(shape, "float32"), dtype, name)


def eye(size, dtype=None, name=None):
    """A Variable with ones on the diagonal of a square matrix."""
    return variable(np.eye(size), dtype, name)


def random_normal_variable(shape, mean, scale, dtype=None, name=None, seed=None):
    """A Variable of draws from a normal distribution."""
    return variable(random.normal(shape, mean, scale, dtype, seed), dtype, name)


def random_uniform_variable(shape, low, high, dtype=None, name=None, seed=None):
    """A Variable of draws from a uniform distribution."""
    return variable(random.uniform(shape, low, high, dtype, seed), dtype, name)


def random_bernoulli(shape, p=0.0, dtype=None, seed=None):
    """Ones with probability `p`, else zeros."""
    return ops.cast(random.uniform(shape, seed=seed) < p, dtype or floatx())


def get_value(x):
    """A NumPy copy of the value."""
    return np.array(x)


eval = get_value


def set_value(x, value):
    """Let a Variable hold another value."""
    x.assign(value)


def batch_get_value(tensors):
    """NumPy copies of several values."""
    return [get_value(x) for x in tensors]


def batch_set_value(tuples):
    """Let each Variable of `(variable, value)` pairs hold that value."""
    for x, value in tuples:
        x.assign(value)


def update(x, new_x):
    """Let a Variable hold another value."""
    return x.assign(new_x)


def update_add(x, increment):
    """Add to a Variable."""
    return x.assign_add(ops.convert_to_tensor(increment))


def update_sub(x, decrement):
    """Subtract from a Variable."""
    return x.assign_sub(ops.convert_to_tensor(decrement))


def moving_average_update(x, value, momentum):
    """Let a Variable hold `momentum * x + (1 - momentum) * value`."""
    return x.assign(x * momentum + value * (1 - momentum))


def count_params(x):
    """Number of entries."""
    return math.prod(x.shape)


# -- the session that is no more


def is_int_dtype(dtype) -> bool:
    """Whether a dtype is an integer type."""
    return jnp.issubdtype(standardize_dtype(dtype), jnp.integer)


_uids: Counter = Counter()


def get_uid(prefix="") -> int:
    """A number that counts calls with this prefix, from 1."""
    _uids[prefix] += 1
    return _uids[prefix]


def clear_session(free_memory=True) -> None:
    """Start names anew and let go of compiled programs no one uses."""
    names.clear_names()
    _uids.clear()
    if free_memory:
        jax.clear_caches()
