"""`FeatureSpace`: the columns of a table as numbers that a model takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from kerasish import layers, saving
from kerasish.core.errors import bad_argument
from kerasish.core.names import auto_name
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.registry import publish
from kerasish.core.serialization.serialize import (
    deserialize_keras_object,
    is_serialized,
    serialize_keras_object,
)
from kerasish.core.symbolic.keras_tensor import any_symbolic
from kerasish.layers.preprocessing.host_layer import in_model

_MODULE = "keras.src.layers.preprocessing.feature_space"  # as files of Keras call it


class _Saved(Configurable):
    """Base of what files keep of a feature space; it has no variables of its own."""

    def save_own_variables(self, store) -> None:
        """Nothing."""

    def load_own_variables(self, store) -> None:
        """Nothing."""


class Feature(_Saved):
    """A column of a table: its type, the layer that prepares it, and how it is given out.

    Args:
        dtype: Type of what comes in: `"float32"`, `"int32"` or `"string"`.
        preprocessor: Layer that turns it into numbers.
        output_mode: `"float"` or `"int"`: as the layer gives it; `"one_hot"`: integers as ones in
            their positions.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str):
        self.dtype = dtype
        if isinstance(preprocessor, dict):
            preprocessor = deserialize_keras_object(preprocessor)
        self.preprocessor = preprocessor
        modes = ("int", "one_hot", "float")
        if output_mode not in modes:
            raise bad_argument(type(self), "output_mode", f"one of {modes}", output_mode)
        self.output_mode = output_mode


class Cross(_Saved):
    """Several columns together, each combination being a category.

    Args:
        feature_names: Names of the columns.
        crossing_dim: Number of bins that combinations are hashed into.
        output_mode: `"int"` or `"one_hot"`.
    """

    def __init__(
        self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ):
        self.feature_names = tuple(feature_names)
        self.crossing_dim = crossing_dim
        if output_mode not in ("int", "one_hot"):
            raise bad_argument(type(self), "output_mode", "'int' or 'one_hot'", output_mode)
        self.output_mode = output_mode

    @property
    def name(self) -> str:
        """The columns' names, joined."""
        return "_X_".join(self.feature_names)


class TFDConcat(layers.Concatenate):
    """What joins the columns in files of Keras.

    Args:
        axis: The axis to join along.
    """

    def __init__(self, axis, **kwargs):
        super().__init__(axis=axis, **kwargs)


class TFDIdentity(layers.Identity):
    """What lets a column through in files of Keras."""


_IN_FILES = (Cross, Feature, TFDConcat, TFDIdentity)
publish(_MODULE, {cls.__name__: cls for cls in _IN_FILES})


