"""What users give for several outputs, matched to the outputs by name or by order."""

import functools
import itertools
import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kerasish.core.errors import did_you_mean


class Outputs:
    """A model's outputs in one order, with what each is called.

    Dicts are in the order of their sorted keys, as JAX and Keras flatten them; `OrderedDict`s in
    their own.

    Args:
        y_pred: One output, or a pytree of dicts, lists and tuples of them.
        names: The model's names of them in order, if it has any.

    Attributes:
        pytree: The outputs as they were given.
        leaves: The outputs in order.
        paths: Keys that lead to each.
        own_names: Names of the outputs themselves, with which those of their metrics begin: the
            keys of a plain dict of outputs, else the model's; `None` where there are none.
        names: What each is called in dicts by name and in errors: all the keys that lead to it.

    Example:
        >>> outputs = Outputs({"boxes": [1, 2], "kind": 3}, ["near", "far", "label"])
        >>> outputs.names
        ['boxes/near', 'boxes/far', 'kind']
        >>> outputs.match({"kind": "mse"}, "loss")
        [None, None, 'mse']
    """

    def __init__(self, y_pred: Any, names: Sequence[str] | None = None):
        found = list(walk(y_pred))
        self.pytree = y_pred
        self.paths = [path for path, _ in found]
        self.leaves = [leaf for _, leaf in found]
        self.own_names: list[str] | None = None
        if isinstance(y_pred, Mapping) and len(y_pred) == len(found):
            self.own_names = [str(path[0]) for path in self.paths]
        elif names is not None and len(names) == len(found):
            self.own_names = list(names)
        elif names and len(found) == 1:
            self.own_names = list(names)[:1]
        self.names = [self.log_name(i) for i in range(len(found))]

    def __len__(self) -> int:
        return len(self.leaves)

    def part_name(self, path: tuple, otherwise: str | None = None) -> str:
        """What the loss of an output, or of a pytree of outputs, is called.

        Args:
            path: Keys that lead to it.
            otherwise: What to put for an output without a name.
        """
        if path in self.paths:
            return self.log_name(self.paths.index(path), otherwise)
        inside = [str(key) for key in path] or self.own_names or [otherwise or "output"]
        return ("/" if path else "_").join(inside)

    def log_name(self, i: int, otherwise: str | None = None) -> str:
        """What the loss of an output is called: its path, with its own name in place of a number.

        Args:
            i: Number of the output.
            otherwise: What to put for an output without a name; `None` for its number, from 1.
        """
        path = self.paths[i]
        if path and not isinstance(path[-1], int):
            return "/".join(map(str, path))
        number = f"_{path[-1] + 1}" if path else ""
        own = otherwise or f"output{number}" if self.own_names is None else self.own_names[i]
        return "/".join([*map(str, path[:-1]), own])

    def without_values(self) -> "Outputs":
        """The same, without the outputs' values."""
        return Outputs(self.pack([None] * len(self)), self.own_names)

    def match(self, given: Any, what: str, for_all: bool = False) -> list:
        """What `compile` was given for each output.

        Args:
            given: A dict by name, a list in order, a pytree of these like the outputs, or one thing
                for all. What stands for an output may be a list itself.
            what: What it is, for the error: "loss".
            for_all: Whether one thing stands for every output.

        Raises:
            ValueError: It names an output that there is not, or its length is another.
        """
        try:
            return self._spread(given, for_all, functools.partial(refuse_unknown, what))
        except Misfit as misfit:
            raise ValueError(self.misfit(what, misfit.given)) from None

    def misfit(self, what: str, given: Any) -> str:
        """What to say of something whose structure is not that of the outputs.

        Args:
            what: What it is: "loss".
            given: The part of it that does not fit.
        """
        got = len(given) if isinstance(given, list | tuple) else f"one {type(given).__name__}"
        count = "the output" if len(self) == 1 else f"each of the {len(self)} outputs"
        return f"compile: `{what}` must have one element for {count} {self.names}; got {got}."

    def match_data(self, y: Any, what: str, needed: list[bool] | None = None) -> list:
        """Targets or weights of the outputs in order; `None` for those that have none.

        Args:
            y: One array, or a pytree of them as the outputs', by name or in order.
            what: The argument it came in, for the error.
            needed: Which outputs must have one: what is given may be for these only.

        Raises:
            ValueError: There are more or fewer than outputs.
        """
        if len(self) == 1 and not _names(self, y):
            # A loss of one's own may take a pytree of targets for one output.
            items = list(walk(y))
            return [items[0][1] if len(items) == 1 else y]
        try:
            return self._spread(y)
        except Misfit:
            pass
        items = [item for _, item in walk(y)]
        wanted = needed or [True] * len(self)
        if len(items) == sum(wanted):
            rest = iter(items)
            return [next(rest) if is_wanted else None for is_wanted in wanted]
        if len(self) == 1:
            return [y]
        got = len(y) if isinstance(y, list | tuple | dict) else "a single one"
        raise ValueError(
            f"`{what}` must hold one array for each of the outputs {self.names}; got {got}."
        )

    def pack(self, leaves: list) -> Any:
        """The pytree of the outputs with other leaves.

        Args:
            leaves: The new leaves, in order.
        """
        return _packed(self.pytree, iter(leaves))

    def match_weights(self, weights: Any) -> list:
        """Sample weights of the outputs in order: one array stands for all of them.

        Args:
            weights: One array, or a pytree of them as the outputs', or `None`.
        """
        if isinstance(weights, list | tuple | dict):
            return self.match_data(weights, "sample_weight")
        return [weights] * len(self)

    def _spread(self, given, for_all=False, check=None):
        """What was given, for each output in order; raises `Misfit`."""
        keys = self.own_names if all(len(path) <= 1 for path in self.paths) else None
        if children_of(self.pytree) is None:
            if isinstance(given, Mapping) and (check or _names(self, given)):
                known = keys or ["output"]
                if check:
                    check(given, known)
                return [given.get(known[0])]
            is_list_of_one = isinstance(given, list | tuple) and len(given) == 1
            return [given[0] if is_list_of_one else given]
        return _spread(self.pytree, given, for_all, check, keys)


