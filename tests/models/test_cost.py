"""What a model costs: FLOPs by formula, memory by XLA's own numbers, time layer by layer."""

import warnings

import jax
import numpy as np
import pytest

import kerasish as keras
from kerasish import Input, Model, Sequential, layers
from kerasish.core.text_tables import as_html
from kerasish.models.inspection.cost import cost_of, model_cost
from kerasish.models.inspection.summary import cost_lines, layer_rows


def compiled(model, loss="mse"):
    model.compile("adam", loss)
    return model


def network():
    stack = [Input((12, 12, 3)), layers.Conv2D(8, 3, name="conv"), layers.Flatten(name="flat")]
    return Sequential([*stack, layers.Dense(10, name="head")], name="network")


class Own(Model):
    def __init__(self):
        super().__init__()
        self.inner = Sequential([layers.Dense(32, "relu"), layers.Dense(16)], name="inner")
        self.head = layers.Dense(4, name="head")

    def call(self, x, training=None):
        return self.head(self.inner(x))


def by_name(model, costs):
    return {
        layer.name: costs.layers[id(layer)]
        for layer in model._flatten_layers(False)
        if id(layer) in costs.layers
    }


def test_flops_are_those_of_the_formulas():
    model = compiled(network())
    costs = model_cost(model, batch_size=16)
    found = by_name(model, costs)
    conv, head = 2 * 16 * 10 * 10 * 8 * 27, 2 * 16 * 800 * 10
    assert found["conv"].forward.flops == pytest.approx(conv, rel=0.05)
    assert found["head"].forward.flops == pytest.approx(head, rel=0.05)
    assert found["flat"].forward.flops == 0
    # Of the first layer, only the gradient by its weights is needed.
    assert found["conv"].training.flops == pytest.approx(2 * conv, rel=0.1)
    assert found["head"].training.flops == pytest.approx(3 * head, rel=0.05)
    assert costs.forward.flops == pytest.approx(conv + head, rel=0.05)
    assert costs.step.flops == pytest.approx(2 * conv + 3 * head, rel=0.2)
    weights = 4 * (800 * 10 + 10)
    assert found["head"].training.bytes > 2 * weights
    assert costs.step.bytes > costs.forward.bytes > 0


def test_loops_count_as_often_as_they_turn():
    def loop(x, w):
        step = lambda h, _: (jax.lax.scan(lambda h, _: (h @ w, None), h, None, 3)[0], None)  # noqa: E731
        return jax.lax.scan(step, x, None, 7, unroll=2)[0]

    x, w = np.zeros((8, 16), "float32"), np.zeros((16, 16), "float32")
    assert cost_of(loop, x, w).flops == pytest.approx(7 * 3 * 2 * 8 * 16 * 16, rel=0.02)


def test_recurrent_layers_count_all_their_steps():
    model = Sequential([Input((20, 8)), layers.SimpleRNN(16, name="rnn")])
    found = by_name(model, model_cost(model, 4))["rnn"].forward.flops
    assert found == pytest.approx(20 * 2 * 4 * (8 * 16 + 16 * 16), rel=0.15)


def test_layers_inside_others_and_subclassed_models():
    model = Own()
    with pytest.raises(ValueError, match="has no weights yet"):
        model_cost(model)
    model(np.zeros((2, 8), "float32"))
    costs = model_cost(model, 10)
    found = by_name(model, costs)
    inner = 2 * 10 * (8 * 32 + 32 * 16)
    assert found["inner"].forward.flops == pytest.approx(inner, rel=0.1)
    assert costs.forward.flops == pytest.approx(inner + 2 * 10 * 16 * 4, rel=0.1)
    assert costs.step is None, "not compiled"


def test_layers_called_twice_cost_twice():
    x = Input((8,))
    shared = layers.Dense(8, name="shared", use_bias=False)
    model = Model(x, shared(shared(x)))
    assert by_name(model, model_cost(model, 5))["shared"].forward.flops == 2 * (2 * 5 * 8 * 8)


def test_sizes_that_are_not_set_need_a_sample():
    model = Sequential([Input((None, 4)), layers.Dense(8, use_bias=False, name="wide")])
    with pytest.raises(ValueError, match="Give a sample of the inputs"):
        model_cost(model, 2)
    costs = model_cost(model, 2, np.zeros((1, 5, 4), "float32"))
    assert by_name(model, costs)["wide"].forward.flops == 2 * 2 * 5 * 4 * 8


