"""Models for the file tests: one function a line of the table, built alike in Keras and here.

Each takes the namespace (`keras` or `kerasish`) and returns a model; `COMPILE` says what differs
from the usual optimizer and loss.
"""

import functools

import numpy as np

CASES = {}
COMPILE = {}


def case(build=None, **compile_options):
    if build is None:
        return functools.partial(case, **compile_options)
    name = build.__name__
    CASES[name] = build
    COMPILE[name] = compile_options
    return build


def data_for(model):
    """Inputs and targets of a model's shapes, from a fixed seed."""
    rng = np.random.default_rng(0)

    def fill(shape, dtype):
        shape = (4, *(3 if n is None else n for n in shape[1:]))
        if "int" in str(dtype):
            return rng.integers(0, 5, size=shape).astype(dtype)
        return rng.normal(size=shape).astype("float32")

    x = [fill(t.shape, t.dtype) for t in model.inputs]
    if isinstance(model.input, dict):
        x = dict(zip(model.input, x, strict=True))
    y = [fill(t.shape, "float32").clip(0, 1) for t in model.outputs]
    if isinstance(model.output, dict):
        y = dict(zip(model.output, y, strict=True))
    return (x[0] if len(x) == 1 and isinstance(x, list) else x), (
        y[0] if len(y) == 1 and isinstance(y, list) else y
    )


# -- stacks


@case(optimizer="sgd")
def dense_stack(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(5, "relu"), k.layers.Dense(2)])


@case(optimizer="adam", metrics=["mae"])
def named_layers(k):
    return k.Sequential(
        [
            k.Input((4,), name="features"),
            k.layers.Dense(5, name="foo"),
            k.layers.Dense(2, name="bar"),
        ],
        name="stack",
    )


@case(optimizer="rmsprop")
def convolutions(k):
    return k.Sequential(
        [
            k.Input((6, 6, 2)),
            k.layers.Conv2D(3, 3, padding="same", activation="relu"),
            k.layers.MaxPooling2D(),
            k.layers.Conv2D(4, 2, strides=2, use_bias=False),
            k.layers.Flatten(),
            k.layers.Dense(2),
        ]
    )


@case(optimizer="nadam")
def convolutions_1d(k):
    return k.Sequential(
        [
            k.Input((8, 3)),
            k.layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
            k.layers.GlobalAveragePooling1D(),
            k.layers.Dense(1),
        ]
    )


@case(optimizer="adamax")
def convolutions_3d(k):
    return k.Sequential([k.Input((4, 4, 4, 1)), k.layers.Conv3D(2, 2), k.layers.AveragePooling3D()])


@case(optimizer="adadelta")
def transposed_convolution(k):
    return k.Sequential([k.Input((3, 3, 2)), k.layers.Conv2DTranspose(3, 2, strides=2)])


@case
def transposed_convolutions(k):
    layers = [k.layers.Conv1DTranspose(2, 2), k.layers.Reshape((2, 2, 1, 2))]
    return k.Sequential([k.Input((3, 3)), *layers, k.layers.Conv3DTranspose(2, (1, 2, 2))])


@case
def separable_convolutions_1d(k):
    layers = [k.layers.SeparableConv1D(4, 3), k.layers.DepthwiseConv1D(2, depth_multiplier=2)]
    return k.Sequential([k.Input((6, 3)), *layers])


@case(optimizer="sgd")
def spectral_normalization(k):
    dense = k.layers.Dense(3)
    return k.Sequential([k.Input((4,)), k.layers.SpectralNormalization(dense), k.layers.Dense(2)])


@case(optimizer="adagrad")
def separable_convolution(k):
    return k.Sequential(
        [
            k.Input((5, 5, 3)),
            k.layers.SeparableConv2D(4, 3, depth_multiplier=2),
            k.layers.DepthwiseConv2D(2),
        ]
    )


@case(optimizer="adamw")
def batch_normalization(k):
    return k.Sequential(
        [k.Input((4,)), k.layers.Dense(3), k.layers.BatchNormalization(), k.layers.Dense(2)]
    )


