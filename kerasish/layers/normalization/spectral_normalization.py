"""Spectral normalization of another layer's kernel."""

from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.initializers import TruncatedNormal
from kerasish.layers.base.arguments import known_size, positive_int
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.core.basic import Wrapper
from kerasish.ops import nn

_MOST_ITERATIONS = 1000  # each is a part of the compiled program


class SpectralNormalization(Wrapper):
    """Holds the largest singular value of a layer's kernel near 1, at each training step.

    Args:
        layer: Layer with a `kernel` or `embeddings`.
        power_iterations: Steps of the power method at each training step; at least 1.

    Shapes:
        As of `layer`.

    References:
        Miyato, Kataoka, Koyama and Yoshida, 2018, "Spectral Normalization for Generative
        Adversarial Networks".

    Example:
        >>> layer = keras.layers.Dense(2)
        >>> SpectralNormalization(layer)(np.ones((3, 4)), training=True).shape
        (3, 2)
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.power_iterations = positive_int(self, "power_iterations", power_iterations)
        if power_iterations > _MOST_ITERATIONS:
            wanted = f"at most {_MOST_ITERATIONS}"
            raise bad_argument(self, "power_iterations", wanted, power_iterations)

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: known_size(self, input_shape, -1)})
        kernel = getattr(self.layer, "kernel", getattr(self.layer, "embeddings", None))
        if kernel is None:
            wanted = "a layer with `kernel` or `embeddings`"
            raise bad_argument(self, "layer", wanted, type(self.layer).__name__)
        self.kernel = kernel
        self.vector_u = self.add_weight(
            shape=(1, kernel.shape[-1]),
            initializer=TruncatedNormal(stddev=0.02),
            name="vector_u",
            trainable=False,
            dtype=kernel.dtype,
        )

    def call(self, inputs: jax.Array, training: bool = False) -> jax.Array:
        if training:
            self._normalize()
        return self.layer(inputs).astype(inputs.dtype)

    def _normalize(self):
        kernel = self.kernel.read()
        matrix = jnp.reshape(kernel, (-1, kernel.shape[-1]))
        u = self.vector_u.read()
        for _ in range(self.power_iterations):
            v = nn.normalize(jnp.matmul(u, matrix.T), axis=None)
            u = nn.normalize(jnp.matmul(v, matrix), axis=None)
        u, v = jax.lax.stop_gradient(u), jax.lax.stop_gradient(v)
        largest = jnp.squeeze(v @ matrix @ u.T)
        is_zero = jnp.all(kernel == 0)
        self.vector_u.assign(jnp.where(is_zero, self.vector_u.read(), u))
        self.kernel.assign(jnp.where(is_zero, kernel, kernel / jnp.where(is_zero, 1, largest)))
