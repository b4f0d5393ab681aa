"""What goes on in each layer while a network trains: activations and gradients."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.callbacks.base.callback import Callback
from kerasish.core.errors import bad_argument
from kerasish.core.state.compiled import jit
from kerasish.core.state.scope import Scope
from kerasish.core.state.transforms import value_and_grad

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
    per entry, a thousandth of it or a thousand times it. A gradient whose norm is a thousand times
    that of its weights is called exploding too.

    Args:
        x: Inputs to look at: some dozens, at least 2, at most some hundreds.
        y: Their targets.
        layers: Names of the layers to look at; `None`: all that have weights or an activation.
        ratio: The thousand in these rules.
        verbose: 1 to warn when a layer's gradients begin to vanish or explode.

    Attributes:
        history: For each layer's name a dict of lists, one entry a look: `mean` and `std` of the
            activations, `dead`, the fraction of units whose output is the same for all inputs, and,
            of layers with weights, `gradient`, the norm of their gradients, and `update`, that
            norm over the norm of the weights.
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

    def __init__(self, x, y=None, layers=None, ratio=1000.0, verbose=0):
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

    def on_train_begin(self, logs=None):
        """Look at the network as it is before training."""
        self.history, self.epochs = {}, []
        self._look(0)

    def on_epoch_end(self, epoch, logs=None):
        """Look at the network as the epoch left it."""
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
        for name, statistics in found.items():
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
        weights = {layer.name: layer.trainable_variables for layer in watched}
        self._sizes = {name: sum(v.size for v in own) for name, own in weights.items() if own}

        def measure(x, y):
            outputs: dict[str, Any] = {}

            def loss():
                with _watching(watched, outputs):
                    y_pred = model(x, training=True)
                value = model.compute_loss(x=x, y=y, y_pred=y_pred)
                return value, {n: _activation_statistics(o) for n, o in outputs.items()}

            with Scope():  # statistics and random states stay as they are
                found = value_and_grad(loss, weights, has_aux=True)()
            (_, statistics), gradients = found
            for name, own in gradients.items():
                if own:
                    norm = _norm(own)
                    size = _norm([v.read() for v in weights[name]])
                    statistics.setdefault(name, {})["gradient"] = norm
                    statistics[name]["update"] = norm / jnp.maximum(size, 1e-12)
            return statistics

        return jit(measure)

    def _chosen(self, model):
        leaves = [x for x in model._flatten_layers(include_self=False) if not x._sublayers()]
        if self.layers is None:
            return [x for x in leaves if x.weights or hasattr(x, "activation")]
        known = {layer.name: layer for layer in leaves}
        unknown = [name for name in self.layers if name not in known]
        if unknown:
            raise bad_argument(self, "layers", f"names among {list(known)}", unknown[0])
        return [known[name] for name in self.layers]

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

    def plot(self, path=None, show=None):
        """Draw the statistics of all layers, the last look's darkest, with matplotlib.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        import matplotlib.pyplot as plt

        if not self.history:
            raise RuntimeError("LayerStatistics: nothing seen yet. Give it to `fit` first.")
        width = max(8.0, 0.3 * len(self.history))
        figure, axes = plt.subplots(2, 2, figsize=(width, 6), layout="constrained", sharex=True)
        names = list(self.history)
        for (kind, title), axis in zip(_PLOTS.items(), axes.flat, strict=True):
            for look, epoch in enumerate(self.epochs):
                values = [self.history[n].get(kind, [np.nan] * (look + 1))[look] for n in names]
                shade = 0.15 + 0.85 * (look + 1) / len(self.epochs)
                label = f"epoch {epoch}" if look in (0, len(self.epochs) - 1) else None
                axis.plot(values, "o-", markersize=3, color="tab:blue", alpha=shade, label=label)
            axis.set_title(title)
            axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
            axis.grid(alpha=0.3)
        axes.flat[-1].set_yscale("log")
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

    def watch(layer):
        compute = layer._run_call

        def run(bound):
            result = compute(bound)
            outputs[layer.name] = jax.tree.leaves(result)[0]
            return result

        object.__setattr__(layer, "_run_call", run)

    for layer in layers:
        watch(layer)
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "_run_call")


def _activation_statistics(output):
    output = jax.lax.stop_gradient(output).astype("float32")
    units = output.reshape(-1, output.shape[-1]) if output.ndim > 1 else output[:, None]
    dead = jnp.mean(units.max(0) == units.min(0))
    return {"mean": jnp.mean(output), "std": jnp.std(output), "dead": dead}


def _norm(arrays):
    return jnp.sqrt(sum(jnp.sum(jnp.square(a.astype("float32"))) for a in arrays))
