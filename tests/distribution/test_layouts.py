"""Meshes, layouts and maps: Keras' names and semantics, and what is said about bad ones."""

import copy
import pickle

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

import kerasish as keras
from kerasish import distribution as dist
from kerasish import layers


@pytest.fixture
def mesh():
    return dist.DeviceMesh((4, 2), ("batch", "model"))


def test_public_names_are_keras(monkeypatch):
    oracle = pytest.importorskip("keras").distribution
    missing = {n for n in dir(oracle) if not n.startswith("_")} - set(dist.__all__)
    assert not missing


def test_devices():
    assert dist.list_devices() == [f"cpu:{i}" for i in range(8)]
    assert dist.get_device_count("CPU") == 8
    with pytest.raises(ValueError, match=r"of kind .*'cpu'.*got 'tpu'"):
        dist.list_devices("tpu")


def test_mesh(mesh):
    assert (mesh.shape, mesh.axis_names, mesh.devices.shape) == ((4, 2), ("batch", "model"), (4, 2))
    assert mesh.backend_mesh.shape == {"batch": 4, "model": 2}
    assert all("Auto" in str(kind) for kind in mesh.backend_mesh.axis_types)
    assert (mesh.size("model"), mesh.size(("batch", "model")), mesh.size(None)) == (2, 8, 1)
    named = dist.DeviceMesh((2,), ["batch"], devices=["cpu:3", jax.devices()[1]])
    assert [d.id for d in named.backend_mesh.devices] == [3, 1]
    assert dist.DeviceMesh((1,), ["batch"], ["cpu"]).backend_mesh.devices[0].id == 0


BAD_MESHES = {
    "a grid of the 8 devices; got (3, 2)": ((3, 2), ("a", "b")),
    "a name of its own for each axis of (8,); got ('a', 'b')": ((8,), ("a", "b")),
    "a name of its own for each axis of (4, 2); got ('a', 'a')": ((4, 2), ("a", "a")),
    "a name of its own for each axis of (); got ()": ((), ()),
    "different ones; got ['cpu:0', 'cpu:0']": ((2,), ("a",), ["cpu:0", "cpu:0"]),
    "among ['cpu:0', ": ((1,), ("a",), ["cpu:99"]),
}


@pytest.mark.parametrize("text", BAD_MESHES)
def test_bad_meshes(text):
    with pytest.raises(ValueError) as error:
        dist.DeviceMesh(*BAD_MESHES[text])
    assert text in str(error.value)


def test_layout(mesh):
    layout = dist.TensorLayout((None, "model", None), mesh)
    assert layout.backend_layout.spec == PartitionSpec(None, "model")
    free = dist.TensorLayout((None,))
    with pytest.raises(ValueError, match="`device_mesh` must be given before the layout is used"):
        _ = free.backend_layout
    free.device_mesh = mesh
    with pytest.raises(ValueError, match="`device_mesh` must be set once"):
        free.device_mesh = mesh
    with pytest.raises(ValueError, match=r"names of the axes of .* got .'modell'.*Did you mean"):
        dist.TensorLayout(("modell",), mesh)
    for bad in ("batch", ("batch", None, "batch")):
        with pytest.raises(ValueError, match="`axes` must be a tuple of mesh axes, each at most"):
            dist.TensorLayout(bad, mesh)


def test_layout_map(mesh):
    layouts = dist.LayoutMap(mesh)
    layouts["dense.*/kernel"] = (None, "model")
    layouts["dense_1/bias"] = dist.TensorLayout(("model",))
    assert layouts["dense_1/kernel"].axes == (None, "model")
    assert layouts["dense_1/bias"].device_mesh is mesh
    assert layouts["conv/kernel"] is None and layouts["my/dense/kernel"] is None
    assert "dense_1/kernel" in layouts and "conv/kernel" not in layouts
    assert list(layouts) == ["dense.*/kernel", "dense_1/bias"] and len(layouts) == 2
    with pytest.raises(ValueError, match="must be new"):
        layouts["dense_1/bias"] = ("model",)
    with pytest.raises(ValueError, match="must be a TensorLayout or a tuple"):
        layouts["a"] = "model"
    with pytest.raises(ValueError, match=r"must be a regular expression .*; got '\('"):
        layouts["("] = ("model",)
    layouts["dense_1/.*"] = (None,)
    with pytest.raises(ValueError, match="'dense_1/kernel' matches several rules"):
        _ = layouts["dense_1/kernel"]
    del layouts["dense_1/.*"]
    assert len(layouts) == 2


def model_parallel(mesh, strict=False, **rules):
    layouts = dist.LayoutMap(mesh, strict=strict)
    for name, axes in rules.items():
        layouts[f".*{name}"] = axes
    return dist.ModelParallel(layout_map=layouts, batch_dim_name="batch")


