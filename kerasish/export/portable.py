"""Programs for other runtimes: a model's inference in few, plain primitives, any batch size.

`trace` gives the program in its portable form. Platform-dependent code takes its default branch,
calls are inlined, what depends on nothing but weights is computed at once, 16-bit floats are
widened, and primitives that runtimes know in part only are written with plainer ones, by `RULES`.
"""

import contextvars
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex

from kerasish.core.lowering import portable_form
from kerasish.export import complex_numbers
from kerasish.export.complex_numbers import Pair, has_complex, pair_of
from kerasish.export.rules import RULES, is_concrete, rule, widened, widened_params

_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_lin": "jaxpr",
}
# Rules of one format, before those of all.
_of_format: contextvars.ContextVar[Mapping[str, Callable]] = contextvars.ContextVar(
    "rules of a format"
)
_LARGE = 1 << 16  # elements: larger results are computed ahead only if they are no larger than x


def trace(fn: Callable, specs: Sequence[jax.ShapeDtypeStruct]) -> Any:
    """The closed jaxpr of `fn` in the portable form.

    Args:
        fn: A pure function of arrays.
        specs: Their shapes, with symbols for sizes that vary.
    """
    for spec in specs:
        if jnp.issubdtype(spec.dtype, jnp.complexfloating):
            raise ValueError("export: inputs are complex numbers, which this format cannot hold.")
    with portable_form():
        closed = jax.make_jaxpr(fn)(*specs)
        wide = [jax.ShapeDtypeStruct(s.shape, widened(s.dtype)) for s in specs]
        plain = jax.make_jaxpr(as_function(closed))(*wide)
        # Once more, to compute what rules do to weights only.
        return jax.make_jaxpr(as_function(plain))(*wide)


def portable(fn: Callable, rules: Mapping[str, Callable]) -> Callable:
    """`fn` in the portable form, for whoever traces it, with sizes or symbols of theirs.

    Args:
        fn: The function.
        rules: The format's own, which come before those of all.
    """

    def run(*arrays):
        specs = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays]
        token = _of_format.set(rules)
        try:
            with portable_form():
                return as_function(jax.make_jaxpr(fn)(*specs))(*arrays)
        finally:
            _of_format.reset(token)

    return run


def not_portable(equation: Any, why: str) -> ValueError:
    """The error for what has no portable form: it names the layer.

    Args:
        equation: The equation of a jaxpr.
        why: What stands against it.
    """
    where = str(equation.source_info.name_stack).split("/")
    layers = [part for part in where if part not in ("", "model")]
    layer = f"layer {'/'.join(layers)!r}" if layers else "the model's own code"
    return ValueError(
        f"export: {layer} computes `{equation.primitive.name}`, which this format cannot hold: "
        f"{why.rstrip('.')}. Export to 'stablehlo', or compute it in another way."
    )


def as_function(closed: Any) -> Callable:
    """A function that computes what a closed jaxpr does, in the portable form.

    Args:
        closed: The jaxpr.
    """

    def run(*args):
        results = _evaluate(closed.jaxpr, closed.consts, args)
        if any(isinstance(result, Pair) for result in results):
            raise ValueError("export: outputs are complex numbers, which this format cannot hold.")
        return results

    return run


def _evaluate(jaxpr, consts, args):
    values: dict[Any, Any] = {}

    def read(atom):
        if isinstance(atom, jex.Literal):
            return _widened(atom.val)
        return values[atom]

    values.update(zip(jaxpr.constvars, map(_widened, consts), strict=True))
    values.update(zip(jaxpr.invars, args, strict=True))
    for equation in jaxpr.eqns:
        with jax.named_scope(_scope(equation)):
            results = _equation(equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _widened(value):
    dtype = getattr(value, "dtype", None)
    return value if dtype is None or widened(dtype) is dtype else value.astype(widened(dtype))


def _scope(equation):
    return str(equation.source_info.name_stack) or "model"


def _equation(equation, operands):
    name = equation.primitive.name
    if name in _CALLS:
        inner = equation.params[_CALLS[name]]
        return _evaluate(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands)
    if has_complex(equation):
        results = complex_numbers.apply(equation, [pair_of(x) for x in operands], _by_rules)
        if results is NotImplemented:
            raise not_portable(equation, "other runtimes have no complex numbers")
        return results
    if operands and is_concrete(*operands) and _is_small(equation, operands):
        with jax.ensure_compile_time_eval():
            return _bound(equation, operands)
    return _by_rules(equation, operands)


def _by_rules(equation, operands):
    name = equation.primitive.name
    for rules in (_of_format.get({}), RULES):
        results = rules[name](equation, *operands) if name in rules else NotImplemented
        if results is not NotImplemented:
            return results if isinstance(results, list | tuple) else [results]
    return _bound(equation, operands)


def _is_small(equation, operands):
    """Whether what depends on weights only shall be computed now, not in the program."""
    shapes = [variable.aval.shape for variable in equation.outvars]
    if not all(isinstance(n, int) for shape in shapes for n in shape):
        return False
    given = max(np.size(x) for x in operands)
    return all(np.prod(shape) <= max(given, _LARGE) for shape in shapes)


def _bound(equation, operands):
    results = equation.primitive.bind(*operands, **widened_params(equation.params))
    return results if equation.primitive.multiple_results else [results]


def _inner(closed):
    """A closed jaxpr in the portable form, of the same arguments."""
    avals = [v.aval for v in closed.jaxpr.invars]
    specs = [jax.ShapeDtypeStruct(aval.shape, widened(aval.dtype)) for aval in avals]
    return jax.make_jaxpr(as_function(closed))(*specs)


@rule("scan")
def _scan(equation, *operands):
    """Forward only; a scan backwards is one forwards over what has been reversed."""
    params = dict(equation.params)
    params["jaxpr"] = _inner(params["jaxpr"])
    backwards, params["reverse"] = params["reverse"], False
    first = params["num_consts"] + params["num_carry"]
    if backwards:
        operands = [*operands[:first], *(jnp.flip(x, 0) for x in operands[first:])]
    results = equation.primitive.bind(*operands, **params)
    if not backwards:
        return results
    carried = params["num_carry"]
    return [*results[:carried], *(jnp.flip(x, 0) for x in results[carried:])]


@rule("while")
def _while(equation, *operands):
    params = dict(equation.params)
    for name in ("cond_jaxpr", "body_jaxpr"):
        params[name] = _inner(params[name])
    return equation.primitive.bind(*operands, **params)


@rule("cond")
def _cond(equation, *operands):
    params = dict(equation.params)
    params["branches"] = tuple(_inner(branch) for branch in params["branches"])
    return equation.primitive.bind(*operands, **params)
