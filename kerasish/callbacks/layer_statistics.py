"""What happens in each layer while a network trains: activations and gradients."""

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import activations
from kerasish.callbacks.base.callback import Callback
from kerasish.core.errors import bad_argument
from kerasish.core.state.compiled import jit
from kerasish.core.state.scope import Scope
from kerasish.core.state.transforms import value_and_grad
from kerasish.layers.core.activation import ReLU

# Outputs at which activations are flat; others have a slope wherever they are.
_FLAT: dict[Any, tuple[float, ...]] = {
    activations.relu: (0.0,),
    activations.relu6: (0.0, 6.0),
    activations.sigmoid: (0.0, 1.0),
    activations.tanh: (-1.0, 1.0),
    activations.hard_sigmoid: (0.0, 1.0),
    activations.hard_tanh: (-1.0, 1.0),
    activations.hard_silu: (0.0,),
    activations.hard_shrink: (0.0,),
    activations.soft_shrink: (0.0,),
    activations.threshold: (0.0,),
}
_MOST_NAMES = 12  # that fit under a plot

_PLOTS = {
    "mean": "mean of activations",
    "std": "standard deviation of activations",
    "dead": "fraction of dead units",
    "gradient": "norm of gradients",
}


class LayerStatistics(Callback):
    """Notes each layer's activations and gradients, before training and after each epoch.

    It looks at a batch of its own, which is passed forward and backward as in training, without
    changing anything; one look costs about one training step on that batch.

    A gradient is called vanishing or exploding by comparison with the last layer that has weights:
    per element, a thousandth of it or a thousand times it. A gradient whose norm is a thousand
    times that of its weights is called exploding too.

    Args:
        x: Inputs to look at: some dozens, at least 2, at most some hundreds.
        y: Their targets.
        layers: Names of the layers to look at; `None`: all that have weights or an activation.
        ratio: The thousand in these rules.
        verbose: 1 to warn when a layer's gradients begin to vanish or explode.

    Attributes:
        history: For each layer's name, in the order in which the network calls the layers, a dict
            of lists, one element a look: `mean` and `std` of the activations, `dead`, the fraction
            of units that are for all inputs where their activation is flat (at 0 of ReLU, at an end
            of tanh), and, of layers with weights, `gradient`, the norm of their gradients, and
            `update`, that norm over the norm of the weights.
        epochs: Epochs done at each look, from 0.

    References:
        Glorot and Bengio, 2010, "Understanding the Difficulty of Training Deep Feedforward Neural
        Networks".

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
        >>> model.compile("sgd", "mse")
        >>> look = LayerStatistics(np.ones((2, 2)), np.zeros((2, 1)))
        >>> _ = model.fit(np.ones((4, 2)), np.zeros((4, 1)), verbose=0, callbacks=look)
        >>> sorted(look.history["out"]), look.epochs
        (['dead', 'gradient', 'mean', 'std', 'update'], [0, 1])
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        layers: Any = None,
        ratio: float = 1000.0,
        verbose: int | str = 0,
    ):
        super().__init__()
        if ratio <= 1:
            raise bad_argument(self, "ratio", "above 1", ratio)
        self.x = x
        self.y = y
        self.layers = layers
        self.ratio = ratio
        self.verbose = verbose
        self.history: dict[str, dict[str, list]] = {}
        self.epochs: list[int] = []
        self._sizes: dict[str, int] = {}
        self._measure = None
        self._model_measured = None
        self._order: list[str] = []  # names of the layers as they are called

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look at the network as it is before training.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self.history, self.epochs = {}, []
        self._look(0)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at the network as the epoch left it.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        before = self.problems()
        self._look(epoch + 1)
        if self.verbose:
            for name, problem in self.problems().items():
                if before.get(name) != problem:
                    warnings.warn(f"LayerStatistics: layer {name!r}: {problem}.", stacklevel=2)

    def _look(self, epoch):
        if self._measure is None or self._model_measured is not self.model:
            self._measure, self._model_measured = self._compile(), self.model
        x, y = jax.tree.map(jnp.asarray, (self.x, self.y))
        found = jax.device_get(self._measure(x, y))
        self.epochs.append(epoch)
        for name in self._order:  # compiled functions return dicts in alphabetical order
            statistics = found[name]
            own = self.history.setdefault(name, {})
            for kind, value in statistics.items():
                own.setdefault(kind, []).append(float(value))

    # -- measuring

    def _compile(self):
        model = self.model
        if not model.built:
            with Scope():
                model(jax.tree.map(jnp.asarray, self.x), training=False)
        watched = self._chosen(model)
        weights = {name: layer.trainable_variables for name, layer in watched.items()}
        self._sizes = {name: sum(v.size for v in own) for name, own in weights.items() if own}

        flat = {name: _flat_outputs(layer) for name, layer in watched.items()}

        def measure(x, y):
            outputs: dict[str, Any] = {}

            def loss():
                with _watching(watched, outputs):
                    y_pred = model(x, training=True)
                value = model.compute_loss(x=x, y=y, y_pred=y_pred)
                return value, {
                    name: _activation_statistics(output, flat[name])
                    for name, output in outputs.items()
                }

            with Scope():  # statistics and random states stay as they are
                found = value_and_grad(loss, weights, has_aux=True)()
            (_, statistics), gradients = found
            self._order = [*outputs, *(n for n in gradients if n not in outputs and gradients[n])]
            for name, own in gradients.items():
                if own:
                    norm = _norm(own)
                    size = _norm([v.read() for v in weights[name]])
                    statistics.setdefault(name, {})["gradient"] = norm
                    statistics[name]["update"] = norm / jnp.maximum(size, 1e-12)
            return statistics

        return jit(measure)

    def _chosen(self, model):
        """The layers to look at, by the names they are listed under."""
        leaves = [x for x in model._flatten_layers(include_self=False) if not x._sublayers()]
        known = _named(leaves)
        if self.layers is None:
            return {
                name: x
                for name, x in known.items()
                if x.weights or isinstance(x, ReLU) or hasattr(x, "activation")
            }
        unknown = [name for name in self.layers if name not in known]
        if unknown:
            raise bad_argument(self, "layers", f"names among {list(known)}", unknown[0])
        return {name: known[name] for name in self.layers}

    # -- what it says

    def problems(self) -> dict[str, str]:
        """Layers in which, at the last look, something is wrong, and what."""
        found = {}
        sizes = {n: s["gradient"][-1] / self._sizes[n] ** 0.5 for n, s in self._with_gradients()}
        reference = list(sizes.values())[-1] if sizes else 0.0
        for name, statistics in self.history.items():
            size = sizes.get(name)
            if not np.isfinite(statistics.get("std", [0.0])[-1]):
                found[name] = "its activations are not finite"
            elif size is not None and not np.isfinite(size):
                found[name] = "its gradients are not finite"
            elif statistics.get("update", [0.0])[-1] > self.ratio:
                found[name] = (
                    f"exploding gradients, {statistics['update'][-1]:.2g} times its weights"
                )
            elif size is not None and size > reference * self.ratio:
                found[name] = f"exploding gradients, {size / reference:.2g} times the last layer's"
            elif size is not None and size < reference / self.ratio:
                found[name] = f"vanishing gradients, {size / reference:.2g} times the last layer's"
            elif statistics.get("dead", [0.0])[-1] > 0.5:
                found[name] = f"{statistics['dead'][-1]:.0%} of its units are dead"
        return found

    def _with_gradients(self):
        return [(name, s) for name, s in self.history.items() if "gradient" in s]

    def plot(self, path: Any = None, show: bool | None = None) -> Any:
        """Draw the statistics over the depth of the network, a color for each look, by matplotlib.

        Layers stand in the order in which the network calls them; deep networks' layers by number.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        import matplotlib.pyplot as plt

        if not self.history:
            raise RuntimeError("LayerStatistics: nothing seen yet. Give it to `fit` first.")
        figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained", sharex=True)
        names = list(self.history)
        colors = plt.get_cmap("viridis")(np.linspace(0.9, 0.0, len(self.epochs)))
        for (kind, title), axis in zip(_PLOTS.items(), axes.flat, strict=True):
            for look, epoch in enumerate(self.epochs):
                values = [self.history[n].get(kind, [np.nan] * (look + 1))[look] for n in names]
                shown = len(self.epochs) <= 6 or look in (0, len(self.epochs) - 1)
                label = f"epoch {epoch}" if shown else None
                axis.plot(
                    range(1, len(names) + 1),
                    values,
                    "o-",
                    markersize=3,
                    color=colors[look],
                    label=label,
                )
            axis.set_title(title)
            axis.grid(alpha=0.3)
            if kind == "dead":  # a share
                axis.set_ylim(-0.02, 1.02)
            if kind == "gradient":
                axis.set_yscale("log")
        for axis in axes[-1]:
            if len(names) <= _MOST_NAMES:
                axis.set_xticks(range(1, len(names) + 1), names, rotation=45, ha="right")
            else:
                axis.set_xlabel(f"depth: layer 1 ({names[0]}) to {len(names)} ({names[-1]})")
        axes.flat[0].legend()
        if path is not None:
            figure.savefig(path)
        if show is None:
            show = path is None and figure.canvas.required_interactive_framework is not None
        plt.show() if show else plt.close(figure)
        return figure


