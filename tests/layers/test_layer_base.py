"""What every layer does by itself; each program runs with Keras 3 too, and gives the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish
from kerasish import Input, InputSpec, Layer, Model, layers, ops
from tests.support.keras_oracle import X, both, fill

B = X[:, :3]


def paths(layer):
    return (
        [w.path for w in layer.weights],
        [w.path for w in layer.trainable_weights],
        [w.path for w in layer.non_trainable_weights],
    )


def weights_in_every_form(k):
    layer = k.layers.Layer(name="layer")
    made = [
        layer.add_weight(shape=(2, 3)),
        layer.add_weight((2,), "ones"),
        layer.add_weight(name="scalar"),
        layer.add_weight(shape=(2,), dtype="int32", trainable=False),
        layer.add_weight(shape=(2,), initializer=lambda shape, dtype: np.full(shape, 3.0, dtype)),
        layer.add_weight(shape=(1,), initializer=k.initializers.Constant(2.0), trainable=False),
    ]
    told = [(w.path, w.shape, str(w.dtype), w.trainable) for w in made]
    return told, made[1], made[3:], paths(layer)


def variables_as_attributes(k):
    class Own(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.v = k.Variable(np.ones(3), name="v")
            self.frozen = k.Variable(0.0, trainable=False, name="frozen")
            self.listed = [k.Variable(1.0, name="listed")]

        def build(self, input_shape):
            self.w = self.add_weight(shape=(2,), name="w")

        def call(self, x):
            return x * self.v[0] + self.w[0]

    layer = Own()
    layer(X)
    return paths(layer), layer.count_params()


def freezing_one_weight_keeps_the_order(k):
    layer = k.layers.Dense(2)
    layer.build((None, 4))
    layer.kernel.trainable = False
    return paths(layer)


def frozen_from_the_start(k):
    one, two = k.layers.Dense(2, trainable=False), k.layers.Dense(2)
    two.trainable = False
    for layer in (one, two):
        layer(X)
    before = paths(one), paths(two)
    two.trainable = True
    return before, paths(two)


def setting_weights(k):
    layer = k.layers.Dense(2)
    layer(X)
    layer.set_weights([np.full((4, 2), 2.0), np.ones(2)])
    return layer.get_weights(), layer(X)


def layers_made_in_build(k):
    class Own(k.layers.Layer):
        def build(self, input_shape):
            self.inner = k.layers.Dense(input_shape[-1])
            self.w = self.add_weight(shape=(input_shape[-1],), name="w")
            self.inner.build(input_shape)

        def call(self, x):
            return self.inner(x) * self.w

    x = k.Input((4,))
    layer = Own()
    model = fill(k.Model(x, layer(x)))
    return paths(layer), model(X), layer.get_build_config()


def attributes_set_before_super(k):
    class Own(k.layers.Layer):
        def __init__(self, units, **kwargs):
            self.units, self.head = units, k.layers.Dense(units)
            self.more = [k.layers.Dense(2)]
            super().__init__(**kwargs)
            self.last = k.layers.Dense(1)

        def call(self, x):
            return self.last(self.more[0](self.head(x)))

    layer = Own(3, name="own")
    layer(X)
    return paths(fill(layer)), layer(X), layer.units


def metrics_inside(k):
    class Own(k.layers.Layer):
        def __init__(self, inner=None):
            super().__init__(name=f"own{inner is None}")
            self.inner = inner
            self.seen = [k.metrics.Mean(name="outer" if inner else "inner")]

        def call(self, x):
            self.seen[0].update_state(x)
            return x if self.inner is None else self.inner(x)

    layer = Own(Own())
    layer(X)
    dense = k.layers.Dense(2)
    told = [m.name for m in layer.metrics], [v.path for v in layer.metrics_variables]
    return told, layer.metrics_variables, dense.metrics, dense.metrics_variables


def several_arguments(k):
    class Bilinear(k.layers.Layer):
        def build(self, a_shape, b_shape):
            self.w = self.add_weight(shape=(a_shape[-1], b_shape[-1]), name="w")

        def call(self, a, b, scale=1.0):
            return k.ops.matmul(a, self.w) * b * scale

        def compute_output_shape(self, a_shape, b_shape):
            return b_shape

    a, b = k.Input((4,), name="a"), k.Input((3,), name="b")
    layer, eager = Bilinear(), Bilinear()
    model = fill(k.Model([a, b], layer(a, b, scale=2.0)))
    eager(X, b=B)
    calls = model.get_config()["layers"][-1]["inbound_nodes"]
    return paths(layer), model([X, B]), layer.get_build_config(), eager.get_build_config(), calls


def one_list_of_inputs(k):
    class Bilinear(k.layers.Layer):
        def build(self, shapes):
            self.seen = shapes
            self.w = self.add_weight(shape=(shapes[0][-1], shapes[1][-1]), name="w")

        def call(self, inputs):
            a, b = inputs
            return k.ops.matmul(a, self.w) * b

        def compute_output_shape(self, shapes):
            return shapes[1]

    a, b = k.Input((4,), name="a"), k.Input((3,), name="b")
    layer = Bilinear()
    model = fill(k.Model([a, b], layer([a, b])))
    return paths(layer), model([X, B]), layer.seen, layer.get_build_config()


def one_dict_of_inputs(k):
    class Plus(k.layers.Layer):
        def build(self, shapes):
            self.seen = shapes

        def call(self, inputs):
            return inputs["a"] + inputs["b"]

        def compute_output_shape(self, shapes):
            return shapes["a"]

    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    layer = Plus()
    return k.Model([a, b], layer({"a": a, "b": b}))([X, X]), layer.seen


def several_outputs(k):
    class Own(k.layers.Layer):
        def call(self, x):
            return x, x * 2, {"first": x[:, :1]}

    x = k.Input((4,))
    a, b, c = Own()(x)
    return k.Model(x, [a, b, c["first"]])(X), [a, b, c]


def arguments_that_are_no_tensors(k):
    class Own(k.layers.Layer):
        def call(self, x, mode="times", n=2, **kwargs):
            return x * n + kwargs.get("more", 0) if mode == "times" else x

    layer, x = Own(), k.Input((4,))
    return k.Model(x, layer(x, mode="times", n=3))(X), layer(X, n=5), layer(X, more=1)


def training_reaches_the_layers_inside(k):
    class Leaf(k.layers.Layer):
        def call(self, x, training=None):
            return x * (2.0 if training else 1.0)

    class Holder(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.leaf = Leaf()

        def call(self, x):
            return self.leaf(x)

    class Fixed(Holder):
        def call(self, x):
            return self.leaf(x, training=True)

    class Default(k.layers.Layer):
        def call(self, x, training=True):
            return x * (2.0 if training else 1.0)

    def modes(layer):
        return layer(X), layer(X, training=True), layer(X, training=False)

    x, z = k.Input((4,)), k.Input((4,))
    inner = k.Model(x, Holder()(x))
    parts = [Leaf(), Holder(), Fixed(), Default(), inner, k.Sequential([Holder()])]
    return [modes(layer) for layer in parts], [modes(k.Model(z, layer(z))) for layer in parts]


def losses(k):
    class Own(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = k.layers.Dense(2, kernel_regularizer="l2", activity_regularizer="l1")

        def call(self, x):
            self.add_loss(k.ops.sum(x))
            self.add_loss([k.ops.mean(x), k.ops.max(x)])
            return self.dense(x)

    layer = Own()
    layer.build((None, 4))
    layer.dense.build((None, 4))
    fill(layer)
    before = layer.losses
    layer(X)
    layer(X)  # losses are those of the last call
    frozen = len(layer.losses)
    layer.trainable = False
    return before, frozen, layer.losses


def stateless_calls(k):
    stack = [k.Input((4,)), k.layers.Dense(3, kernel_regularizer="l2")]
    stack += [k.layers.BatchNormalization(), k.layers.Dropout(0.5, seed=1)]
    model = fill(k.Sequential(stack))
    trained = [v.value * 2 for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]
    calm = model.stateless_call(trained, others, X, training=False, return_losses=True)
    _, new = model.stateless_call(trained, others, X, training=True)
    unchanged = [v.value for v in model.non_trainable_variables]
    return calm, new[:2], len(new), unchanged[:2], [v.path for v in model.non_trainable_variables]


def shape_arithmetic(k):
    class Own(k.layers.Layer):
        def call(self, x):
            return k.ops.concatenate([x, x], -1)

    class Two(k.layers.Layer):
        def call(self, x):
            return x, x[:, :2]

        def compute_output_shape(self, shape):
            return shape, (shape[0], 2)

    return (
        [k.layers.Dense(3).compute_output_shape((None, 4)), Two().compute_output_shape((None, 4))],
        [k.layers.Dense(3).compute_output_spec(k.KerasTensor((None, 4)))],
        [Own().compute_output_spec(k.KerasTensor((2, 4))), Two()(k.Input((4,)))],
    )


def places_in_the_graph(k):
    x, dense = k.Input((4,)), k.layers.Dense(2)
    y = dense(x)
    dense(x * 2)
    return dense.input is x, dense.output is y


def dtypes(k):
    told = []
    for dtype in ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"):
        layer = k.layers.Dense(2, dtype=dtype)
        y = layer(X)
        told.append((layer.dtype, layer.compute_dtype, layer.variable_dtype, layer.input_dtype))
        told.append((str(layer.kernel.dtype), str(y.dtype), layer.dtype_policy.name))
        told.append(layer.get_config()["dtype"])
    return told


def without_autocast(k):
    class Own(k.layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(4,), initializer="ones")

        def call(self, x):
            return [str(x.dtype), str((self.w + 0).dtype)]

    layer = Own(dtype="mixed_bfloat16", autocast=False)
    layer.build((None, 4))
    return layer.call(X), [str(layer.w.dtype)]


def custom_config(k):
    class Own(k.layers.Layer):
        def __init__(self, units, scale=2.0, **kwargs):
            super().__init__(**kwargs)
            self.units, self.scale = units, scale

        def get_config(self):
            return {**super().get_config(), "units": self.units, "scale": self.scale}

    config = Own(3, name="own", dtype="float16", trainable=False).get_config()
    return config, Own.from_config(config).get_config()


PROGRAMS = [
    weights_in_every_form,
    variables_as_attributes,
    freezing_one_weight_keeps_the_order,
    frozen_from_the_start,
    setting_weights,
    layers_made_in_build,
    attributes_set_before_super,
    metrics_inside,
    several_arguments,
    one_list_of_inputs,
    one_dict_of_inputs,
    several_outputs,
    arguments_that_are_no_tensors,
    training_reaches_the_layers_inside,
    losses,
    stateless_calls,
    shape_arithmetic,
    places_in_the_graph,
    dtypes,
    without_autocast,
    custom_config,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_as_keras(program):
    both(program)


# -- what Keras does not do


def test_a_list_of_numbers_is_an_array():
    dense = layers.Dense(2, kernel_initializer="ones")
    np.testing.assert_array_equal(dense([[1.0, 2.0], [3, 4]]), [[3, 3], [7, 7]])


def test_config_follows_from_the_signature():
    class Own(Layer):
        def __init__(self, units, scale=2.0, **kwargs):
            super().__init__(**kwargs)
            self.units, self.scale = units, scale

    config = Own(3, name="own").get_config()
    assert {"units": 3, "scale": 2.0, "name": "own"}.items() <= config.items()
    assert Own.from_config(config).get_config() == config


def test_a_loss_may_be_a_function():
    class Own(Layer):
        def call(self, x):
            self.add_loss(lambda: 3.0)
            return x

    layer = Own()
    layer(X)
    assert [float(loss) for loss in layer.losses] == [3.0]


def test_layer_made_in_the_first_call():
    class Lazy(Layer):
        inner = None

        def call(self, x):
            if self.inner is None:
                self.inner = layers.Dense(2)
            return self.inner(x)

    layer, other = Lazy(), Lazy()
    layer(X)
    other(Input((4,)))
    assert paths(layer)[0] == ["lazy/dense/kernel", "lazy/dense/bias"]
    assert len(other.weights) == 2


def test_unfreezing_leaves_what_was_frozen_before():
    """In Keras, `layer.trainable = True` unfreezes weights that were frozen one by one."""
    layer = layers.Dense(2)
    layer(X)
    layer.kernel.trainable = False
    layer.trainable = False
    layer.trainable = True
    assert [w.name for w in layer.trainable_weights] == ["bias"]


def test_no_state_of_a_trace_outlives_it():
    layer = layers.Dense(2, activity_regularizer="l2")
    layer(X)
    kerasish.jit(lambda x: layer(x))(X)
    assert layer.losses and all(not isinstance(loss, jax.core.Tracer) for loss in layer.losses)


def test_repr_says_class_arguments_and_whether_built():
    dense = layers.Dense(3, activation="relu", name="head")
    assert repr(dense) == "<Dense(units=3, activation='relu', name='head'), not built>"
    dense(X)
    assert repr(dense).endswith(", built>")


def test_call_of_a_jax_function_inside():
    class Own(Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=input_shape[1:], initializer="ones")

        def call(self, x):
            return jax.nn.softmax(jnp.tanh(x) * self.w) + ops.relu(self.w)

    x, layer = Input((4,)), Own()
    model = Model(x, layer(x))
    assert model.output_shape == (None, 4)
    np.testing.assert_allclose(model(X), jax.nn.softmax(np.tanh(X)) + 1, rtol=1e-5)


# -- what inputs a layer takes

SPECS = [
    ({"ndim": 3}, r"expected ndim=3, found ndim=2"),
    ({"min_ndim": 3}, r"expected min_ndim=3, found ndim=2"),
    ({"max_ndim": 1}, r"expected max_ndim=1, found ndim=2"),
    ({"axes": {-1: 3}}, r"expected axis -1 of size 3, found 4"),
    ({"shape": (None, 3)}, r"expected shape \(None, 3\), found \(5, 4\)"),
    ({"dtype": "int32"}, r"expected dtype=int32, found dtype=float32"),
]


@pytest.mark.parametrize("spec, text", SPECS, ids=[str(s[0]) for s in SPECS])
@pytest.mark.parametrize("x", [X, Input((4,), batch_size=5)], ids=["array", "symbolic"])
def test_input_spec(spec, text, x):
    layer = layers.Identity(name="own")
    layer.input_spec = InputSpec(**spec)
    with pytest.raises(ValueError, match=f"Input 0 of Layer 'own'.*{text}.*received: "):
        layer(x)


FITTING = [{"ndim": 2}, {"axes": {1: 4, 0: None}}, {"shape": (None, 4)}, {"min_ndim": 1}]


@pytest.mark.parametrize("spec", FITTING, ids=str)
def test_input_spec_that_fits(spec):
    layer = layers.Identity()
    layer.input_spec = InputSpec(**spec)
    assert layer(X).shape == (5, 4)


def test_specs_of_several_inputs():
    layer = layers.Identity(name="own")
    layer.input_spec = [InputSpec(ndim=2), InputSpec(ndim=2, optional=True)]
    layer([X, None])
    with pytest.raises(ValueError, match=r"'own' \(Identity\) expects 2 input\(s\); got 1"):
        layer([X])
    with pytest.raises(ValueError, match="input 0 is None, but only optional"):
        layer([None, X])


# -- mistakes


class NoSuper(Layer):
    def __init__(self):
        pass

    def call(self, x):
        return x


class NoCall(Layer):
    pass


class WeightInCall(Layer):
    def call(self, x):
        self.w = self.add_weight(shape=(4,), name="w")
        return x + self.w


def built():
    layer = layers.Dense(2, name="head")
    layer(X)
    return layer


def twice():
    layer = WeightInCall()
    layer(X)
    layer(X)


MISTAKES = [
    (lambda: NoSuper()(X), RuntimeError, r"NoSuper: `super\(\).__init__\(\)` was not called"),
    (lambda: NoCall()(X), NotImplementedError, "NoCall has no `call`: define `call"),
    (lambda: built()(), TypeError, r"'head' \(Dense\): missing .*'inputs'; its call is `call\("),
    (lambda: built()(X, X), TypeError, r"'head' \(Dense\): too many positional arguments"),
    (lambda: built()(X, foo=1), TypeError, "'head'.*unexpected keyword argument 'foo'"),
    (lambda: built()(B), ValueError, "'head' .*axis -1 of size 4, found 3.*received: \\(5, 3\\)"),
    (lambda: built()([X, X]), ValueError, r"'head' \(Dense\) expects 1 input\(s\); got 2"),
    (lambda: built()("text"), ValueError, "head: `inputs` must be an array.*got 'text'"),
    (lambda: layers.Dense(2)(None), ValueError, "dense: `inputs` must be an array.*got None"),
    (lambda: layers.Dense(2, foo=1), ValueError, r"Dense: unknown argument\(s\) \['foo'\]"),
    (lambda: layers.Dense(2, name="a/b"), ValueError, "`name` must be a string without '/'"),
    (lambda: layers.Dense(2, name=3), ValueError, "`name` must be a string without '/'; got 3"),
    (twice, RuntimeError, r"\(WeightInCall\) makes weight 'w' after it was built"),
    (
        lambda: setattr(built(), "extra", layers.Dense(2)),
        AttributeError,
        "'head' .* is built; `extra` would add state",
    ),
    (
        lambda: setattr(built(), "extra", kerasish.Variable(1.0)),
        AttributeError,
        "`extra` would add state",
    ),
    (lambda: setattr(built(), "weights", []), AttributeError, "`weights` is a property that every"),
    (lambda: Layer().add_weight((None, 3), name="w"), ValueError, "every axis for weight 'w'"),
    (lambda: built().set_weights([B, np.ones(2)]), ValueError, r"cannot set shape \(5, 3\)"),
    (lambda: built().set_weights([np.ones(2)]), ValueError, "must hold 2 arrays; got 1"),
    (lambda: layers.Dense(2).count_params(), ValueError, "has no weights yet.*Build it first"),
    (lambda: built().output, AttributeError, "never been called on a symbolic tensor.*`output`"),
    (lambda: layers.Dense(2).stateless_call([], [], X), ValueError, "must be built before"),
    (lambda: built().stateless_call([], [], X), ValueError, "`trainable_variables` must hold 2"),
]


@pytest.mark.parametrize("mistake, error, text", MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistake(mistake, error, text):
    with pytest.raises(error, match=text):
        mistake()
