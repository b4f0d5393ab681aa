"""Models under ONNX Runtime: every layer, whole models, any batch; and what they are told."""

import collections
import inspect
import json

import jax
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers, ops
from kerasish.export.inference import function_inference
from tests.support.export_models import MODELS, random_inputs
from tests.support.layer_cases import CASES, arguments

pytest.importorskip("jax2onnx", reason="needs jax2onnx: `pip install kerasish[onnx]`")
pytest.importorskip("onnx", reason="needs onnx: `pip install kerasish[onnx]`")
ort = pytest.importorskip("onnxruntime", reason="needs onnxruntime: `pip install kerasish[onnx]`")

import onnx

from kerasish.export.onnx_format import write_onnx
from kerasish.export.onnx_graph import operators

pytestmark = [
    # What jax2onnx and the libraries under it are warned of.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:jax2onnx.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

# Layers whose export differs by more than 1e-5, or is refused, and why. None today.
EXCEPTIONS: dict[str, str] = {}
# A layer of each kind for the fast tests; all of them are exported in the slow ones.
FAST = ("Dense", "Conv3DTranspose", "MaxPooling2D", "GRU", "Bidirectional", "Dropout", "Embedding")


def session(path):
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def once_each(cases):
    first = {}
    for case in cases:
        first.setdefault(case.name, case)
    return [first[name] for name in FAST]


def check_layer(case, path):
    layer, x = case.make(layers), arguments(case.inputs())
    layer(*x)
    takes_training = "training" in inspect.signature(layer.call).parameters
    options = {"training": False} if takes_training else {}
    flat, structure = jax.tree.flatten(x)
    signature = [
        keras.KerasTensor((None, *a.shape[1:]), a.dtype.name, name=f"x{i}")
        for i, a in enumerate(flat)
    ]
    program = function_inference(
        lambda *a: layer(*a, **options), list(jax.tree.unflatten(structure, signature)), "layer"
    )
    write_onnx(program, path)
    run = session(path)
    for rows in (len(flat[0]), 5):
        arrays = [np.resize(a, (rows, *a.shape[1:])) for a in flat]
        found = run.run(None, {f"x{i}": a for i, a in enumerate(arrays)})
        wanted = jax.tree.leaves(layer(*jax.tree.unflatten(structure, arrays), **options))
        for got, one in zip(found, wanted, strict=True):
            assert got.shape == one.shape
            np.testing.assert_allclose(got, np.asarray(one), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", once_each(CASES), ids=lambda case: case.id)
def test_a_layer_of_each_kind(case, tmp_path):
    check_layer(case, tmp_path / "layer.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_layer(case, tmp_path):
    if case.name in EXCEPTIONS:
        with pytest.raises(ValueError, match="export: layer '"):
            check_layer(case, tmp_path / "layer.onnx")
    else:
        check_layer(case, tmp_path / "layer.onnx")


def test_few_layers_are_exceptions():
    names = {case.name for case in CASES}
    assert set(EXCEPTIONS) <= names and len(EXCEPTIONS) <= 0.05 * len(names)


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_whole_models(make, tmp_path):
    model, path = make(), tmp_path / "model.onnx"
    model.export(path)
    run = session(path)
    assert [value.name for value in run.get_inputs()] == model.input_names
    for rows, size in ((1, 4), (3, 8)):
        x = random_inputs(model, rows, size)
        found = run.run(None, x)
        wanted = jax.tree.leaves(model.predict(x, verbose=0))
        for got, one in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got, one, rtol=1e-5, atol=1e-5)


def test_names_of_outputs_and_metadata(tmp_path):
    model = next(m for m in MODELS if m.__name__ == "several_outputs")()
    model.export(tmp_path / "m.onnx", class_names=["a", "b", "c"])
    names = [value.name for value in session(tmp_path / "m.onnx").get_outputs()]
    assert names == ["class", "h", "same", "sum"]
    loaded = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(loaded, full_check=True)
    found = {p.key: json.loads(p.value) for p in loaded.metadata_props}
    assert found["class_names"] == ["a", "b", "c"]
    assert found["inputs"] == [{"name": "x", "shape": [None, 6], "dtype": "float32"}]
    assert set(found["versions"]) == {"jax", "jax2onnx", "onnx"}
    assert loaded.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 6


def test_an_input_and_an_output_of_one_name(tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, {"x": layers.Dense(2)(x), "in_0": x, "out_0": x * 2})
    model.export(tmp_path / "m.onnx")
    run = session(tmp_path / "m.onnx")
    assert [v.name for v in run.get_outputs()] == ["in_0", "out_0", "x_"]
    data = np.ones((2, 3), "float32")
    wanted = model(data)
    for name in ("in_0", "out_0"):
        np.testing.assert_array_equal(run.run([name], {"x": data})[0], wanted[name])


@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16", "float16"])
def test_short_floats_are_widened(policy, tmp_path):
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(3, dtype=policy)(x))
    model.export(tmp_path / "m.onnx")
    data = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    got = session(tmp_path / "m.onnx").run(None, {"x": data})[0]
    assert got.dtype == "float32"
    wanted = np.asarray(model(data)).astype("float32")
    np.testing.assert_allclose(got, wanted, rtol=3e-2, atol=3e-2)


def test_verify_says_error_size_operators_and_time(tmp_path, capsys):
    model = keras.Sequential(
        [keras.Input((4,), name="x"), layers.Dense(64, "relu"), layers.Dense(2)]
    )
    x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    found = model.export(tmp_path / "m.onnx", verify=x)
    assert found.max_error < 1e-5 and set(found.errors) == {"dense_1"}
    assert found.size == (tmp_path / "m.onnx").stat().st_size
    assert found.operators["Gemm"] == 2 and found.operators["Relu"] == 1
    assert found.ms_per_row > 0 and found.predict_ms_per_row > 0
    printed = capsys.readouterr().out
    assert "differ by" in printed and "ms a row" in printed and "operators:" in printed
    model.set_weights([w * 2 for w in model.get_weights()])
    assert keras.export.verify(tmp_path / "m.onnx", model, x).max_error > 1e-3


@pytest.mark.parametrize(
    ("optimize", "most", "ratio"), [("int8", 0.1, 0.4), ("float16", 1e-2, 0.6)]
)
def test_smaller_files(optimize, most, ratio, tmp_path):
    model = keras.Sequential(
        [keras.Input((64,), name="x"), layers.Dense(256, "relu"), layers.Dense(10, "softmax")]
    )
    x = np.random.default_rng(0).normal(size=(16, 64)).astype("float32")
    model.export(tmp_path / "m.onnx")
    found = model.export(tmp_path / "small.onnx", optimize=optimize, verify=x, verbose=False)
    assert 0 < found.max_error < most
    assert found.size < ratio * (tmp_path / "m.onnx").stat().st_size


def test_large_weights_lie_beside(tmp_path):
    model = keras.Sequential([keras.Input((64,), name="x"), layers.Dense(256)])
    program = keras.export.inference.model_inference(model)
    write_onnx(program, tmp_path / "m.onnx", large=1000)
    assert (tmp_path / "m.onnx.data").stat().st_size >= 64 * 256 * 4
    x = np.ones((3, 64), "float32")
    found = keras.export.verify(tmp_path / "m.onnx", model, x)
    assert found.max_error < 1e-5 and found.size > 64 * 256 * 4


class Noisy(layers.Layer):
    """A layer that draws numbers, in inference too."""

    def call(self, x):
        return x + jax.random.normal(jax.random.key(0), (3,))


def noisy():
    x = keras.Input((3,), name="x")
    return keras.Model(x, Noisy(name="noisy")(layers.Dense(3)(x)))


class Strange(layers.Layer):
    """A layer of what ONNX has no form for."""

    def __init__(self, fn, **kwargs):
        super().__init__(**kwargs)
        self.fn = fn

    def call(self, x):
        return self.fn(x)


REFUSED = {
    "pure_callback": lambda x: jax.pure_callback(np.sin, x, x),
    "log": lambda x: jax.numpy.log(x + 0j).real,
    "pure_callback in a loop": lambda x: jax.lax.map(
        lambda row: jax.pure_callback(np.sin, row, row), x
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_error_names_the_layer(name, tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, Strange(REFUSED[name], name="strange")(layers.Dense(3)(x)))
    with pytest.raises(ValueError, match=r"export: layer '[^']*strange[^']*' computes `"):
        model.export(tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_complex_outputs_are_refused(tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, Strange(lambda x: jax.numpy.fft.fft(x), name="strange")(x))
    with pytest.raises(ValueError, match="outputs are complex numbers"):
        model.export(tmp_path / "m.onnx")


def odd_softmax(axis, turned):
    """What looks like a softmax, and is one along the last axis only if it is not turned."""

    def compute(x):
        top = jax.numpy.max(x, axis)
        y = jax.numpy.exp(x - (top[:, None] if turned else jax.numpy.expand_dims(top, axis)))
        total = jax.numpy.sum(y, axis)
        return y / (total[:, None] if turned else jax.numpy.expand_dims(total, axis))

    return compute


@pytest.mark.parametrize(
    ("axis", "turned", "named"), [(1, False, 1), (-1, False, 1), (0, False, 0), (0, True, 0)]
)
@pytest.mark.parametrize("opset", [11, 12, 13, 21])
def test_softmax_is_named_where_it_is_one(axis, turned, named, opset, tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
    fn, spec = odd_softmax(axis, turned), keras.KerasTensor((3, 3), "float32", name="x")
    write_onnx(function_inference(fn, [spec], "f"), tmp_path / "m.onnx", opset_version=opset)
    np.testing.assert_allclose(
        session(tmp_path / "m.onnx").run(None, {"x": x})[0], fn(x), rtol=1e-5
    )
    loaded = onnx.load(tmp_path / "m.onnx")
    assert [e.version for e in loaded.opset_import] == [opset]
    assert operators(loaded).get("Softmax", 0) == named


def test_old_operators_say_what_they_lack(tmp_path):
    model = keras.Sequential([keras.Input((None, 2), name="x"), layers.LSTM(3)])
    with pytest.raises(ValueError, match=r"does not run the model|no form in version 11"):
        model.export(tmp_path / "m.onnx", opset_version=11)


def test_jax_is_as_it_was(tmp_path):
    keras.Sequential([keras.Input((2,)), layers.Dense(1)]).export(tmp_path / "m.onnx")
    np.testing.assert_array_equal(jax.numpy.cumsum(jax.numpy.ones((2, 3)), 1)[:, -1], [3, 3])


def test_fixed_random_numbers_are_constants(tmp_path):
    model = noisy()
    model.export(tmp_path / "m.onnx")
    x = np.ones((2, 3), "float32")
    assert keras.export.verify(tmp_path / "m.onnx", model, x).max_error < 1e-5


RULES_CASES = {
    "max pooling, dilated": lambda x: jax.lax.reduce_window(
        x, -np.inf, jax.lax.max, (1, 3, 2, 1), (1, 1, 2, 1), "VALID", window_dilation=(1, 2, 1, 1)
    ),
    "max pooling over channels": lambda x: jax.lax.reduce_window(
        x, -np.inf, jax.lax.max, (1, 1, 1, 2), (1, 1, 1, 2), "SAME"
    ),
    "padding between": lambda x: jax.lax.pad(
        x, 3.0, [(0, 0, 0), (1, 2, 2), (-1, -1, 1), (0, 1, 0)]
    ),
    "scan backwards": lambda x: jax.lax.scan(
        lambda c, y: (c * 0.5 + y, c - y), x[:, 0], x.swapaxes(0, 1), reverse=True
    )[1],
    "rfft": lambda x: ops.abs(jax.numpy.fft.rfft(x[..., 0], axis=-1)),
    "fft and back": lambda x: (
        jax.numpy.fft.ifft(jax.numpy.fft.fft(x, axis=1) * jax.numpy.exp(1j * x), axis=1).imag
    ),
    "irfft": lambda x: jax.numpy.fft.irfft(jax.numpy.fft.rfft(x, axis=2) / (1 + 2j), axis=2),
    "complex where": lambda x: abs(
        jax.numpy.where(x > 0, x + 1j, jax.numpy.conj(x * 2j)).reshape(-1, 108).sum(-1)
    ),
    "choice of booleans": lambda x: jax.numpy.where(x > 0, x > 1, x < -1),
    "ifft": lambda x: jax.numpy.fft.ifft(x[..., 0] + 0j, axis=-1).real,
    "searchsorted": lambda x: jax.numpy.searchsorted(jax.numpy.arange(4.0), x),
    "while": lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * 0.5 + i, x),
    "cond": lambda x: jax.lax.cond(x.sum() > 0, lambda y: y + 1, lambda y: y * 2, x),
    "top_k": lambda x: jax.lax.top_k(x[..., 0], 2)[0],
    "argmax": lambda x: jax.numpy.argmax(x, axis=1),
    "one_hot": lambda x: jax.nn.one_hot(jax.numpy.argmax(x, -1), 3),
    "stack": lambda x: jax.numpy.stack([x, 2 * x], axis=1),
    "cumsum": lambda x: jax.numpy.cumsum(x, -1),
    "var": lambda x: jax.numpy.var(x, axis=(1, 2)),
    "einsum": lambda x: jax.numpy.einsum("bhwc,bhvc->bhwv", x, x),
    "nearest": lambda x: jax.image.resize(x, (x.shape[0], 9, 3, 3), "nearest"),
    "antialias": lambda x: jax.image.resize(x, (x.shape[0], 3, 9, 3), "bilinear"),
    "cubic": lambda x: jax.image.resize(x, (x.shape[0], 9, 9, 3), "bicubic"),
    "softplus": jax.nn.softplus,
    "remat": lambda x: jax.checkpoint(lambda y: jax.numpy.sin(y) ** 2)(x),
    "grouped 3-D convolution": lambda x: jax.lax.conv_general_dilated(
        x[:, :, :, None],
        jax.numpy.arange(54.0).reshape(3, 3, 1, 1, 6) / 54,
        (2, 1, 1),
        "SAME",
        rhs_dilation=(1, 2, 1),
        feature_group_count=3,
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
    ),
}


@pytest.mark.parametrize("name", RULES_CASES)
def test_what_users_write_themselves(name, tmp_path):
    fn = RULES_CASES[name]
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    spec = keras.KerasTensor((None, 6, 6, 3), "float32", name="x")
    write_onnx(function_inference(fn, [spec], name), tmp_path / "m.onnx")
    run = session(tmp_path / "m.onnx")
    for rows in (2, 5):
        data = np.resize(x, (rows, *x.shape[1:]))
        wanted = np.asarray(fn(jax.numpy.asarray(data)))
        np.testing.assert_allclose(run.run(None, {"x": data})[0], wanted, rtol=1e-5, atol=2e-5)


def test_nan_comes_last_when_sorting():
    from kerasish.export.portable import trace

    def fn(x):
        return jax.numpy.searchsorted(jax.numpy.array([0.0, 1.0, np.nan]), x)

    data = np.array([-1.0, 0.5, np.nan, np.inf, 1.0], "float32")
    closed = trace(fn, [jax.ShapeDtypeStruct((5,), "float32")])
    got = jax.extend.core.jaxpr_as_fun(closed)(data)[0]
    np.testing.assert_array_equal(got, fn(data))


def test_wrong_options_say_what_is_wanted(tmp_path):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    for options, says in (
        ({"optimize": "int4"}, "`optimize` must be one of"),
        ({"opset_version": 3}, "`opset_version` must be an integer, 11 or more; got 3"),
        ({"platforms": ["cpu"]}, "`options` must be among"),
    ):
        with pytest.raises(ValueError) as raised:
            model.export(tmp_path / "m.onnx", **options)
        assert says in str(raised.value)


def test_operators_are_counted_in_loops(tmp_path):
    model = keras.Sequential([keras.Input((None, 2), name="x"), layers.LSTM(3)])
    found = model.export(tmp_path / "m.onnx", verify=np.ones((2, 5, 2)), verbose=False)
    assert isinstance(found.operators, dict) and found.operators["Tanh"] >= 2
    assert collections.Counter(found.operators).total() > 5