def test_a_rule_that_does_not_fit_names_weight_rule_and_mesh(mesh):
    with model_parallel(mesh, kernel=(None, "model")).scope(), pytest.raises(ValueError) as error:
        layers.Dense(5, name="head").build((None, 4))
    assert str(error.value).startswith(
        "Weight 'head/kernel' of shape (4, 5) cannot be laid out as (None, 'model') by the rule "
        "'.*kernel' on <DeviceMesh batch=4, model=2>: axis 1 of size 5 does not divide over 2 "
        "devices ('model')."
    )
    why = pytest.raises(ValueError, match="it has 1 axes, the layout 2")
    with model_parallel(mesh, bias=("model", None)).scope(), why:
        layers.Dense(4).build((None, 4))
    with model_parallel(mesh, kernel=("model",)).scope():  # the other axis is whole, as for JAX
        layer = layers.Dense(5)
        layer.build((None, 4))
    assert spec(layer.kernel) == PartitionSpec("model")


def test_a_rule_for_what_a_layer_computes(mesh):
    x = np.ones((4, 3), "float32")
    with model_parallel(mesh, output=("batch", "model")).scope():
        run = keras.jit(layers.Dense(4))
        assert run(x).sharding.spec == PartitionSpec("batch", "model")
        assert run(x[:3]).sharding.spec == PartitionSpec(None, "model")  # rows may be left over
        with pytest.raises(ValueError, match=r"'odd/output', of shape \(4, 5\).*axis 1 of size 5"):
            keras.jit(layers.Dense(5, name="odd"))(x)


def test_weights_without_a_rule_are_said(mesh):
    with model_parallel(mesh, kernel=(None, "model"), kernle=(None, None)).scope():
        layer = layers.Dense(4, name="head")
        layer.build((None, 8))
        report = dist.distribution().report(layer)
    assert (report.unmatched, report.unused) == (["head/bias"], [".*kernle"])
    assert (report.bytes, report.bytes_per_device) == (144, 80)
    assert "No rule matches" in repr(report) and "<table>" in report._repr_html_()
    with model_parallel(mesh, strict=True, kernel=(None, "model")).scope():
        with pytest.raises(ValueError, match=r"Weight 'head/bias' .* none of the rules .* strict"):
            layer = layers.Dense(4, name="head")
            layer.build((None, 8))
        keras.metrics.Mean()  # metrics, seeds and counters need no rule
        keras.optimizers.SGD()
        layers.Dropout(0.5)


def test_bad_distributions(mesh):
    with pytest.raises(ValueError, match="`layout_map` must be a LayoutMap; got None"):
        dist.ModelParallel()
    with pytest.raises(ValueError, match=r"`batch_dim_name` must be an axis of .*; got 'x'"):
        dist.ModelParallel(layout_map=dist.LayoutMap(mesh), batch_dim_name="x")
    with pytest.raises(ValueError, match="`device_mesh` must be a DeviceMesh"):
        dist.DataParallel(device_mesh=jax.devices())
    with pytest.raises(ValueError, match="`device_mesh` must be of two axes"):
        dist.TensorParallel(dist.DeviceMesh((8,), ("model",)))
    with pytest.raises(ValueError, match="`value` must be a Distribution or None"):
        dist.set_distribution(mesh)
    with pytest.warns(UserWarning, match="splits batches along 'batch' only"):
        dist.DataParallel(mesh)


def test_replicas(mesh):
    assert dist.DataParallel().num_model_replicas == 8
    assert dist.TensorParallel(mesh).num_model_replicas == 4
    assert dist.DataParallel(devices=["cpu:0", "cpu:1"]).num_model_replicas == 2
    assert dist.DataParallel(devices=[]).num_model_replicas == 8
    assert (dist.DataParallel().num_processes, dist.DataParallel().data_shard_id) == (1, 0)
    assert dist.DataParallel().get_data_layout((8, 3)).axes == ("batch", None)
    assert dist.DataParallel().get_tensor_layout("any") is None


LAYERS = {
    "wide dense": (lambda: layers.Dense(64), (None, 8), [(None, "model"), ("model",)]),
    "narrow dense": (lambda: layers.Dense(8), (None, 64), [("model", None), (None,)]),
    "odd dense": (lambda: layers.Dense(9), (None, 3), [(None, None), (None,)]),
    "words": (lambda: layers.Embedding(10, 4), (None,), [("model", None)]),
    "odd words": (lambda: layers.Embedding(9, 4), (None,), [(None, "model")]),
    "einsum": (
        lambda: layers.EinsumDense("ab,bcd->acd", (4, 8), bias_axes="d"),
        (None, 4),
        [(None, None, "model"), ("model",)],
    ),
    "heads": (
        lambda: layers.GroupQueryAttention(4, 4, 2),
        ((None, 6, 8), (None, 6, 8)),
        [(None, "model", None), ("model", None)] * 3 + [("model", None, None), (None,)],
    ),
    "convolution": (lambda: layers.Conv1D(8, 2), (None, 6, 4), [(None,) * 3, (None,)]),
    "normalization": (lambda: layers.LayerNormalization(), (None, 8), [(None,), (None,)]),
}


