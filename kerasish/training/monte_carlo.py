"""Monte Carlo dropout: a network asked many times with its dropout on, all at once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.state.functional import capture
from kerasish.core.state.scope import Scope
from kerasish.core.state.seeds import SeedGenerator
from kerasish.layers.regularization import dropout_in_prediction
from kerasish.training.compiled_step import CompiledStep
from kerasish.training.step_factory import stateful

# Odd, so that multiples of it are all different in 32 bits; large, to keep off the users' seeds.
_STRIDE = np.uint32(0x9E3779B9)
# What one layer's output may take for the samples computed side by side: about what fits into the
# cache of a CPU. The other samples wait.
_BYTES = 2**23
_BYTES_ELSEWHERE = 2**28


class McPrediction(NamedTuple):
    """Mean and standard deviation over the samples of `predict(x, mc_samples=...)`."""

    mean: Any
    std: Any


class McSamples(NamedTuple):
    """As `McPrediction`, with the samples themselves: `(mc_samples, batch, ...)`."""

    mean: Any
    std: Any
    samples: Any


class MonteCarlo(CompiledStep):
    """A step of prediction with dropout on, compiled for one number of samples.

    A sample is one thinned network, which is asked about all inputs: rows share their zeros, and
    the result does not depend on the batch size.

    Args:
        model: The model. Only its dropout layers act as in training.
        count: Number of samples.
        keep: Whether to return the samples.
    """

    def __init__(self, model: Any, count: int, keep: bool):
        self.model, self.count, self.keep = model, count, keep
        self.seeds = SeedGenerator(0, name="monte_carlo")
        predict = stateful(model, model.predict_step, (0, 1))
        super().__init__(self._sampled(predict), lambda carried: None, True, model.run_eagerly)

    def _sampled(self, predict):
        def body(batch):
            with Scope():  # lazily built weights, and the random states with them, come to be
                shapes = capture(lambda: predict(batch))
            generators = _random_states(self.model)
            key = self.seeds.state.read()

            def sample(number):
                # Keys that differ give independent numbers; the second word counts a layer's uses.
                steps = (number * len(generators) + i for i in range(len(generators)))
                states = [key + jnp.stack([step * _STRIDE, step * 0]) for step in steps]
                with Scope(zip(generators, states, strict=True)), dropout_in_prediction():
                    return predict(batch)

            numbers = jnp.arange(self.count, dtype="uint32")
            limit = _BYTES if jax.default_backend() == "cpu" else _BYTES_ELSEWHERE
            at_once = max(1, limit // _largest_output(shapes.jaxpr))
            if at_once >= self.count:
                samples = jax.vmap(sample)(numbers)
            else:
                samples = jax.lax.map(sample, numbers, batch_size=at_once)
            return self._summary(samples)

        return body

    def _summary(self, samples):
        wide = jax.tree.map(lambda s: s.astype(jnp.promote_types(s.dtype, "float32")), samples)
        mean = jax.tree.map(lambda s: jnp.mean(s, 0), wide)
        std = jax.tree.map(lambda s: jnp.std(s, 0), wide)
        if not self.keep:
            return mean, std
        # The loop joins batches along the first axis.
        return mean, std, jax.tree.map(lambda s: jnp.moveaxis(s, 0, 1), samples)

    def start(self, seed: int | None) -> None:
        """Set what the samples are drawn from: an integer, or `None` for one drawn anew.

        Args:
            seed: The integer.
        """
        generator = SeedGenerator(seed)
        self.seeds.state.assign(generator.state)

    def result(self, found: Any) -> McPrediction | McSamples:
        """The result, from the outputs of all batches.

        Args:
            found: Outputs of all batches, joined.
        """
        if not self.keep:
            return McPrediction(*found)
        mean, std, samples = found
        return McSamples(mean, std, jax.tree.map(lambda s: np.moveaxis(s, 1, 0), samples))


def _random_states(model):
    weights = set(model.weights)
    return [v for v in model.variables if v not in weights]


def _shapes(batch):
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), batch)


def _largest_output(jaxpr):
    """Bytes of the largest array that a program computes on its way."""
    outputs = [v.aval for eqn in jaxpr.eqns for v in eqn.outvars if hasattr(v.aval, "size")]
    return max([1, *(a.size * a.dtype.itemsize for a in outputs)])
