"""Fully connected layers."""

import re
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import activations, initializers
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.live_objects import live_objects
from kerasish.kernels.dense import dense_product
from kerasish.kernels.noinline import add_bias
from kerasish.layers.base.arguments import (
    Named,
    known_size,
    make_weight,
    positive_int,
    set_weight_options,
)
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.lora import LoRALayer


class Dense(LoRALayer):
    """Affine map of the last axis: `y = activation(x @ kernel + bias)`.

    Args:
        units: Size of the output's last axis.
        activation: Function of the result, or its name. `None` leaves the result as it is.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(features, units)` kernel, or its name.
        bias_initializer: Initializer of the `(units,)` bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.
        lora_rank: Train a correction of this rank instead of the kernel: see `enable_lora`.
        lora_alpha: The correction is scaled by `lora_alpha / lora_rank`.
        quantization_config: How `quantize` quantizes the kernel.

    Shapes:
        `(batch, ..., features)` -> `(batch, ..., units)`.

    Example:
        >>> Dense(5, activation="relu")(np.ones((2, 3))).shape
        (2, 5)
    """

    def __init__(
        self,
        units: int,
        activation: Named = None,
        use_bias: bool = True,
        kernel_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        kernel_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        kernel_constraint: Named = None,
        bias_constraint: Named = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_int(self, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        set_weight_options(
            self, "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        set_weight_options(self, "bias", bias_initializer, bias_regularizer, bias_constraint)
        self.set_lora_options(lora_rank, lora_alpha)
        self.quantization_config = quantization_config
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        features = known_size(self, input_shape, -1)
        self.kernel = make_weight(self, "kernel", (features, self.units))
        self.bias: Any = make_weight(self, "bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def call(self, inputs: jax.Array, *, training: bool | None = None) -> jax.Array:
        y = dense_product(inputs, self.adapted_weight(), 1)
        if self.use_bias:
            y = add_bias(y, self.bias.value)
        return self.activation(y)

    def get_config(self) -> dict:
        config = super().get_config()
        if self.activity_regularizer is None:
            config.pop("activity_regularizer", None)
        return config


_LONGEST_EQUATION = 256  # three parts have at most 52 letters each


class EinsumDense(LoRALayer):
    """Affine map by an einsum: `y = activation(einsum(equation, x, kernel) + bias)`.

    Args:
        equation: `"ab,bc->ac"`, `"...ab,bc->...ac"` or `"ab...,bc->ac..."`: the input's axes, the
            kernel's, the output's.
        output_shape: Sizes of the output's axes without the batch (and without `...`); `None`
            where they follow from the input.
        activation: Function of the result, or its name. `None` leaves the result as it is.
        bias_axes: Letters of the output axes that the bias has; `None` for no bias.
        kernel_initializer: Initializer of the kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.
        lora_rank: Train a correction of this rank instead of the kernel: see `enable_lora`.
        lora_alpha: The correction is scaled by `lora_alpha / lora_rank`.
        quantization_config: How `quantize` quantizes the kernel.

    Shapes:
        As the equation says.

    Example:
        >>> heads = EinsumDense("btf,fhd->bthd", output_shape=(None, 4, 8), bias_axes="hd")
        >>> heads(np.ones((2, 5, 3))).shape
        (2, 5, 4, 8)
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Named = None,
        bias_axes: str | None = None,
        kernel_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        kernel_regularizer: Named = None,
        bias_regularizer: Named = None,
        kernel_constraint: Named = None,
        bias_constraint: Named = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(equation, str) or len(equation) > _LONGEST_EQUATION:
            wanted = f"a string of at most {_LONGEST_EQUATION} characters"
            got = f"{len(equation)} characters" if isinstance(equation, str) else equation
            raise bad_argument(self, "equation", wanted, got)
        self.equation = equation
        self.output_shape = (
            (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        )
        self.activation = activations.get(activation)
        self.bias_axes: Any = bias_axes
        set_weight_options(
            self, "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        set_weight_options(self, "bias", bias_initializer, bias_regularizer, bias_constraint)
        self.set_lora_options(lora_rank, lora_alpha)
        self.quantization_config = quantization_config

    def build(self, input_shape: tuple) -> None:
        ins, kernel, outs, _ = _split_equation(self)
        sizes = self._axis_sizes(tuple(input_shape))
        initializer = self.kernel_initializer
        if isinstance(initializer, initializers.VarianceScaling) and initializer.input_axes is None:
            fans = {
                "input_axes": [i for i, letter in enumerate(kernel) if letter not in outs],
                "output_axes": [i for i, letter in enumerate(kernel) if letter in outs],
                "seed": initializer.seed,
            }
            with live_objects():
                config = initializer.get_config()
            initializer = type(initializer).from_config({**config, **fans})
        self.kernel = self.add_weight(
            shape=tuple(sizes[letter] for letter in kernel),
            name="kernel",
            initializer=initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.bias_axes is not None:
            self.bias = make_weight(
                self, "bias", self._bias_shape(sizes, len(input_shape) - len(ins))
            )
        self.input_spec = InputSpec(ndim=len(input_shape))
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """The output's shape; no weights are made for it.

        Args:
            input_shape: Shape of the inputs.
        """
        ins, _, outs, dots = _split_equation(self)
        sizes = self._axis_sizes(tuple(input_shape))
        named = tuple(sizes[letter] for letter in outs)
        if dots == "left":
            return (*input_shape[: len(input_shape) - len(ins)], *named)
        return (*named, *input_shape[len(ins) :])

    def _axis_sizes(self, input_shape):
        """The size of each letter's axis."""
        ins, _, outs, dots = _split_equation(self)
        elided = len(input_shape) - len(ins)
        if elided < bool(dots) or (elided and not dots):
            raise bad_argument(
                self, "input_shape", f"of a rank to fit {self.equation!r}", input_shape
            )
        # Where "..." stands on the left, it takes the batch axis with it.
        named = input_shape[elided:] if dots == "left" else input_shape[: len(ins)]
        given = self.output_shape if dots == "left" else (None, *self.output_shape)
        if len(given) != len(outs):
            raise bad_argument(self, "output_shape", f"as long as {outs!r}", self.output_shape)
        sizes = dict(zip(ins, named, strict=True))
        for letter, size in zip(outs, given, strict=True):
            known = sizes.get(letter)
            if None not in (size, known) and size != known:
                wanted = f"{known} in axis {letter!r}, as in the input {input_shape}"
                raise bad_argument(self, "output_shape", wanted, self.output_shape)
            sizes[letter] = known if size is None else size
        return sizes

    def _bias_shape(self, sizes, elided):
        _, _, outs, dots = _split_equation(self)
        if any(letter not in outs for letter in self.bias_axes):
            raise bad_argument(self, "bias_axes", f"letters of the output {outs!r}", self.bias_axes)
        first = min(outs.index(letter) for letter in self.bias_axes)
        shape = [sizes[letter] if letter in self.bias_axes else 1 for letter in outs[first:]]
        return shape + [1] * (elided if dots == "right" else 0)

    def call(self, inputs: jax.Array, *, training: bool | None = None) -> jax.Array:
        ins, kernel, outs, dots = _split_equation(self)
        free = sum(letter in outs for letter in ins)
        if not dots and kernel == ins[free:] + outs[free:] and ins[:free] == outs[:free]:
            y = dense_product(inputs, self.adapted_weight(), len(ins) - free)
        else:
            y = jnp.einsum(self.equation, inputs, self.adapted_weight())
        if self.bias is not None:
            y = add_bias(y, self.bias.value)
        return self.activation(y)

    def get_config(self) -> dict:
        return {"activity_regularizer": None, **super().get_config()}


def _split_equation(layer):
    """The input's letters, the kernel's, the output's, and the side that `...` is on, if any."""
    letters, dots = r"([a-zA-Z]+)", r"(\.\.\.)?"
    form = f"{dots}{letters}{dots},{letters}->{dots}{letters}{dots}"
    match = re.fullmatch(form, layer.equation)
    if not match or match.group(1, 3) != match.group(5, 7) or all(match.group(1, 3)):
        wanted = "of the form 'ab,bc->ac', '...ab,bc->...ac' or 'ab...,bc->ac...'"
        raise bad_argument(layer, "equation", wanted, layer.equation)
    ins, kernel, outs = match.group(2, 4, 6)
    for letter in kernel + outs:
        if (letter in ins) + (letter in kernel) + (letter in outs) < 2:
            raise bad_argument(
                layer, "equation", f"with {letter!r} in two of its parts", layer.equation
            )
    return ins, kernel, outs, "left" if match[1] else "right" if match[3] else ""
