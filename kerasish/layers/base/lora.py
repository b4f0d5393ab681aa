"""Low-rank adaptation: training a small correction to a weight that is frozen."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import Named, positive_int
from kerasish.layers.base.layer import Layer


class LoRALayer(Layer):
    """Base of layers whose main weight can be adapted: `weight + alpha / rank * a @ b`.

    The weight is frozen, and `a` and `b`, thin matrices, are trained instead. The attribute of the
    weight then reads as the sum, and so do files, so that they load without adaptation too.

    References:
        Hu et al., 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
    """

    adapted = "kernel"
    lora_enabled = False

    def __getattr__(self, name):
        adapts = vars(self).get("lora_enabled") and name == type(self).adapted
        return self.adapted_weight() if adapts else super().__getattr__(name)

    def set_lora_options(self, rank: int | None, alpha: float | None) -> None:
        """Store the arguments `lora_rank` and `lora_alpha`.

        Args:
            rank: The rank, or `None` for no correction.
            alpha: The correction's scale times the rank; `None`: the rank.
        """
        self.lora_rank: Any = None if rank is None else positive_int(self, "lora_rank", rank)
        self.lora_alpha: Any = rank if alpha is None else alpha

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Named = "he_uniform",
        b_initializer: Named = "zeros",
    ) -> None:
        """Freeze the weight, and train a correction of the given rank from now on.

        Args:
            rank: Width of the two thin matrices.
            lora_alpha: The correction is scaled by `lora_alpha / rank`; `None`: by 1.
            a_initializer: Initializer of the first matrix.
            b_initializer: Initializer of the second; zeros, so that nothing changes at first.
        """
        if not self.built:
            raise ValueError(f"{self.name}: build the layer before `enable_lora`.")
        if self.lora_enabled:
            raise ValueError(f"{self.name}: `enable_lora` was called before; it works once.")
        if getattr(self, f"{self.adapted}_constraint"):
            constraint = f"{self.adapted}_constraint"
            hint = "The corrected weight would not keep it."
            raise bad_argument(self, constraint, "None with LoRA", getattr(self, constraint), hint)
        weight = getattr(self, self.adapted)
        options = {"dtype": "float32", "regularizer": getattr(self, f"{self.adapted}_regularizer")}
        parts = {
            "a": ((*weight.shape[:-1], rank), a_initializer),
            "b": ((rank, weight.shape[-1]), b_initializer),
        }
        self._locked = False
        for part, (shape, initializer) in parts.items():
            name = f"lora_{self.adapted}_{part}"
            setattr(self, name, self.add_weight(shape, initializer, name, **options))
        weight.trainable = False
        setattr(self, f"_{self.adapted}", weight)
        # Its position among the weights.
        self._set_at[f"_{self.adapted}"] = self._set_at[self.adapted]
        delattr(self, self.adapted)
        self.set_lora_options(rank, lora_alpha)
        self.lora_enabled = True

    def _corrections(self):
        return [getattr(self, f"lora_{self.adapted}_{part}") for part in "ab"]

    def adapted_weight(self) -> jax.Array:
        """The weight that `call` computes with."""
        if not self.lora_enabled:
            return getattr(self, self.adapted).value
        weight = getattr(self, f"_{self.adapted}").value
        a, b = self._corrections()
        correction = self.lora_alpha / self.lora_rank * jnp.matmul(a.value, b.value)
        return (weight + correction).astype(weight.dtype)

    def _saved_variables(self):
        own = [v for v in self._own_variables() if not v.name.startswith("lora_")]
        return sorted(own, key=lambda v: v.name != self.adapted)

    def save_own_variables(self, store: Any) -> None:
        for i, variable in enumerate(self._saved_variables()):
            corrected = variable.name == self.adapted and self.lora_enabled
            store[str(i)] = self.adapted_weight() if corrected else variable.read()

    def load_own_variables(self, store: Any) -> None:
        if not self.lora_enabled:
            super().load_own_variables(store)
            return
        for i, variable in enumerate(self._saved_variables()):
            variable.assign(store[str(i)])
        for matrix in self._corrections():
            matrix.assign(np.zeros(matrix.shape))

    def get_config(self) -> dict:
        config = super().get_config()
        if self.lora_rank is None:
            config.pop("lora_rank", None)
            config.pop("lora_alpha", None)
        return config
