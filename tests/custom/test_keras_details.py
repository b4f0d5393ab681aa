"""Details that programs made for Keras rely on: the same small program under both."""

import collections
import contextlib
import io
import warnings

import jax
import numpy as np
import pandas as pd
import pytest
from jax.experimental import sparse

import kerasish
from tests.support.keras_oracle import both

pytestmark = pytest.mark.filterwarnings(
    "ignore:Explicitly requested dtype int64 requested in ShapeDtypeStruct:UserWarning"
)
X = np.random.default_rng(0).uniform(size=(8, 3)).astype("float32")
Y = np.random.default_rng(1).uniform(size=(8, 1)).astype("float32")


def dense(keras, **options):
    return keras.layers.Dense(1, kernel_initializer="ones", **options)


def linear(keras):
    model = keras.Sequential([keras.Input((3,)), dense(keras)])
    model.compile("sgd", "mse")
    return model


def losses(model, *data, **options):
    return model.fit(*data, verbose=0, shuffle=False, **options).history["loss"]


def deques(keras):
    tree = keras.tree
    nest = collections.deque([1, 2, (3, {"a": 4})], maxlen=5)
    doubled = tree.map_structure(lambda x: 2 * x, nest)
    return [
        tree.flatten(nest),
        [path for path, _ in tree.flatten_with_path(nest)],
        [type(doubled).__name__, doubled.maxlen, list(doubled)],
        list(tree.pack_sequence_as(nest, [5, 6, 7, 8])),
        tree.is_nested(nest),
        list(tree.map_structure(lambda a, b: a - b, nest, doubled)),
        list(tree.traverse(lambda x: 0 if x == 2 else None, nest)),
    ]


def logical_operators(keras):
    v = keras.Variable([0, 1, 6], dtype="int32")
    return [v & 2, v | 0, v ^ 1, 2 & v, 0 | v, 1 ^ v, v & keras.Variable([1.5, 0.0, 2.0])]


def dict_into_sequential(keras):
    class Double(keras.layers.Layer):
        def call(self, x):
            return {name: 2 * value for name, value in x.items()}

    class Add(keras.layers.Layer):
        def call(self, x):
            return x["a"] + x["b"]

    model = keras.Sequential([Double(), Add(), dense(keras)])
    model.compile("sgd", "mse")
    x = {"a": X, "b": X[::-1].copy()}
    return [model(x), losses(model, x, Y), model.predict(x, verbose=0), len(model.weights)]


def list_into_sequential(keras):
    model = keras.Sequential([keras.layers.Concatenate(), dense(keras)])
    model.compile("sgd", "mse")
    return [model([X, X]), losses(model, [X, X], Y), model.predict([X, X], verbose=0)]


def layer_without_shape_inference(keras):
    class Shift(keras.layers.Layer):
        def call(self, x):
            return x + 1

        def compute_output_spec(self, *args, **kwargs):
            raise NotImplementedError

    return keras.Sequential([Shift()])(X)


def compiled_copies(keras):
    model = linear(keras)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return [copy.compiled, copy.optimizer is model.optimizer, losses(copy, X, Y)]


def state_changed_by_calls(keras):
    class Counter(keras.Model):
        def __init__(self):
            super().__init__()
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
            self.head = dense(keras)

        def call(self, x):
            self.calls.assign(self.calls + 1)
            return self.head(x)

    class Watch(keras.callbacks.Callback):
        seen = ()

        def on_train_batch_end(self, batch, logs=None):
            self.seen += (int(self.model.calls), float(self.model.head.bias[0]))

    model, watch = Counter(), Watch()
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, shuffle=False, callbacks=[watch])
    return list(watch.seen)


def functions_without_their_package(keras):
    @keras.saving.register_keras_serializable("details")
    def halved(x):
        return x / 2

    config = {"module": "builtins", "class_name": "function", "config": "halved"}
    config["registered_name"] = "function"
    return keras.saving.deserialize_keras_object(config) is halved


def schedulers_say(keras):

    said = io.StringIO()
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch), verbose=1),
        keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9.0, verbose=1),
        keras.callbacks.EarlyStopping("loss", patience=1, min_delta=9.0, verbose=1),
    ]
    for callback in callbacks:
        with contextlib.redirect_stdout(said):
            linear(keras).fit(X, Y, epochs=3, verbose=0, callbacks=[callback])
    return said.getvalue()


def monitor_operators(keras):
    found = []
    for mode in ("min", "max"):
        callback = keras.callbacks.EarlyStopping("val_loss", mode=mode)
        callback._set_monitor_op()
        found.append(callback.monitor_op.__name__)
    return found


def batches_of_other_sizes(keras):
    inputs = keras.Input((3,), batch_size=4)
    model = keras.Model(inputs, dense(keras)(inputs))
    return [model(X), model.predict(X, batch_size=8, verbose=0)]


def functional_inside(keras):
    model = keras.Sequential([keras.Input((3,)), dense(keras)])
    return [type(model._functional).__name__, keras.Sequential([dense(keras)])._functional]