@pytest.mark.parametrize("case", LAYERS)
def test_tensor_parallel_rules(case, mesh):
    make, shape, expected = LAYERS[case]
    with dist.TensorParallel(mesh).scope():
        layer = make()
        layer.build(*(shape if isinstance(shape[0], tuple) else (shape,)))
        found = [dist.distribution().get_variable_layout(v).axes for v in layer.weights]
    assert found == expected


def test_fully_sharded_rules(mesh):
    full = dist.FullySharded(min_size=100)

    def axes(distribution, *shape):
        return distribution.get_variable_layout(keras.Variable(np.zeros(shape, "float32"))).axes

    assert axes(full, 16, 32) == (None, "batch")
    assert axes(full, 40, 9) == ("batch", None)
    assert axes(full, 9, 33) == (None, None)
    assert axes(full, 8) == (None,)
    both = dist.FullyShardedTensorParallel(mesh, min_size=1)
    with both.scope():
        layer = layers.Dense(8)
        layer.build((None, 4))
    assert [both.get_variable_layout(v).axes for v in layer.weights] == [
        ("batch", "model"),
        ("model",),
    ]


def spec(variable):
    return variable.value.sharding.spec


def test_variables_stay_where_they_lie(mesh):
    layout = dist.TensorLayout((None, "model"), mesh)
    v = keras.Variable(np.ones((2, 4), "float32"), layout=layout)
    assert spec(v) == PartitionSpec(None, "model")
    v.assign(np.zeros((2, 4)))
    v.assign_add(1.0)
    v.assign([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert spec(v) == PartitionSpec(None, "model") and v.numpy()[1, 3] == 8
    assert spec(copy.deepcopy(v)) == PartitionSpec(None, "model")
    assert pickle.loads(pickle.dumps(v)).numpy()[1, 3] == 8
    drawn = keras.Variable("zeros", shape=(4, 4), layout=dist.TensorLayout(("batch", None), mesh))
    assert spec(drawn) == PartitionSpec("batch")
    follower = keras.Variable(np.zeros((2, 4)), layout=v)
    assert spec(follower) == PartitionSpec(None, "model")
    with pytest.raises(ValueError, match="axis 1 of size 3 does not divide"):
        keras.Variable(np.ones((2, 3)), layout=layout)


def test_a_large_weight_is_drawn_in_parts(monkeypatch):
    initializer = keras.initializers.RandomNormal(seed=1)
    expected = initializer((64, 32), "float32")
    monkeypatch.setattr("kerasish.initializers.host_random._LARGE", 64)
    put, seen = jax.device_put, []
    monkeypatch.setattr(jax, "device_put", lambda x, *a, **k: seen.append(x) or put(x, *a, **k))
    with dist.FullySharded(min_size=16).scope():
        v = keras.Variable(initializer, shape=(64, 32), dtype="float32")
    assert {s.data.shape for s in v.value.addressable_shards} == {(8, 32)}
    np.testing.assert_allclose(v.numpy(), expected, rtol=1e-5, atol=1e-7)
    assert max(np.size(x) for x in [0, *seen]) < 64


def test_distribute_tensor(mesh):
    layout = dist.TensorLayout(("batch", None), mesh)
    x = dist.distribute_tensor(np.ones((4, 2)), layout)
    assert x.sharding.spec == PartitionSpec("batch") and x.dtype == "float32"
    assert jax.jit(lambda x: dist.distribute_tensor(x, layout))(x).sharding.spec[0] == "batch"
    symbolic = keras.Input((3,))
    assert dist.distribute_tensor(symbolic, layout) is symbolic
    assert dist.distribute_tensor(x, dist.TensorLayout(("model",), mesh)).shape == (4, 2)
    with pytest.raises(ValueError, match=r"of shape \(3, 2\): axis 0 of size 3 does not divide"):
        dist.distribute_tensor(np.ones((3, 2)), layout)


def test_full_batches_must_divide():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((60, 3), "float32"), np.ones((60, 1), "float32")

    def stream(*sizes):
        yield from ((x[:n], y[:n]) for n in sizes)

    refused = r"30 rows does not divide over the 8 devices .* Give batches of 24 or 32 rows"
    with dist.DataParallel().scope():
        for run in (
            lambda: model.fit(x, y, 30, verbose=0),
            lambda: model.fit(stream(8, 30, 30), verbose=0),
            lambda: model.predict(x, 30, verbose=0),
        ):
            with pytest.raises(ValueError, match=refused):
                run()
        model.fit(x, y, 32, verbose=0)
        model.evaluate(stream(3, 8, 3, 3, 30), verbose=0)
        assert model.predict(x[:30], 30, verbose=0).shape == (30, 1)
