"""JAX's transformations over functions that read and write Variables."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core import dtypes, partitioning
from kerasish.core.dict_order import in_order
from kerasish.core.state.functional import capture
from kerasish.core.state.scope import Scope, store
from kerasish.core.state.variable import is_variable, values_of


def isolate(fn: Callable, ordered: bool = True) -> tuple[Callable, Callable]:
    """Split a function in two: one without side effects, and one that replays them afterwards.

    Args:
        fn: Function that may write Variables.
        ordered: Whether dicts in its result keep their order; else they are those that pytrees of
            options for JAX, such as `out_axes`, are matched with.

    Returns:
        `(run, replay)`. `run(*args) -> (result, effects)` reads Variables as they are but writes
        only into `effects`, arrays that may leave a JAX trace. `replay(effects)` then writes them
        where it is called.
    """
    seen: list = [[], None]

    def run(*args, **kwargs):
        with Scope() as scope:
            result = values_of(fn(*args, **kwargs))
        notes, seen[1] = jax.tree.flatten(list(scope.notes.values()))
        seen[0] = [list(scope.written), list(scope.notes)]
        return in_order(result) if ordered else result, (
            [scope.values[v] for v in scope.written],
            notes,
        )

    def replay(effects):
        values, notes = effects
        for variable, value in zip(seen[0][0], values, strict=True):
            variable.assign(value)
        for key, items in zip(seen[0][1], jax.tree.unflatten(seen[1], notes), strict=True):
            key.replay(items)

    return run, replay


def value_and_grad(
    fn: Callable, variables: Any = None, has_aux: bool = False, argnums: Any = 0
) -> Callable:
    """Make a function that returns `fn`'s value and its gradients.

    Args:
        fn: Function of any arguments that returns a scalar, or `(scalar, anything)` with
            `has_aux`. It may read and write Variables.
        variables: Variables to differentiate by, in any pytree of lists, tuples and dicts;
            the gradients come as the same pytree. `None` differentiates by arguments, as JAX does.
        has_aux: Whether `fn` returns something besides the scalar.
        argnums: Position or positions of the arguments to differentiate by, without `variables`.

    Example:
        >>> w = keras.Variable([1.0, 2.0])
        >>> value_and_grad(lambda: (w * w).sum(), w)()
        (Array(5., dtype=float32), Array([2., 4.], dtype=float32))
    """

    def run(*args, **kwargs):
        given, tree = jax.tree.flatten(in_order(variables), is_leaf=is_variable)
        for target in given:
            if not is_variable(target):
                raise TypeError(f"value_and_grad: `variables` must hold Variables; got {target!r}.")
            if not dtypes.is_inexact(target.read().dtype):
                raise TypeError(
                    f"value_and_grad: Variable {target.path!r} is {target.dtype}; only floats have "
                    "gradients. Give `model.trainable_variables`, say."
                )
        targets = list(dict.fromkeys(given))

        def inner(values, *args):
            with Scope(zip(targets, values, strict=True)):
                (result, effects) = isolated(*args, **kwargs)
            loss, aux = result if has_aux else (result, None)
            return loss, (aux, effects)

        isolated, replay = isolate(fn)
        by = 0 if variables is not None else jax.tree.map(lambda n: n + (n >= 0), argnums)
        values = [v.read() for v in targets]
        inner = partitioning.regathering(inner)
        transformed = jax.value_and_grad(inner, argnums=by, has_aux=True)
        (loss, (aux, effects)), grads = transformed(values, *args)
        replay(effects)
        if variables is not None:
            of = dict(zip(targets, grads, strict=True))
            grads = jax.tree.unflatten(tree, [of[v] for v in given])
        return ((loss, aux) if has_aux else loss), grads

    return functools.wraps(fn)(run) if hasattr(fn, "__name__") else run


def grad(fn: Callable, variables: Any = None, has_aux: bool = False, argnums: Any = 0) -> Callable:
    """As `value_and_grad`, returning only the gradients (and the auxiliary value, if any).

    Args:
        fn: As in `value_and_grad`, as all arguments.
        variables: Variables to differentiate by.
        has_aux: Whether `fn` returns something besides the scalar.
        argnums: Positions of the arguments to differentiate by, without `variables`.

    Example:
        >>> float(grad(lambda x: x**3)(2.0))
        12.0
    """
    both = value_and_grad(fn, variables, has_aux, argnums)

    def run(*args, **kwargs):
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return run


def vmap(fn: Callable, in_axes: Any = 0, out_axes: Any = 0, **options: Any) -> Callable:
    """Map a function over an axis of its arguments; Variables are shared by all.

    A value assigned to a Variable inside must not depend on the mapped arguments: it would be one
    value for each element of the axis.

    Args:
        fn: Function of arrays.
        in_axes: Axis of each argument to map over; `None` for one that is shared.
        out_axes: Where the axis is in the results.
        **options: Other options of `jax.vmap`.

    Example:
        >>> scale = keras.Variable(2.0)
        >>> vmap(lambda x: x * scale)(np.arange(3.0))
        Array([0., 2., 4.], dtype=float32)
    """

    def run(*args, **kwargs):
        isolated, replay = isolate(fn, ordered=out_axes is None or isinstance(out_axes, int))
        try:
            mapped = jax.vmap(isolated, in_axes, (out_axes, None), **options)
            result, effects = mapped(*args, **kwargs)
        except ValueError as error:
            if "out_axes" in str(error) and "None" in str(error):
                raise ValueError(
                    "vmap: a Variable was assigned a value that differs along the mapped axis. "
                    "Return it from the function and assign what you need of it outside."
                ) from error
            raise
        replay(effects)
        return result

    return run


def remat(f: Callable, policy: Callable | None = None, prevent_cse: bool = True) -> Callable:
    """Forget what `f` computes on the way forward and compute it again for the gradient.

    Trades time for memory. `policy` says which values to keep: one of `jax.checkpoint_policies`.
    Arguments that are not arrays stay as they are.

    Args:
        f: The function.
        policy: Which values to keep: one of `jax.checkpoint_policies`.
        prevent_cse: Whether XLA is kept from undoing it; needless inside of `scan`.

    Example:
        >>> square = remat(lambda x: jnp.sin(x) ** 2)
        >>> float(keras.grad(square)(0.0))
        0.0
    """

    def run(*args, **kwargs):
        leaves, tree = jax.tree.flatten((in_order(args), kwargs))
        positions = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray)]

        def of_arrays(*arrays):
            filled = dict(enumerate(leaves)) | dict(zip(positions, arrays, strict=True))
            args, kwargs = jax.tree.unflatten(tree, list(filled.values()))
            return f(*args, **kwargs)

        isolated, replay = isolate(of_arrays)
        light = jax.checkpoint(isolated, policy=policy, prevent_cse=prevent_cse)
        result, effects = light(*(leaves[i] for i in positions))
        replay(effects)
        return result

    return functools.wraps(f)(run) if hasattr(f, "__name__") else run


def custom_gradient(f: Callable) -> Callable:
    """Give a function a gradient of your own.

    Args:
        f: Function of arrays that returns `(result, grad_fn)`. `grad_fn(upstream)` takes the
            gradient with respect to the result, a pytree like it (or `grad_fn(*upstream)`, or
            `grad_fn(upstream=upstream)`, as its signature asks) and returns one for each
            positional argument. Variables that `f` reads count as constants.

    Example:
        >>> @custom_gradient
        ... def log1pexp(x):
        ...     e = jnp.exp(x)
        ...     return jnp.log1p(e), lambda upstream: upstream * (1 - 1 / (1 + e))
        >>> float(grad(log1pexp)(100.0))
        1.0
    """

    @functools.wraps(f)
    def run(*args, **kwargs):
        seen = capture(lambda *args: f(*args, **kwargs)[0], *args)
        touched = [*seen.reads, *seen.written]

        @jax.custom_gradient
        def inner(values, *args):
            with Scope(zip(touched, values, strict=True)) as scope:
                result, grad_fn = f(*args, **kwargs)
                result = values_of(result)

            def backward(upstream):
                grads = _call_grad(grad_fn, upstream[0])
                each = isinstance(grads, tuple | list) and len(grads) == len(args)
                return (None, *(grads if each else (grads,)))

            return (result, [scope.values[v] for v in seen.written]), backward

        outputs: Any = inner([jax.lax.stop_gradient(v.read()) for v in touched], *args)
        result, values = outputs
        store(seen.written, values)
        return result

    return run


def _call_grad(grad_fn, upstream):
    bind = inspect.signature(grad_fn).bind
    ways = [((upstream,), {}), ((), {"upstream": upstream})]
    if isinstance(upstream, tuple | list):
        ways.insert(1, (tuple(upstream), {}))
    for args, kwargs in ways:
        try:
            bind(*args, **kwargs)
        except TypeError:
            continue
        return grad_fn(*args, **kwargs)
    raise TypeError(
        f"custom_gradient: the gradient function must take the upstream gradient; "
        f"its arguments are {inspect.signature(grad_fn)}."
    )