@case(optimizer="lion")
def batch_normalization_without_scale(k):
    return k.Sequential(
        [
            k.Input((4,)),
            k.layers.BatchNormalization(scale=False, center=False),
            k.layers.Dense(2, name="out"),
        ]
    )


@case(optimizer="ftrl")
def layer_normalization(k):
    return k.Sequential([k.Input((4,)), k.layers.LayerNormalization(), k.layers.Dense(2)])


@case(optimizer="lamb")
def group_normalization(k):
    return k.Sequential(
        [
            k.Input((3, 3, 4)),
            k.layers.GroupNormalization(groups=2),
            k.layers.Flatten(),
            k.layers.Dense(2),
        ]
    )


@case(optimizer="adafactor")
def unit_and_rms_normalization(k):
    layers = [k.Input((4,)), k.layers.RMSNormalization(), k.layers.UnitNormalization()]
    return k.Sequential([*layers, k.layers.Dense(2)])


@case
def adapted_normalization(k):
    layer = k.layers.Normalization()
    layer.adapt(np.random.default_rng(1).normal(2, 3, size=(50, 4)).astype("float32"))
    return k.Sequential([k.Input((4,)), layer, k.layers.Dense(2)])


@case
def normalization_of_given_statistics(k):
    layer = k.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])
    return k.Sequential([k.Input((3,)), layer, k.layers.Dense(2)])


@case
def embedding(k):
    return k.Sequential(
        [
            k.Input((6,), dtype="int32"),
            k.layers.Embedding(7, 3),
            k.layers.GlobalAveragePooling1D(),
            k.layers.Dense(2),
        ]
    )


@case
def masked_embedding(k):
    return k.Sequential(
        [
            k.Input((6,), dtype="int32"),
            k.layers.Embedding(7, 3, mask_zero=True),
            k.layers.GlobalAveragePooling1D(),
            k.layers.Dense(2),
        ]
    )


@case
def reversible_embeddings(k):
    x = k.Input((6,), dtype="int32")
    tied = k.layers.ReversibleEmbedding(7, 3)
    apart = k.layers.ReversibleEmbedding(7, 3, tie_weights=False, logit_soft_cap=3.0)
    h = k.layers.Dense(3)(tied(x) + apart(x))
    return k.Model(x, tied(h, reverse=True) + apart(h, reverse=True))


@case
def dropout_between(k):
    # Not drawn from in evaluation; a rate of 0 in training, as no two libraries draw alike.
    return k.Sequential(
        [k.Input((4,)), k.layers.Dense(3), k.layers.Dropout(0.0), k.layers.Dense(2)]
    )


@case
def activation_layers(k):
    names = ("PReLU", "LeakyReLU", "ELU", "Softmax", "ReLU")
    layers = [getattr(k.layers, name)() for name in names]
    return k.Sequential([k.Input((4,)), *layers, k.layers.Activation("gelu"), k.layers.Dense(2)])


@case
def reshaping_layers(k):
    return k.Sequential(
        [
            k.Input((4, 6)),
            k.layers.Reshape((2, 3, 4)),
            k.layers.Permute((2, 1, 3)),
            k.layers.ZeroPadding2D(1),
            k.layers.Cropping2D(((1, 0), (0, 1))),
            k.layers.UpSampling2D(2),
            k.layers.Flatten(),
            k.layers.Dense(2),
        ]
    )


@case
def einsum_dense(k):
    layer = k.layers.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d")
    return k.Sequential([k.Input((3, 4)), layer])


@case(optimizer="sgd")
def regularized_and_constrained(k):
    return k.Sequential(
        [
            k.Input((4,)),
            k.layers.Dense(
                3,
                kernel_regularizer=k.regularizers.L1L2(0.01, 0.02),
                bias_regularizer="l2",
                activity_regularizer=k.regularizers.L2(0.1),
                kernel_constraint=k.constraints.MaxNorm(1.5),
            ),
            k.layers.Dense(2, kernel_initializer=k.initializers.HeNormal(seed=3)),
        ]
    )


@case
def frozen_layer(k):
    frozen = k.layers.Dense(3, trainable=False)
    return k.Sequential([k.Input((4,)), frozen, k.layers.Dense(2)])


# -- precision


