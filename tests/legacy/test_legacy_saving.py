"""Objects in the form of older Keras, both ways, as Keras has them."""

import pytest

import kerasish
from kerasish.legacy.saving import deserialize_keras_object, serialize_keras_object
from tests.support.keras_oracle import both


def twice(x):
    return 2 * x


def test_data_is_keras():
    def program(k):
        write, read = (
            k.legacy.saving.serialize_keras_object,
            k.legacy.saving.deserialize_keras_object,
        )
        layer = k.layers.Dense(3, activation="relu", kernel_regularizer="l2", name="dense")
        known = {"Dense": k.layers.Dense, "relu": k.activations.relu}
        made = read({"class_name": "Dense", "config": {"units": 4, "name": "x"}}, known)
        found = [write(k.initializers.Constant(2.0)), write(None), write(twice)]
        found += [write(k.losses.Huber(0.5))["class_name"], write(layer)["class_name"]]
        return [*found, made.units, made.name]

    both(program)


def test_goes_both_ways():
    made = kerasish.initializers.RandomNormal(0.5, 2.0, seed=3)
    data = serialize_keras_object(made)
    again = deserialize_keras_object(data, vars(kerasish.initializers))
    assert again.get_config() == made.get_config()
    assert deserialize_keras_object("twice", custom_objects={"twice": twice}) is twice
    assert deserialize_keras_object("Ones", vars(kerasish.initializers)).get_config() == {}
    assert kerasish.utils.legacy.serialize_keras_object is serialize_keras_object


def test_parts_within_configs_come_back():
    class Holder:
        def __init__(self, part):
            self.part = part

        def get_config(self):
            return {"part": self.part}

    known = {"Holder": Holder, **vars(kerasish.initializers)}
    data = serialize_keras_object(Holder(kerasish.initializers.Constant(2.0)))
    assert deserialize_keras_object(data, known).part.value == 2.0


ERRORS = {
    r"`instance` must be an object with `get_config`": lambda: serialize_keras_object(3),
    r"`initializer` must be a known name; got 'Onse'": lambda: deserialize_keras_object(
        "Onse", vars(kerasish.initializers), None, "initializer"
    ),
    r"`identifier` must be a name, or a dict": lambda: deserialize_keras_object({"a": 1}),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
