"""Weights of `CuDNNLSTM` and `CuDNNGRU`, which only ran on GPUs, as those of `LSTM` and `GRU`."""

from collections.abc import Callable
from typing import Any

import numpy as np


class Converted:
    """An array in a file that a weight is made of.

    Args:
        stored: The array as it is stored.
        shape: Shape of the weight.
        convert: What makes the weight of it.
    """

    def __init__(self, stored: Any, shape: tuple, convert: Callable[[np.ndarray], np.ndarray]):
        self.stored, self.shape, self.convert = stored, shape, convert


def from_cudnn(variables: list, arrays: list) -> list:
    """Arrays for a layer's weights, those of layers for GPUs converted; known by their biases.

    Args:
        variables: The weights.
        arrays: As many arrays in a file.
    """
    arrays = list(arrays)
    if len(arrays) != len(variables):
        return arrays
    for i in range(len(arrays) - 2):
        names = [v.name for v in variables[i : i + 3]]
        shapes = [v.shape for v in variables[i : i + 3]]
        if names != ["kernel", "recurrent_kernel", "bias"]:
            continue
        units, width = shapes[1]
        if arrays[i + 2].shape != (2 * width,) or shapes[2] not in ((width,), (2, width)):
            continue
        gates, is_lstm = width // units, len(shapes[2]) == 1
        converters: tuple[Any, ...] = (
            _input_kernel(gates),
            _recurrent_kernel(gates),
            _bias(is_lstm),
        )
        triples = zip(arrays[i : i + 3], shapes, converters, strict=True)
        arrays[i : i + 3] = [Converted(*triple) for triple in triples]
    return arrays


def _input_kernel(gates):
    """Each gate's matrix was stored as the rows of its transpose, one after the other."""

    def convert(kernel):
        rows = kernel.shape[0]
        parts = [part.reshape(-1, rows).T for part in np.split(kernel, gates, axis=1)]
        return np.concatenate(parts, axis=1)

    return convert


def _recurrent_kernel(gates):
    return lambda kernel: np.concatenate([k.T for k in np.split(kernel, gates, axis=1)], axis=1)


def _bias(is_lstm):
    """There were two of them, for the input and the state: an LSTM needs but their sum."""
    return lambda bias: sum(np.split(bias, 2)) if is_lstm else bias.reshape(2, -1)