@case
def bfloat16_weights(k):
    dtype = "bfloat16"
    return k.Sequential(
        [k.Input((4,)), k.layers.Dense(3, dtype=dtype), k.layers.Dense(2, dtype=dtype)]
    )


@case
def mixed_bfloat16(k):
    policy = "mixed_bfloat16"
    layers = [k.layers.Dense(3, dtype=policy), k.layers.BatchNormalization(dtype=policy)]
    return k.Sequential([k.Input((4,)), *layers, k.layers.Dense(2, dtype="float32")])


@case
def float16_layer(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(3, dtype="float16"), k.layers.Dense(2)])


# -- graphs


@case(optimizer="adam")
def functional_chain(k):
    x = k.Input((4,), name="x")
    y = k.layers.Dense(2, name="b")(k.layers.Dense(3, name="a")(x))
    return k.Model(x, y, name="chain")


@case
def residual(k):
    x = k.Input((4,))
    h = k.layers.Dense(4, "tanh")(x)
    return k.Model(x, k.layers.Add()([x, k.layers.Dense(4)(h)]))


@case
def merging_layers(k):
    x = k.Input((4,))
    a, b = k.layers.Dense(4)(x), k.layers.Dense(4)(x)
    kinds = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    merged = [getattr(k.layers, kind)()([a, b]) for kind in kinds]
    merged.append(k.layers.Dot(axes=1)([a, b]))
    return k.Model(x, k.layers.Dense(2)(k.layers.Concatenate(axis=-1)(merged)))


@case
def operators(k):
    x = k.Input((4,), name="x")
    h = k.layers.Dense(4)(x)
    y = (2 - h) * 3 + x / 2 - (h**2) + abs(-x)
    return k.Model(x, y)


@case
def ops_with_settings(k):
    x = k.Input((4, 3))
    h = k.layers.Dense(5)(x)
    s = k.ops.sum(h, axis=-1, keepdims=True)
    m = k.ops.mean(h, axis=(1, 2), keepdims=True)
    c = k.ops.concatenate([h * m, s], axis=-1)
    e = k.ops.expand_dims(k.ops.max(c, axis=1), 1)
    return k.Model(x, k.layers.Dense(2)(k.ops.squeeze(e, axis=1)))


@case
def ops_of_many_kinds(k):
    x = k.Input((4, 3))
    h = k.ops.transpose(k.layers.Dense(4)(x), (0, 2, 1))
    h = k.ops.einsum("bij,bjk->bik", h, h)
    h = k.ops.where(h > 0, h, 0.1 * h)
    h = k.ops.softmax(k.ops.clip(h, -1.0, 1.0), axis=-1)
    h = k.ops.reshape(h, (-1, 16)) + k.ops.logsumexp(h, axis=-1)[:, :1]
    h = k.ops.stack([h, k.ops.relu(h)], axis=1)[:, 0, 2:10]
    return k.Model(x, k.ops.matmul(h, k.ops.ones((8, 2))))


@case
def op_on_two_layers(k):
    a, b = k.Input((3,), name="a"), k.Input((3,), name="b")
    both = k.ops.maximum(k.layers.Dense(3)(a), k.layers.Dense(3)(b))
    return k.Model([a, b], k.ops.average(both, axis=-1, weights=None))


@case
def shared_layer(k):
    a, b = k.Input((3,), name="a"), k.Input((3,), name="b")
    dense = k.layers.Dense(4, name="shared")
    return k.Model([a, b], k.layers.Dense(1)(k.layers.Concatenate()([dense(a), dense(b)])))


@case
def shared_three_times(k):
    x = k.Input((4,))
    dense = k.layers.Dense(4)
    return k.Model(x, dense(dense(dense(x))))


@case(loss=["mse", "mae"])
def two_outputs(k):
    x = k.Input((4,))
    h = k.layers.Dense(3)(x)
    return k.Model(x, [k.layers.Dense(2, name="p")(h), k.layers.Dense(1, name="q")(h)])


@case(loss={"p": "mse", "q": "mae"}, loss_weights={"p": 1.0, "q": 0.5})
def outputs_by_name(k):
    x = k.Input((4,))
    p, q = k.layers.Dense(2, name="p")(x), k.layers.Dense(1, name="q")(x)
    return k.Model(x, {"p": p, "q": q})


