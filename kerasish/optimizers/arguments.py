"""What optimizers check of their arguments, and how signatures spell them out."""

import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from kerasish.core.errors import bad_argument, did_you_mean


def refuse_unknown(optimizer: Any, unknown: dict[str, Any], base: type) -> None:
    """Raise a `ValueError` about arguments that neither an optimizer nor its base knows.

    Args:
        optimizer: The optimizer.
        unknown: The arguments.
        base: The base class.
    """
    if unknown.pop("decay", None) is not None:
        warnings.warn(f"{optimizer.name}: `decay` is ignored; use a schedule.", stacklevel=5)
    for argument in unknown:
        known = (*parameters(type(optimizer).__init__), *parameters(base.__init__))
        meant = "learning_rate" if argument == "lr" else argument
        message = f"{optimizer.name}: does not know the argument `{argument}`."
        raise ValueError(f"{message} {did_you_mean(meant, known)}".rstrip())


def check_arguments(optimizer: Any) -> None:
    """Raise a `ValueError` about arguments of an optimizer that do not fit.

    Args:
        optimizer: The optimizer.
    """
    steps = optimizer.gradient_accumulation_steps
    if steps and (not isinstance(steps, int) or steps < 2):
        raise bad_argument(
            optimizer, "gradient_accumulation_steps", "an integer of at least 2, or None", steps
        )
    if optimizer.use_ema and not 0 <= optimizer.ema_momentum <= 1:
        raise bad_argument(optimizer, "ema_momentum", "from 0 to 1", optimizer.ema_momentum)
    frequency = optimizer.ema_overwrite_frequency
    if optimizer.use_ema and frequency and (not isinstance(frequency, int) or frequency < 1):
        raise bad_argument(
            optimizer, "ema_overwrite_frequency", "an integer of at least 1, or None", frequency
        )
    limits = {n: getattr(optimizer, n) for n in ("clipnorm", "clipvalue", "global_clipnorm")}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) > 1:
        raise bad_argument(optimizer, "clipnorm, clipvalue, global_clipnorm", "one at most", given)


def parameters(init: Callable) -> dict[str, inspect.Parameter]:
    """The arguments of a function by name.

    Args:
        init: The function.
    """
    return dict(inspect.signature(init).parameters)


def spelled_out(init: Callable, base: Callable) -> inspect.Signature:
    """The signature of `init`, its `**kwargs` replaced by the arguments of `base` they may be.

    Args:
        init: The function.
        base: Function of the arguments that `**kwargs` stands for.
    """
    own = parameters(init)
    if "learning_rate" in own and "kwargs" in own:
        del own["kwargs"]
        own |= {name: p for name, p in parameters(base).items() if name not in own}
    return inspect.Signature(list(own.values()))


def without_missing(owner: str, grads: Iterable, variables: Iterable) -> tuple[list, list]:
    """Gradients and their weights, of weights that have one; the others are warned of.

    Args:
        owner: The optimizer, for the error.
        grads: Gradients, `None` where there is none.
        variables: The weights.

    Raises:
        ValueError: If no weight has one.
    """
    pairs = list(zip(grads, variables, strict=True))
    found = [(g, v) for g, v in pairs if g is not None]
    if not found:
        raise ValueError(f"{owner}: No gradients provided for any variable.")
    missing = [v.path for g, v in pairs if g is None]
    if missing:
        warnings.warn(
            f"Gradients do not exist for variables {missing} when minimizing the loss. "
            "If using `model.compile()`, did you forget to provide a `loss` argument?",
            stacklevel=4,
        )
    return [g for g, _ in found], [v for _, v in found]


def fitting_state(owner: str, count: int, names: set[str], where: Any) -> list[str]:
    """See `Optimizer.fitting_state`, of an optimizer that has `count` variables.

    Args:
        owner: The optimizer, for the error.
        count: Number of its variables.
        names: Names of what the file holds.
        where: What is read, in words.
    """
    if not names and count:
        warnings.warn(f"{where} holds no optimizer state; the optimizer starts anew.", stacklevel=4)
        return []
    all_names = [str(i) for i in range(count)]
    if names == set(all_names) or (names <= {"0", "1"} and len(names) < count):
        return sorted(names, key=int)
    warnings.warn(
        f"Skipping variable loading for optimizer '{owner}': it has {count} "
        f"variables, {where} has {len(names)}. Build it with the same weights and arguments "
        "first.",
        stacklevel=4,
    )
    return []
