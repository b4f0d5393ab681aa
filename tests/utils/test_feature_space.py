"""Columns of a table as numbers, against the layers they are made of."""

import numpy as np
import pandas as pd
import pytest

import kerasish
from kerasish import layers
from kerasish.utils import FeatureSpace

RNG = np.random.default_rng(0)
TABLE = {
    "age": RNG.uniform(20, 70, 40).astype("float32"),
    "pay": RNG.normal(size=40).astype("float32"),
    "town": np.array(["north", "south", "east", "west"])[RNG.integers(4, size=40)],
    "job": RNG.integers(5, size=40),
    "zip": RNG.integers(900, size=40),
}
KINDS = {
    "age": "float_normalized",
    "pay": FeatureSpace.float_discretized(num_bins=4),
    "town": "string_categorical",
    "job": FeatureSpace.integer_categorical(num_oov_indices=2),
    "zip": FeatureSpace.integer_hashed(num_bins=7),
}


def adapted(**options):
    space = FeatureSpace(KINDS, crosses=[("town", "job")], crossing_dim=9, **options)
    space.adapt(TABLE)
    return space


def test_each_part_is_what_its_layer_gives():
    parts = adapted(output_mode="dict")(TABLE)
    assert list(parts) == ["age", "job", "pay", "town", "zip", "town_X_job"]
    mean, std = TABLE["age"].mean(), TABLE["age"].std()
    np.testing.assert_allclose(parts["age"][:, 0], (TABLE["age"] - mean) / std, atol=1e-4)
    widths = {name: x.shape[1] for name, x in parts.items()}
    assert widths == {"age": 1, "job": 7, "pay": 4, "town": 5, "zip": 7, "town_X_job": 9}
    for name in ("job", "pay", "town", "zip", "town_X_job"):
        np.testing.assert_array_equal(np.sum(parts[name], axis=1), np.ones(40))
    quarters = np.sum(parts["pay"], axis=0)
    assert quarters.min() >= 8 and quarters.max() <= 12
    hashed = layers.Hashing(7, output_mode="one_hot")(TABLE["zip"][:, None])
    np.testing.assert_array_equal(parts["zip"], hashed)


def test_parts_are_joined_by_name_and_single_rows_have_no_batch():
    whole = adapted()(TABLE)
    parts = adapted(output_mode="dict")(TABLE)
    assert whole.shape == (40, 33) and whole.dtype == "float32"
    np.testing.assert_array_equal(whole, np.concatenate(list(parts.values()), axis=1))
    one = adapted()({name: column[3] for name, column in TABLE.items()})
    np.testing.assert_allclose(one, whole[3], rtol=1e-6)


def test_tables_come_in_many_forms():
    wanted = adapted()(TABLE)
    frame = pd.DataFrame(TABLE)
    batches = [{n: c[i : i + 8] for n, c in TABLE.items()} for i in range(0, 40, 8)]
    for data in (frame, batches):
        space = FeatureSpace(KINDS, crosses=[("town", "job")], crossing_dim=9)
        space.adapt(data)
        np.testing.assert_allclose(space(frame), wanted, atol=1e-5)


def test_a_model_is_made_of_symbolic_columns():
    numbers = {name: TABLE[name] for name in ("age", "pay")}
    space = FeatureSpace({"age": "float_normalized", "pay": "float_rescaled"})
    space.adapt(numbers)
    model = kerasish.Model(space.get_inputs(), layers.Dense(1)(space.get_encoded_features()))
    model.compile("sgd", "mse")
    columns = {name: column[:, None] for name, column in numbers.items()}
    model.fit(columns, TABLE["pay"], verbose=0)
    dense = model.layers[-1]
    np.testing.assert_allclose(
        model.predict(columns, verbose=0), dense(space(numbers)), rtol=1e-4, atol=1e-5
    )


def test_files_bring_it_back(tmp_path):
    space = adapted()
    space.save(tmp_path / "space.keras")
    again = kerasish.saving.load_model(tmp_path / "space.keras")
    np.testing.assert_array_equal(again(TABLE), space(TABLE))
    anew = FeatureSpace.from_config(space.get_config())
    anew.adapt(TABLE)
    np.testing.assert_array_equal(anew(TABLE), space(TABLE))


def test_own_layers_and_ints():
    own = FeatureSpace.feature("string", layers.StringLookup(vocabulary=["a"]), "int")
    space = FeatureSpace({"x": own}, output_mode="dict")
    np.testing.assert_array_equal(space({"x": ["a", "b"]})["x"], [[1], [0]])


ERRORS = {
    r"`features` must be a dict of at least one": lambda: FeatureSpace({}),
    r"`features\['x'\]` must be a `Feature` or one of": lambda: FeatureSpace({"x": "number"}),
    r"`output_mode` must be 'concat' or 'dict'": lambda: FeatureSpace({"x": "float"}, "list"),
    r"`crosses` must be of columns among \['x'\]; got \['y'\]": lambda: FeatureSpace(
        {"x": "float"}, crosses=[("x", "y")]
    ),
    r"it has not seen data yet": lambda: FeatureSpace({"x": "float_normalized"})({"x": [1.0]}),
    r"`data` must be a dict of columns": lambda: FeatureSpace({"x": "float"})([1.0]),
    r"`dataset` must be a dict": lambda: FeatureSpace({"x": "float"}).adapt(3),
    r"`features` must be numbers or one-hot": lambda: FeatureSpace(
        {"x": FeatureSpace.integer_hashed(3, output_mode="int")}
    )({"x": [1]}),
    r"`output_mode` must be one of": lambda: FeatureSpace.string_hashed(3, output_mode="tf_idf"),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