@case
def inputs_by_name(k):
    a, b = k.Input((3,), name="a"), k.Input((2,), name="b")
    y = k.layers.Dense(2)(k.layers.Concatenate()([a, b]))
    return k.Model({"a": a, "b": b}, y)


@case
def nested_sequential(k):
    inner = k.Sequential([k.Input((4,)), k.layers.Dense(3), k.layers.BatchNormalization()])
    return k.Sequential([k.Input((4,)), inner, k.layers.Dense(2)])


@case
def nested_functional(k):
    a = k.Input((4,))
    inner = k.Model(a, k.layers.Dense(4)(a) + a, name="block")
    x = k.Input((4,))
    return k.Model(x, k.layers.Dense(2)(inner(inner(x))))


@case
def twice_nested(k):
    a = k.Input((4,))
    core = k.Model(a, k.layers.Dense(4)(a))
    middle = k.Sequential([k.Input((4,)), core, k.layers.Dense(3)])
    x = k.Input((4,))
    return k.Model(x, k.layers.Dense(1)(middle(x)))


@case
def many_of_a_class(k):
    # More than ten, so that their names in the file do not sort as their numbers.
    return k.Sequential([k.Input((3,)), *(k.layers.Dense(3) for _ in range(12))])


@case
def time_distributed_by_dense(k):
    return k.Sequential([k.Input((None, 4)), k.layers.Dense(3), k.layers.GlobalMaxPooling1D()])


# -- recurrence and attention


@case
def simple_recurrence(k):
    return k.Sequential([k.Input((5, 3)), k.layers.SimpleRNN(4), k.layers.Dense(2)])


@case
def stacked_lstms(k):
    return k.Sequential(
        [
            k.Input((None, 3)),
            k.layers.LSTM(4, return_sequences=True),
            k.layers.LSTM(3),
            k.layers.Dense(1),
        ]
    )


@case
def gated_recurrence(k):
    return k.Sequential([k.Input((5, 3)), k.layers.GRU(4, reset_after=False), k.layers.Dense(2)])


@case
def both_directions(k):
    inner = k.layers.GRU(3, return_sequences=True)
    return k.Sequential([k.Input((5, 3)), k.layers.Bidirectional(inner), k.layers.LSTM(2)])


@case
def cells_in_a_stack(k):
    cells = [k.layers.LSTMCell(3), k.layers.GRUCell(2)]
    return k.Sequential([k.Input((5, 3)), k.layers.RNN(cells), k.layers.Dense(2)])


@case
def stacked_cells(k):
    cells = k.layers.StackedRNNCells([k.layers.SimpleRNNCell(3), k.layers.SimpleRNNCell(2)])
    return k.Sequential([k.Input((5, 3)), k.layers.RNN(cells, return_sequences=True)])


@case
def recurrent_convolutions(k):
    return k.Sequential([k.Input((3, 4, 4, 2)), k.layers.ConvLSTM2D(3, (1, 2), padding="same")])


@case
def recurrent_convolutions_of_one_and_three_axes(k):
    layers = [k.layers.ConvLSTM1D(2, 2), k.layers.Reshape((2, 2, 1, 1, 2))]
    return k.Sequential([k.Input((3, 5, 2)), *layers, k.layers.ConvLSTM3D(2, 1, use_bias=False)])


@case
def masked_recurrence(k):
    layers = [k.layers.Embedding(7, 3, mask_zero=True), k.layers.LSTM(4), k.layers.Dense(2)]
    return k.Sequential([k.Input((6,), dtype="int32"), *layers])


@case
def each_time_step(k):
    inner = k.Sequential([k.Input((3,)), k.layers.Dense(4), k.layers.BatchNormalization()])
    return k.Sequential([k.Input((5, 3)), k.layers.TimeDistributed(inner)])


@case
def attention_with_heads(k):
    x = k.Input((5, 4))
    h = k.layers.MultiHeadAttention(2, 3)(x, x)
    return k.Model(x, k.layers.LayerNormalization()(h + x))