PROGRAMS = [
    batches_of_other_sizes,
    functional_inside,
    deques,
    logical_operators,
    dict_into_sequential,
    list_into_sequential,
    layer_without_shape_inference,
    compiled_copies,
    state_changed_by_calls,
    functions_without_their_package,
    schedulers_say,
    monitor_operators,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_programs_give_what_keras_gives(program):
    both(program)


# -- what Keras refuses or does otherwise


def test_models_in_binary_files():
    model, file = linear(kerasish), io.BytesIO()
    model.save(file)
    file.seek(0)
    twin = kerasish.saving.load_model(file)
    np.testing.assert_array_equal(twin(X), model(X))
    assert twin.compiled


@pytest.mark.parametrize(
    "rate", [np.array(0.1), np.array(0.1, "float32"), jax.numpy.array(0.1), np.float32(0.1)]
)
def test_learning_rates_in_arrays(rate):
    optimizer = kerasish.optimizers.SGD(rate)
    assert optimizer.get_config()["learning_rate"] == pytest.approx(0.1)


def test_layers_take_tables():
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    layers = kerasish.layers
    for layer in (layers.Normalization(mean=0.5, variance=2.0), layers.Dense(2), layers.ReLU()):
        np.testing.assert_array_equal(layer(table), layer(X))
    model = linear(kerasish)
    np.testing.assert_array_equal(model(table), model(X))
    cuts = layers.Discretization(bin_boundaries=[0.5])
    np.testing.assert_array_equal(cuts(table["a"]), cuts(X[:, 0]))


class AsArray:
    def __array__(self, dtype=None):
        return X


def test_layers_take_what_can_be_an_array():
    layer = kerasish.layers.Dense(2)
    np.testing.assert_array_equal(layer(AsArray()), layer(X))


@pytest.mark.parametrize("source", ["matrix", "batches"])
def test_sparse_matrices_of_jax(source):
    half = np.where(X > 0.5, X, 0)
    matrix = sparse.BCOO.fromdense(half, nse=20)
    parts = ((sparse.BCOO.fromdense(half[i : i + 4]), Y[i : i + 4]) for i in (0, 4))
    data = (matrix, Y) if source == "matrix" else (parts,)
    options = {"batch_size": 4} if source == "matrix" else {}
    got = losses(linear(kerasish), *data, **options)
    assert got == pytest.approx(losses(linear(kerasish), half, Y, batch_size=4), rel=1e-5)
    model = linear(kerasish)
    np.testing.assert_allclose(model.predict(matrix, verbose=0), model.predict(half, verbose=0))


def test_sparse_gradients():
    weights = [kerasish.Variable(np.ones((4, 2))) for _ in range(2)]
    gradient = sparse.BCOO.fromdense(np.eye(4, 2, dtype="float32"))
    for weight, g in zip(weights, (gradient, gradient.todense()), strict=True):
        kerasish.optimizers.Adam(0.1).apply([g], [weight])
    np.testing.assert_array_equal(*weights)


class Holder(kerasish.layers.Layer):
    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {**super().get_config(), "inner": self.inner}


def test_objects_left_in_a_config(tmp_path):
    model = kerasish.Sequential([kerasish.Input((3,)), Holder(kerasish.layers.Dense(2))])
    model.save(tmp_path / "model.keras")
    twin = kerasish.saving.load_model(tmp_path / "model.keras", CLASSES)
    np.testing.assert_array_equal(twin(X), model(X))


class Cyclic(kerasish.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [kerasish.layers.Dense(2)]
        self.blocks.append(self.blocks)
        self.named = {"again": self.blocks}
        self.named["self"] = self.named

    def call(self, x):
        return self.blocks[0](x)


def test_containers_that_hold_themselves(tmp_path):
    model = Cyclic()
    model(X)
    assert len(model.weights) == 2
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        kerasish.saving.load_model(tmp_path / "model.keras", CLASSES)(X), model(X)
    )


class OwnCompile(kerasish.Sequential):
    def compile(self, speed, **kwargs):
        super().compile("sgd", "mse")


def test_a_compile_of_ones_own_is_not_called_by_loading(tmp_path):
    model = OwnCompile([kerasish.Input((3,)), kerasish.layers.Dense(1)])
    model.compile(speed=3)
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match=r"OwnCompile: `compile\(\)` was not called"):
        assert not kerasish.saving.load_model(tmp_path / "model.keras", CLASSES).compiled


def test_lambdas_from_configs_are_refused_in_either_mode():
    config = kerasish.layers.Lambda(lambda x: x).get_config()
    for safe_mode in (True, False, None):
        with pytest.raises(ValueError, match="The config holds a lambda"):
            kerasish.layers.Lambda.from_config(dict(config), safe_mode=safe_mode)
    named = kerasish.layers.Lambda(kerasish.activations.relu).get_config()
    assert kerasish.layers.Lambda.from_config(named, safe_mode=True)(-1.0) == 0


