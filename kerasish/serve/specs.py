"""What a served model takes and gives: names, types and shapes of its inputs and outputs."""

import functools
from dataclasses import dataclass

import ml_dtypes
import numpy as np

# NumPy's name, TensorFlow's, the Open Inference Protocol's.
_NAMES = [
    ("bool", "DT_BOOL", "BOOL"),
    ("int8", "DT_INT8", "INT8"),
    ("int16", "DT_INT16", "INT16"),
    ("int32", "DT_INT32", "INT32"),
    ("int64", "DT_INT64", "INT64"),
    ("uint8", "DT_UINT8", "UINT8"),
    ("uint16", "DT_UINT16", "UINT16"),
    ("uint32", "DT_UINT32", "UINT32"),
    ("uint64", "DT_UINT64", "UINT64"),
    ("float16", "DT_HALF", "FP16"),
    ("bfloat16", "DT_BFLOAT16", "BF16"),
    ("float32", "DT_FLOAT", "FP32"),
    ("float64", "DT_DOUBLE", "FP64"),
    ("string", "DT_STRING", "BYTES"),
]
TENSORFLOW = {name: other for name, other, _ in _NAMES}
OPEN_INFERENCE = {name: other for name, _, other in _NAMES}


@dataclass(frozen=True)
class ImageOptions:
    """How an image that comes as a file (PNG, JPEG) turns into numbers.

    Attributes:
        low: What black becomes.
        high: What white becomes.
        resize: Whether images of other sizes are resized, rather than refused.
    """

    low: float = 0.0
    high: float = 255.0
    resize: bool = False


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: Its name.
        shape: Its shape; `None` for sizes that vary, and first of all for the batch.
        dtype: NumPy's name of its type, or `"string"`.
        image: For an input that takes images as files too.
    """

    name: str
    shape: tuple
    dtype: str
    image: ImageOptions | None = None

    @property
    def is_string(self) -> bool:
        """Whether it holds strings."""
        return self.dtype == "string"

    @functools.cached_property
    def numpy_dtype(self) -> np.dtype:
        """Its type in NumPy's arrays."""
        if self.is_string:
            return np.dtype(object)
        return np.dtype(getattr(ml_dtypes, self.dtype, self.dtype))

    @functools.cached_property
    def largest(self) -> float:
        """The largest number of its type, if that is one of floats; else 0."""
        is_float = self.numpy_dtype.kind in "fV"
        return float(ml_dtypes.finfo(self.numpy_dtype).max) if is_float else 0.0

    @property
    def open_shape(self) -> list:
        """The shape with -1 for sizes that vary."""
        return [-1 if n is None else n for n in self.shape]

    def example(self, rows: int, size: int = 1) -> np.ndarray:
        """Zeros, or strings, of sizes that the input takes; `size` for those that vary.

        Args:
            rows: Number of rows.
            size: Size of axes that vary.
        """
        shape = (rows, *(size if n is None else n for n in self.shape[1:]))
        if self.is_string:
            return np.full(shape, "a", object)
        return np.zeros(shape, self.numpy_dtype)

    def say(self) -> str:
        """The shape and type in words: `(batch, 8, 8, 1) of float32`."""
        sizes = ["batch", *("any" if n is None else str(n) for n in self.shape[1:])]
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''}) of {self.dtype}"

    def fits(self, shape: tuple) -> bool:
        """Whether an array of that shape is one of these, in as many rows as there are.

        Args:
            shape: The shape.
        """
        if shape[1:] == self.shape[1:]:
            return len(shape) > 0
        return len(shape) == len(self.shape) and all(
            wanted in (None, n) for wanted, n in zip(self.shape[1:], shape[1:], strict=True)
        )