@case
def transformer_block(k):
    x = k.Input((5, 4))
    h = k.layers.LayerNormalization()(x)
    h = x + k.layers.MultiHeadAttention(2, 3, use_bias=False)(h, h, use_causal_mask=True)
    y = k.layers.Dense(8, "gelu")(k.layers.LayerNormalization()(h))
    return k.Model(x, h + k.layers.Dense(4)(y))


@case
def grouped_attention(k):
    q, v = k.Input((5, 4), name="q"), k.Input((3, 4), name="v")
    return k.Model([q, v], k.layers.GroupQueryAttention(3, 4, 2)(q, v))


@case
def plain_attentions(k):
    q, v = k.Input((5, 4), name="q"), k.Input((3, 4), name="v")
    a = k.layers.Attention(use_scale=True)([q, v])
    return k.Model([q, v], k.layers.Concatenate()([a, k.layers.AdditiveAttention()([q, v])]))


# -- settings of training


@case(loss="binary_crossentropy", metrics=["accuracy", "mse"])
def losses_and_metrics_by_name(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(2, "sigmoid")])


@case
def scheduled_learning_rate(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(2)])


@case
def momentum_and_clipping(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(2)])


@case
def averaged_weights(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(2)])


@case
def loss_objects(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(2)])


OPTIMIZERS = {
    "scheduled_learning_rate": lambda k: k.optimizers.Adam(
        k.optimizers.schedules.CosineDecay(0.1, 20, warmup_steps=3, warmup_target=0.2)
    ),
    "momentum_and_clipping": lambda k: k.optimizers.SGD(0.1, 0.9, nesterov=True, clipnorm=0.5),
    "averaged_weights": lambda k: k.optimizers.Adam(use_ema=True, ema_overwrite_frequency=2),
    "loss_objects": lambda k: k.optimizers.Muon(0.01) if hasattr(k.optimizers, "Muon") else "adam",
}
LOSSES = {"loss_objects": lambda k: k.losses.LogCosh(reduction="sum")}


def compile_case(name, model, k):
    """Compile as the table says."""
    options = {"optimizer": "adam", "loss": "mse", **COMPILE[name]}
    if name in OPTIMIZERS:
        options["optimizer"] = OPTIMIZERS[name](k)
    if name in LOSSES:
        options["loss"] = LOSSES[name](k)
    if len(model.outputs) > 1 and options["loss"] == "mse":
        options["loss"] = ["mse"] * len(model.outputs)
    model.compile(**options)


# -- classes of one's own


def subclassed(k):
    """A registered model that holds layers as attributes, in a list and in a dict."""

    class Net(k.Model):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.first = k.layers.Dense(units)
            self.blocks = [
                k.layers.Dense(units),
                k.layers.Dense(units),
                k.layers.BatchNormalization(),
            ]
            self.heads = {"left": k.layers.Dense(1), "right": k.layers.Dense(1)}
            self.scale = None

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
            self.first.build(input_shape)
            for block in self.blocks:
                block.build((None, self.units))
            for head in self.heads.values():
                head.build((None, self.units))
            self.built = True

        def call(self, x, training=None):
            x = self.first(x) * self.scale
            for block in self.blocks:
                x = block(x, training=training)
            return self.heads["left"](x) + 2 * self.heads["right"](x)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return k.saving.register_keras_serializable("cross", "Net")(Net)


def own_layer(k):
    """A registered layer with a weight of its own and a layer inside."""

    class Scaled(k.layers.Layer):
        def __init__(self, units, factor=2.0, **kwargs):
            super().__init__(**kwargs)
            self.units, self.factor = units, factor
            self.inner = k.layers.Dense(units)

        def build(self, input_shape):
            self.inner.build(input_shape)
            self.gain = self.add_weight(shape=(self.units,), initializer="ones", name="gain")
            self.shift = self.add_weight(shape=(1,), trainable=False, name="shift")

        def call(self, inputs):
            return self.inner(inputs) * self.gain * self.factor + self.shift

        def get_config(self):
            return {**super().get_config(), "units": self.units, "factor": self.factor}

    return k.saving.register_keras_serializable("cross", "Scaled")(Scaled)