def test_inputs_that_are_left_out_are_warned_of_once():
    a = kerasish.Input((3,), name="a")
    model = kerasish.Model({"a": a}, dense(kerasish)(a))
    with pytest.warns(UserWarning, match=r"does not take \['other'\]; its inputs are \['a'\]"):
        model({"a": X, "other": X})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model({"a": X, "other": X})


def test_a_list_for_a_dict_of_inputs_is_warned_of():
    a, b = (kerasish.Input((3,), name=name) for name in "ab")
    model = kerasish.Model({"a": a, "b": b}, dense(kerasish)(a - b))
    with pytest.warns(UserWarning, match="it has a dict of inputs, .* and was given a list"):
        got = model([X, 0 * X])
    np.testing.assert_array_equal(got, model({"a": X, "b": 0 * X}))


def test_a_missing_input_is_named():
    with pytest.raises(ValueError, match="is None, but it is not optional"):
        linear(kerasish).fit([None], Y, verbose=0)


def test_a_data_set_without_a_length_can_be_read():
    class Endless(kerasish.utils.PyDataset):
        def __getitem__(self, index):
            return index

    numbers = iter(Endless())
    assert [next(numbers) for _ in range(3)] == [0, 1, 2]


def test_copies_from_inputs_of_another_structure_are_refused():
    a, b = (kerasish.Input((3,), name=name) for name in "ab")
    model = kerasish.Model({"a": a, "b": b}, a + b)
    with pytest.raises(ValueError, match="`input_tensors` must be of the structure of the model's"):
        kerasish.models.clone_model(model, input_tensors=(a, b))


def test_muons_helpers():
    muon = kerasish.optimizers.Muon(rms_rate=0.2)
    matrix = jax.numpy.asarray(X)
    np.testing.assert_allclose(muon.lr_adjust(matrix), X * 0.2 * np.sqrt(8), rtol=1e-6)
    flat = muon.zeropower_via_newtonschulz5(matrix, 20)
    np.testing.assert_allclose(np.linalg.svd(flat)[1], 1, atol=0.35)  # as near as its steps come


CLASSES = {cls.__name__: cls for cls in (Holder, Cyclic, OwnCompile)}


def test_weights_are_found_under_another_name_of_their_layer(tmp_path):
    def program(keras):
        class Plain(keras.Model):
            def __init__(self):
                super().__init__()
                self.head = keras.layers.Dense(2)

            def call(self, x):
                return self.head(x)

        class Renamed(keras.Model):
            def __init__(self):
                super().__init__()
                self.a_head = keras.layers.Dense(2)  # comes first, and is in no file

            @property
            def head(self):
                return self.a_head

            def call(self, x):
                return self.head(x)

        plain, renamed = Plain(), Renamed()
        plain(X), renamed(X)
        path = tmp_path / f"{keras.__name__}.weights.h5"
        plain.save_weights(path)
        renamed.load_weights(path)
        return float(np.abs(np.asarray(plain(X)) - np.asarray(renamed(X))).max())

    assert both(program) == 0


class Blocks(kerasish.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [(kerasish.layers.Dense(3, name=f"block_{i}"),) for i in range(2)]
        self.out = kerasish.layers.Dense(1)

    def call(self, x):
        for (block,) in self.blocks:
            x = block(x)
        return self.out(x)


def test_containers_in_containers_of_older_files(tmp_path):
    """Keras held their layers as the model's own before it looked into them."""
    import h5py

    model, twin = Blocks(), Blocks()
    model(X), twin(X)
    model.save_weights(tmp_path / "new.weights.h5")
    with (
        h5py.File(tmp_path / "new.weights.h5") as new,
        h5py.File(tmp_path / "old.weights.h5", "w") as old,
    ):
        for i, source in enumerate(
            ("blocks/container/dense", "blocks/container_1/dense", "layers/dense_2")
        ):
            target = f"layers/dense_{i}" if i else "layers/dense"
            for name, array in new[source]["vars"].items():
                old[f"{target}/vars/{name}"] = array[()]
    twin.load_weights(tmp_path / "old.weights.h5")
    np.testing.assert_array_equal(twin(X), model(X))


def test_folders_keep_their_names_and_files(tmp_path):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        for i in range(3):
            kerasish.utils.save_img(tmp_path / kind / f"{i}.png", np.zeros((4, 4, 3)))
    files = kerasish.utils.image_dataset_from_directory(
        tmp_path, image_size=(4, 4), batch_size=2, shuffle=False, verbose=False
    )
    for made in (files.map(lambda x, y: (x, y)).cache(), files.shuffle(), files.prefetch()):
        assert made.class_names == ["a", "b"]
        assert made.file_paths == files.file_paths
    assert files.map(lambda x, y: x).take(2).file_paths == files.file_paths[:4]
    assert files.skip(2).cache().file_paths == files.file_paths[4:]
    assert not hasattr(files.cache(), "labels_of_files")