class FeatureSpace(layers.Layer):
    """Prepares the columns of a table, and joins them into one array for a model.

    Args:
        features: Dict of columns' names to what they are: a name, as `"float_normalized"`, or what
            a class method of that name gives: `FeatureSpace.string_hashed(num_bins=10)`.
        output_mode: `"concat"`: one array of all columns; `"dict"`: a dict of arrays.
        crosses: Columns to take together: a list of tuples of names, or of what
            `FeatureSpace.cross` gives.
        crossing_dim: Number of bins of each of them, if it is not said.
        hashing_dim: Number of bins of `"integer_hashed"` and `"string_hashed"`.
        num_discretization_bins: Number of bins of `"float_discretized"`.
        name: Name.

    Shapes:
        A dict of `(batch,)` or `(batch, 1)` -> `(batch, width)`; a dict of single values ->
        `(width,)`.

    Example:
        >>> space = FeatureSpace({"age": "float", "job": "string_categorical"})
        >>> table = {"age": [25.0, 40.0], "job": ["cook", "smith"]}
        >>> space.adapt(table)
        >>> space(table).shape
        (2, 4)
    """

    # -- kinds of columns

    @classmethod
    def cross(
        cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> Cross:
        """Columns taken together; see `Cross`.

        Args:
            feature_names: Names of the columns.
            crossing_dim: Number of bins.
            output_mode: `"one_hot"` or `"int"`.
        """
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A column prepared by a layer of one's own; see `Feature`.

        Args:
            dtype: Type of the column's elements.
            preprocessor: The layer.
            output_mode: `"int"` or `"float"`: what the layer gives.
        """
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are.

        Args:
            name: Name of the column's layer.
        """
        return Feature("float32", layers.Identity(**_named(name, "float", "float32")), "float")

    @classmethod
    def float_rescaled(
        cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None
    ) -> Feature:
        """Numbers times `scale`, plus `offset`.

        Args:
            scale: The factor.
            offset: The summand.
            name: Name of the column's layer.
        """
        layer = layers.Rescaling(scale, offset, **_named(name, "float_rescaled"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers less their mean, divided by their standard deviation.

        Args:
            name: Name of the column's layer.
        """
        layer = layers.Normalization(axis=-1, **_named(name, "float_normalized"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_discretized(
        cls,
        num_bins: int,
        bin_boundaries: Sequence | None = None,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Numbers as the bin they lie in, of equally many rows each, or between boundaries.

        Args:
            num_bins: Number of bins.
            bin_boundaries: Boundaries between the bins; learned by `adapt` unless given.
            output_mode: `"one_hot"` or `"int"`.
            name: Name of the column's layer.
        """
        options = _named(name, "float_discretized")
        layer = layers.Discretization(
            bin_boundaries, None if bin_boundaries else num_bins, **options
        )
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Integers, each a category.

        Args:
            max_tokens: Most categories to know, the frequent ones first; `None` is no limit.
            num_oov_indices: Number of categories for what is not known.
            output_mode: `"one_hot"` or `"int"`.
            name: Name of the column's layer.
        """
        options = {"num_oov_indices": num_oov_indices, **_named(name, "integer_categorical")}
        return Feature("int32", layers.IntegerLookup(max_tokens, **options), output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Strings, each a category.

        Args:
            max_tokens: Most categories to know, the frequent ones first; `None` is no limit.
            num_oov_indices: Number of categories for what is not known.
            output_mode: `"one_hot"` or `"int"`.
            name: Name of the column's layer.
        """
        options = {"num_oov_indices": num_oov_indices, **_named(name, "string_categorical")}
        return Feature("string", layers.StringLookup(max_tokens, **options), output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Strings as the bin they are hashed into.

        Args:
            num_bins: Number of bins.
            output_mode: `"one_hot"` or `"int"`.
            name: Name of the column's layer.
        """
        layer = layers.Hashing(num_bins, **_named(name, "string_hashed"))
        return Feature("string", layer, output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Integers as the bin they are hashed into.

        Args:
            num_bins: Number of bins.
            output_mode: `"one_hot"` or `"int"`.
            name: Name of the column's layer.
        """
        layer = layers.Hashing(num_bins, **_named(name, "integer_hashed"))
        return Feature("int32", layer, output_mode)

    # -- making

    def __init__(
        self,
        features: Mapping,
        output_mode: str = "concat",
        crosses: Sequence | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if not features:
            raise bad_argument(self, "features", "a dict of at least one column", features)
        if output_mode not in ("concat", "dict"):
            raise bad_argument(self, "output_mode", "'concat' or 'dict'", output_mode)
        self.output_mode = output_mode
        self.crossing_dim = crossing_dim
        self.hashing_dim = hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.features = {key: self._feature(key, value) for key, value in features.items()}
        self.crosses = [self._cross(cross) for cross in crosses or []]
        self.crosses_by_name = {cross.name: cross for cross in self.crosses}
        self.preprocessors = {key: value.preprocessor for key, value in self.features.items()}
        self.crossers = {
            cross.name: layers.HashedCrossing(cross.crossing_dim, name=cross.name)
            for cross in self.crosses
        }
        self.one_hot_encoders: dict = {}
        self._inputs: dict | None = None
        self._encoded: Any = None
        self._is_adapted = False
        self.built = True

    def _feature(self, name, value):
        if isinstance(value, Feature):
            return value
        if isinstance(value, dict) and is_serialized(value):
            return deserialize_keras_object(value)
        bins = {
            "float_discretized": self.num_discretization_bins,
            "integer_hashed": self.hashing_dim,
            "string_hashed": self.hashing_dim,
        }
        plain = ("float", "float_normalized", "float_rescaled")
        kinds = (*plain, "integer_categorical", "string_categorical", *bins)
        if value not in kinds:
            raise bad_argument(self, f"features[{name!r}]", f"a `Feature` or one of {kinds}", value)
        options = {"num_bins": bins[value]} if value in bins else {}
        return getattr(self, value)(name=name, **options)

    def _cross(self, cross):
        if isinstance(cross, dict):
            cross = deserialize_keras_object(cross)
        if not isinstance(cross, Cross):
            cross = Cross(cross, self.crossing_dim)
        unknown = [name for name in cross.feature_names if name not in self.features]
        if unknown:
            wanted = f"of columns among {list(self.features)}"
            raise bad_argument(self, "crosses", wanted, unknown)
        return cross

    # -- learning

    def adapt(self, dataset: Any) -> None:
        """Learn vocabularies, means and bins from a table.

        Args:
            dataset: A dict of columns, a DataFrame, or an iterable of such dicts, in batches.
        """
        wanting = [name for name in self.features if self._has_to_adapt(name)]
        columns: dict[str, list] = {name: [] for name in wanting}
        for table in self._tables(dataset):
            for name in wanting:
                values = np.asarray(table[name])
                columns[name].append(values.reshape(-1, 1) if values.ndim < 2 else values)
        for name, parts in columns.items():
            self.preprocessors[name].adapt(np.concatenate(parts))
        self._is_adapted = True
        self._encoded = None
        self.one_hot_encoders.clear()

    def _tables(self, dataset):
        if isinstance(dataset, Mapping) or hasattr(dataset, "columns"):
            yield dataset
            return
        if isinstance(dataset, str) or not hasattr(dataset, "__iter__"):
            wanted = "a dict of columns, a DataFrame or an iterable of dicts"
            raise bad_argument(self, "dataset", wanted, type(dataset).__name__)
        for batch in dataset:
            yield batch[0] if isinstance(batch, tuple) else batch

    def _has_to_adapt(self, name):
        layer = self.preprocessors[name]
        if not hasattr(layer, "adapt"):
            return False
        if isinstance(layer, layers.Normalization):
            return layer.input_mean is None
        if isinstance(layer, layers.Discretization):
            return layer.bin_boundaries is None
        if isinstance(layer, layers.StringLookup | layers.IntegerLookup):
            return not layer._known_size
        return True

    def _check_adapted(self):
        if not self._is_adapted and any(self._has_to_adapt(name) for name in self.features):
            raise ValueError(
                f"{self.name}: it has not seen data yet. Call `adapt(table)` before using it."
            )

    # -- using

    def get_inputs(self) -> dict:
        """A symbolic tensor for each column, to make a model with."""
        self._check_adapted()
        if self._inputs is None:
            self._inputs = {
                name: layers.Input((1,), dtype=feature.dtype, name=name)
                for name, feature in self.features.items()
            }
        return self._inputs

    def get_encoded_features(self) -> Any:
        """What the space makes of `get_inputs()`, symbolic."""
        if self._encoded is None:
            self._encoded = self._encode(self.get_inputs())
        return self._encoded

    def __call__(self, data: Mapping) -> Any:
        self._check_adapted()
        if not isinstance(data, Mapping) and not hasattr(data, "columns"):
            raise bad_argument(self, "data", "a dict of columns", type(data).__name__)
        columns = {name: data[name] for name in self.features}
        if any_symbolic(columns):
            return self._encode(columns)
        if in_model(columns):  # of a model that holds the space
            return self._encode(
                {k: x.reshape(-1, 1) if x.ndim < 2 else x for k, x in columns.items()}
            )
        columns = {name: np.asarray(column) for name, column in columns.items()}
        single = all(column.ndim == 0 for column in columns.values())
        columns = {
            name: column.reshape(-1, 1) if column.ndim < 2 else column
            for name, column in columns.items()
        }
        encoded = self._encode(columns)
        return jax.tree.map(lambda x: x[0], encoded) if single else encoded

    def _encode(self, columns):
        prepared = {name: self.preprocessors[name](column) for name, column in columns.items()}
        crossed = {
            cross.name: self.crossers[cross.name]([prepared[n] for n in cross.feature_names])
            for cross in self.crosses
        }
        specs = {**self.features, **self.crosses_by_name}
        parts = {}
        for name, value in [*sorted(prepared.items()), *sorted(crossed.items())]:
            parts[name] = self._as_wanted(name, value, specs[name].output_mode)
        if self.output_mode == "dict":
            return parts
        integers = [name for name, x in parts.items() if "int" in str(x.dtype)]
        if integers:
            hint = "Give these `output_mode='one_hot'`, or the space `output_mode='dict'`."
            raise bad_argument(self, "features", "numbers or one-hot to be joined", integers, hint)
        if len(parts) == 1:
            return next(iter(parts.values()))
        return layers.concatenate(list(parts.values()), axis=-1)

    def _as_wanted(self, name, value, output_mode):
        if output_mode != "one_hot":
            return value
        if "int" not in str(value.dtype):
            raise bad_argument(self, name, "integers for `output_mode='one_hot'`", value.dtype)
        if name not in self.one_hot_encoders:
            depth = self._depth(name)
            self.one_hot_encoders[name] = layers.CategoryEncoding(depth, output_mode="multi_hot")
        return self.one_hot_encoders[name](value)

    def _depth(self, name):
        layer: Any = self.preprocessors.get(name) or self.crossers[name]
        if isinstance(layer, layers.StringLookup | layers.IntegerLookup):
            return layer.vocabulary_size()
        if isinstance(layer, layers.CategoryEncoding):
            return layer.num_tokens
        if isinstance(layer, layers.Discretization):
            return 1 + len(layer.bin_boundaries or ())
        if isinstance(layer, layers.Hashing | layers.HashedCrossing):
            return layer.num_bins
        hint = "Its number of categories is not known: use `output_mode='int'`."
        raise bad_argument(self, name, "of a known layer for 'one_hot'", type(layer), hint)

    # -- files

    def save(self, filepath: Any) -> None:
        """Save to a `.keras` file, for `keras.models.load_model`.

        Args:
            filepath: The file.
        """
        saving.save_model(self, filepath)

    def get_config(self) -> dict:
        """The arguments, as plain data."""
        names = ("output_mode", "crossing_dim", "hashing_dim", "num_discretization_bins")
        return {
            "features": serialize_keras_object(self.features),
            "crosses": serialize_keras_object(self.crosses),
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The space that a config describes.

        Args:
            config: What `get_config` gave.
        """
        return cls(**config)

    def get_build_config(self) -> dict:
        """What each column's layer was built with."""
        return {key: layer.get_build_config() for key, layer in self.preprocessors.items()}

    def build_from_config(self, config: dict) -> None:
        """Build each column's layer.

        Args:
            config: What `get_config` gave.
        """
        for name, built in config.items():
            layer = self.preprocessors.get(name)
            if layer is not None and built and not layer.built:
                layer.build_from_config(built)
        self._is_adapted = True


def _named(name, kind, dtype=None) -> dict:
    """Options of a column's layer: its name, generated if not given, and a dtype."""
    options = {"name": f"{name or auto_name(kind)}_preprocessor"}
    return options if dtype is None else {**options, "dtype": dtype}


publish("keras.utils", {"FeatureSpace": FeatureSpace})
