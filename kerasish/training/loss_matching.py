"""The losses that `compile` was given, matched to the outputs, or to pytrees of them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kerasish.training.output_matching import Misfit, Outputs, children_of, refuse_unknown, walk


class MatchedLoss(NamedTuple):
    """A loss and what it is for.

    Attributes:
        path: Keys that lead to the output, or to the pytree of outputs that the loss takes as one.
        loss: As it was given.
        weight: Its weight in the sum; `None` for 1.
    """

    path: tuple
    loss: Any
    weight: Any


def match_losses(outputs: Outputs, loss: Any, loss_weights: Any = None) -> list[MatchedLoss]:
    """The losses in order, each with its output and its weight.

    One loss stands for every output. In a pytree like the outputs', a loss stands where its output
    does; one that stands where a pytree of outputs does takes them as one. A list where an output
    or a dict does, or one of another type than the outputs, adds up what it holds.

    Args:
        outputs: The outputs.
        loss: The losses.
        loss_weights: Numbers: in the structure of the losses, in their order, by output, or one for
            all.

    Raises:
        ValueError: If they do not fit each other.
    """
    if not is_nested(loss):
        losses = [MatchedLoss(path, loss, None) for path in outputs.paths if loss is not None]
    else:
        names = outputs.names if all(len(path) <= 1 for path in outputs.paths) else None
        try:
            losses = list(_spread(outputs.pytree, loss, (), names))
        except Misfit as misfit:
            raise ValueError(outputs.misfit("loss", misfit.given)) from None
    return [one for one in _weighted(outputs, loss, losses, loss_weights) if one.loss is not None]


def is_nested(given: Any) -> bool:
    """Whether there may be several losses in it; a loss as plain data is one.

    Args:
        given: What `compile` was given.
    """
    is_config = isinstance(given, Mapping) and "class_name" in given
    return isinstance(given, Mapping | list | tuple) and not is_config


def losses_in(given: Any) -> list:
    """All losses in what `compile` was given; `None` among them.

    Args:
        given: What `compile` was given.
    """
    return [one for _, one in walk(given, is_nested)]


def _spread(node, given, path, names=None) -> Iterator[MatchedLoss]:
    children = children_of(node)
    if not is_nested(given):
        yield MatchedLoss(path, given, None)
    elif isinstance(given, Mapping):
        yield from _spread_dict(node, children, given, path, names)
    elif _is_flat(given) and children is not None and len(given) == _size(node):
        for (inner, _), one in zip(walk(node), given, strict=True):
            yield MatchedLoss((*path, *inner), one, None)
    elif children is None or not isinstance(node, type(given)):
        for one in given:
            yield from _spread(node, one, path, names)
    elif len(given) == len(children):
        for (key, child), one in zip(children, given, strict=True):
            yield from _spread(child, one, (*path, key))
    else:
        raise Misfit(given)


def _spread_dict(node, children, given, path, names):
    if isinstance(node, Mapping):
        named = {key: ((*path, key), child) for key, child in children}
    elif names is not None and children is None:
        named = {names[0]: (path, node)}
    elif names is not None:
        rows = zip(names, children, strict=True)
        named = {name: ((*path, key), child) for name, (key, child) in rows}
    else:
        raise Misfit(given)
    refuse_unknown("loss", given, named)
    for key, (where, child) in named.items():
        if given.get(key) is not None:
            yield from _spread(child, given[key], where)


def _is_flat(given):
    return not any(map(is_nested, given))


def _size(node):
    return sum(1 for _ in walk(node))


def _weighted(outputs, loss, losses, weights):
    """The losses with their weights."""
    if weights is None or not isinstance(weights, Mapping | list | tuple):
        return [one._replace(weight=weights) for one in losses]
    given = [weight for _, weight in walk(weights)]
    present = [one for one in losses_in(loss) if one is not None]
    if is_nested(loss) and _paths(loss) == _paths(weights):
        found = [w for one, w in zip(losses_in(loss), given, strict=True) if one is not None]
    elif is_nested(loss) and not isinstance(weights, Mapping) and len(given) == len(present):
        found = given
    else:
        by_output = dict(zip(outputs.paths, outputs.match(weights, "loss_weights"), strict=True))
        found = [by_output.get(one.path) for one in losses]
    in_order = [one for one in losses if one.loss is not None]
    if len(in_order) != len(found) or any(isinstance(w, list | tuple) for w in found):
        raise ValueError(outputs.misfit("loss_weights", weights))
    return [one._replace(weight=w) for one, w in zip(in_order, found, strict=True)]


def _paths(given):
    return [path for path, _ in walk(given, is_nested)]