def test_summary_shows_costs():
    said = []
    compiled(network()).summary(cost=True, batch_size=16, print_fn=said.append)
    lines = said[0].splitlines()
    (row,) = [line for line in lines if "head (Dense)" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:4] == ["head (Dense)", "(None, 10)", "8,010", "256 K"]
    assert cells[5].endswith("KB")
    assert any(line.strip().startswith("Training step:") for line in lines)
    assert "One batch of 16, as XLA counts it" in said[0]


MEMORY = {
    "stack": (network, "sparse_categorical_crossentropy", np.zeros((64,), "int32")),
    "subclass": (Own, "mse", None),
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory_is_what_the_run_takes(name):
    make, loss, y = MEMORY[name]
    model = make()
    x = np.zeros((64, *(model.input_shape[1:] if name == "stack" else (8,))), "float32")
    y = np.zeros((64, 4), "float32") if y is None else y
    model(x[:1])
    model = compiled(model, loss)
    guess = model.estimate_memory(16)
    assert model.explain_fit()["train"]["steps_done"] == 0, "nothing has run"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zeros make the loss NaN
        model.fit(x, y, batch_size=16, verbose=0)
    step = model._compiled_steps["train"]
    (program,) = step._programs.values()
    real = step.trace(step.forms()[0]).lower().compile().memory_analysis()
    assert program is not None
    taken = real.argument_size_in_bytes + real.temp_size_in_bytes + real.output_size_in_bytes
    taken -= real.alias_size_in_bytes
    assert guess.total - guess.data / 2 == pytest.approx(taken, rel=0.02)
    assert guess.weights == sum(v.value.nbytes for v in model.variables)
    assert guess.optimizer == sum(v.value.nbytes for v in model.optimizer.variables)
    assert guess.gradients <= 4 * model.count_params()
    assert "activations and scratch space" in repr(guess)
    assert model.estimate_memory(16) == guess


def test_summary_shows_costs_in_a_notebook():
    model = compiled(network())
    costs = model_cost(model, 16)
    rows = layer_rows(model, costs=costs)
    columns = [[row.layer, row.flops, row.trained_flops, row.moved] for row in rows]
    html = as_html("costs", ["Layer", "FLOPs", "in training", "Bytes"], columns, cost_lines(costs))
    assert "<td" in html and "256 K" in html and "Training step: " in html


def test_layers_may_be_frozen_after_a_look():
    model = compiled(network(), "sparse_categorical_crossentropy")
    model.estimate_memory(8)
    model.layers[0].trainable = False
    kernel = model.layers[0].kernel.numpy()
    model.fit(np.ones((8, 12, 12, 3), "float32"), np.ones(8, "int32"), verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), kernel)


def test_memory_needs_a_compiled_model():
    with pytest.raises(ValueError, match="must be compiled"):
        network().estimate_memory(8)


def test_profile_says_which_layer_takes_how_long(tmp_path):
    model = compiled(Own())
    x, y = np.ones((96, 8), "float32"), np.ones((96, 4), "float32")
    model.fit(x, y, verbose=0)
    before = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    seen = model.profile(x, y, batch_size=16)
    assert [row.name for row in seen.layers] == ["inner/dense", "inner/dense_1", "head"]
    assert all(row.forward >= 0 and row.backward >= 0 for row in seen.layers)
    assert (seen.batch_size, seen.steps) == (16, 6)
    assert seen.step > 0
    assert set(seen.times) == {"input", "host", "waiting", "device"}
    assert "inner/dense_1 (Dense)" in repr(seen) and "inner/dense_1 (Dense)" in seen._repr_html_()
    after = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    seen.plot(tmp_path / "layers.png")
    assert (tmp_path / "layers.png").stat().st_size > 1000


def test_profile_of_a_stream_and_masks():
    model = Sequential([layers.Embedding(9, 4, mask_zero=True), layers.LSTM(5), layers.Dense(1)])
    batches = [(np.arange(1, 13).reshape(2, 6) % 9, np.ones((2, 1), "float32"))] * 12
    seen = compiled(model).profile(iter(batches), steps=2)
    assert [row.kind for row in seen.layers] == ["Embedding", "LSTM", "Dense"]
    with pytest.raises(ValueError, match="`steps` must be a positive integer"):
        model.profile(iter(batches), steps=0)


def test_layers_are_named_in_programs():
    model = network()
    run = keras.jit(lambda x: model(x))
    text = run.lower(np.zeros((2, 12, 12, 3), "float32")).as_text(debug_info=True)
    assert "network/conv" in text and "network/head" in text