@contextlib.contextmanager
def _watching(layers, outputs) -> Iterator[None]:
    """Let these layers put what they compute into a dict, by their names."""

    def watch(name, layer):
        compute = layer._run_call

        def run(bound):
            result = compute(bound)
            outputs[name] = jax.tree.leaves(result)[0]
            return result

        object.__setattr__(layer, "_run_call", run)

    for name, layer in layers.items():
        watch(name, layer)
    try:
        yield
    finally:
        for layer in layers.values():
            object.__delattr__(layer, "_run_call")


def _named(layers) -> dict[str, Any]:
    """Layers by name; by path, or with a number, where several have the same."""
    names = [layer.name for layer in layers]
    found: dict[str, Any] = {}
    for layer in layers:
        name = layer.name if names.count(layer.name) == 1 else layer.path
        numbered = (f"{name}_{i}" if i else name for i in itertools.count())
        found[next(one for one in numbered if one not in found)] = layer
    return found


def _flat_outputs(layer) -> tuple[float, ...]:
    """Outputs at which a layer's activation has no slope, so that a unit there no longer learns."""
    if isinstance(layer, ReLU):
        flat = () if layer.negative_slope else (0.0,)
        return flat if layer.max_value is None else (*flat, float(layer.max_value))
    return _FLAT.get(getattr(layer, "activation", None), ())


def _activation_statistics(output, flat):
    output = jax.lax.stop_gradient(output).astype("float32")
    units = output.reshape(-1, output.shape[-1]) if output.ndim > 1 else output[:, None]
    is_flat = jnp.zeros(units.shape, bool)
    for value in flat:
        is_flat |= units == value
    dead = jnp.mean(jnp.all(is_flat, 0))
    return {"mean": jnp.mean(output), "std": jnp.std(output), "dead": dead}


def _norm(arrays):
    return jnp.sqrt(sum(jnp.sum(jnp.square(a.astype("float32"))) for a in arrays))