class Misfit(Exception):
    """What was given has another structure than the outputs."""

    def __init__(self, given):
        super().__init__()
        self.given = given


def _names(outputs, given):
    """Whether a dict was given that names the only output."""
    own = outputs.own_names
    return isinstance(given, Mapping) and own is not None and own[0] in given


def _spread(node, given, for_all, check, names=None) -> list:
    children = children_of(node)
    if children is None:
        return [given]
    size = sum(1 for _ in walk(node))
    if given is None or (for_all and not isinstance(given, Mapping | list | tuple)):
        return [given] * size
    if isinstance(given, Mapping):
        keys = [key for key, _ in children] if isinstance(node, Mapping) else names
        if keys is None:
            raise Misfit(given)
        if check:
            check(given, keys)
        inside = [given.get(key) for key in keys]
    elif not isinstance(given, list | tuple):
        raise Misfit(given)
    elif len(given) == len(children):
        inside = given
        warn_of_order(node)
    elif len(given) == size:
        return list(given)
    else:
        raise Misfit(given)
    rows = zip(children, inside, strict=True)
    return list(itertools.chain(*(_spread(child, one, for_all, check) for (_, child), one in rows)))


def warn_of_order(node: Any) -> None:
    """Warn if a list was given for a dict whose keys are not sorted.

    Args:
        node: The outputs.
    """
    keys = list(_ordered(node)) if isinstance(node, Mapping) else None
    if keys is not None and list(node) != keys:
        warnings.warn(
            f"A list was given for outputs in a dict, whose order is that of the sorted keys, "
            f"{keys}, not {list(node)} as written. Give a dict.",
            stacklevel=2,
        )


def children_of(node: Any) -> list[tuple[Any, Any]] | None:
    """Keys and elements of a dict, list or tuple, in order; `None` of anything else.

    Args:
        node: The dict, list or tuple.
    """
    if isinstance(node, Mapping):
        return [(key, node[key]) for key in _ordered(node)]
    if isinstance(node, list | tuple):
        return list(enumerate(node))
    return None


def _ordered(node: Mapping) -> Iterable:
    if isinstance(node, OrderedDict):
        return node
    try:
        return sorted(node)
    except TypeError:  # keys that cannot be compared
        return node


def _packed(node, leaves):
    """The pytree with other leaves, each the next of an iterator."""
    children = children_of(node)
    if children is None:
        return next(leaves)
    inside = [(key, _packed(child, leaves)) for key, child in children]
    if isinstance(node, Mapping):
        found = dict(inside)
        items = {key: found[key] for key in node}
        return OrderedDict(items) if isinstance(node, OrderedDict) else items
    items = [item for _, item in inside]
    return type(node)(*items) if hasattr(node, "_fields") else type(node)(items)


def walk(
    node: Any, is_nested: Callable[[Any], bool] | None = None, path: tuple = ()
) -> Iterator[tuple[tuple, Any]]:
    """Paths and leaves of dicts, lists and tuples, in order; `None` is a leaf.

    Args:
        node: The pytree.
        is_nested: Whether to look inside a part; `None` looks inside all.
        path: Its own path.
    """
    children = children_of(node) if is_nested is None or is_nested(node) else None
    if children is None:
        yield path, node
        return
    for key, child in children:
        yield from walk(child, is_nested, (*path, key))


def refuse_unknown(what: str, given: Mapping, known: Collection) -> None:
    """Raise a `ValueError` if a dict names outputs that there are not.

    Args:
        what: What it is: "loss".
        given: The dict.
        known: The outputs' names.
    """
    unknown = [key for key in given if key not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise ValueError(
            f"compile: `{what}` names output {unknown[0]!r}; the model's outputs are "
            f"{list(known)}. {hint}".rstrip()
        )


def by_output(given: Any, names: Sequence[str] | None) -> Any:
    """A dict that names some outputs as one that names all, in order; anything else as it is.

    Args:
        given: The dict.
        names: The model's names of its outputs, if it has any.
    """
    if isinstance(given, Mapping) and names and set(given) <= set(names):
        return {name: given.get(name) for name in names}
    return given


def distinct(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it if it is taken.

    Args:
        name: The name.
        taken: Names that are in use.
    """
    numbered = (f"{name}_{i}" if i else name for i in itertools.count())
    return next(one for one in numbered if one not in taken)
