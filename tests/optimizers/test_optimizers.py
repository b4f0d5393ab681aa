"""Optimizers against Keras 3: weights, state, configs; and against optax, both ways."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import copy
import inspect
import pickle

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import optax
import pytest

import kerasish
from kerasish import optimizers
from kerasish.core.names import clear_names, name_scope
from kerasish.core.state.compiled import jit
from kerasish.core.state.transforms import value_and_grad
from kerasish.core.state.variable import Variable
from kerasish.optimizers import schedules

# Keras 3.15 with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPES = {"kernel": (4, 3), "bias": (4,), "embedding": (2, 3), "conv": (2, 3, 2)}
STEPS = 50
STREAM = np.random.default_rng(0)
WEIGHTS = {name: STREAM.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}
GRADS = {
    name: STREAM.normal(size=(STEPS, *shape)).astype("float32") for name, shape in SHAPES.items()
}


def ours_and_keras(make):
    clear_names()
    oracle.backend.clear_session(free_memory=False)
    return make(optimizers), make(oracle.optimizers)


def variables_of(kind):
    scope = name_scope if kind is Variable else oracle.name_scope
    with scope("net"):
        return [kind(value, name=name) for name, value in WEIGHTS.items()]


def train(optimizer, variables, steps=STEPS, jitted=True):
    """Apply the fixed gradients through `apply` and return the weights."""

    def apply(*grads):
        optimizer.apply(list(grads), variables)

    step = jit(apply) if jitted else apply
    for i in range(steps):
        step(*(GRADS[name][i] for name in SHAPES))
    return [v.numpy() for v in variables]


def train_keras(optimizer, variables, steps=STEPS):
    optimizer.build(variables)
    weights, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    step = jax.jit(optimizer.stateless_apply)
    for i in range(steps):
        weights, state = step(state, [GRADS[name][i] for name in SHAPES], weights)
    return weights, state


CASES = {
    "sgd": lambda o: o.SGD(0.1),
    "sgd momentum": lambda o: o.SGD(0.1, momentum=0.9),
    "sgd nesterov": lambda o: o.SGD(0.1, momentum=0.9, nesterov=True),
    "sgd decay": lambda o: o.SGD(0.1, weight_decay=0.1),
    "sgd clipnorm": lambda o: o.SGD(0.1, clipnorm=0.5),
    "sgd clipvalue": lambda o: o.SGD(0.1, clipvalue=0.5),
    "sgd global_clipnorm": lambda o: o.SGD(0.1, global_clipnorm=0.5),
    "sgd loss scale": lambda o: o.SGD(0.1, loss_scale_factor=8.0),
    "sgd schedule": lambda o: o.SGD(
        o.schedules.CosineDecay(0.1, 30, warmup_target=0.2, warmup_steps=9)
    ),
    "sgd ema": lambda o: o.SGD(0.1, use_ema=True, ema_momentum=0.9),
    "sgd ema overwrite": lambda o: o.SGD(0.1, use_ema=True, ema_overwrite_frequency=7),
    "sgd accumulation": lambda o: o.SGD(0.1, 0.9, gradient_accumulation_steps=4, weight_decay=0.1),
    "rmsprop": lambda o: o.RMSprop(0.01),
    "rmsprop momentum": lambda o: o.RMSprop(0.01, momentum=0.9),
    "rmsprop centered": lambda o: o.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda o: o.Adam(0.01),
    "adam amsgrad": lambda o: o.Adam(0.01, amsgrad=True),
    "adam all": lambda o: o.Adam(
        o.schedules.ExponentialDecay(0.01, 10, 0.5),
        amsgrad=True,
        weight_decay=0.1,
        global_clipnorm=1.0,
        use_ema=True,
        ema_overwrite_frequency=3,
    ),
    "adamw": lambda o: o.AdamW(0.01, weight_decay=0.1),
    "nadam": lambda o: o.Nadam(0.01),
    "nadam accumulation": lambda o: o.Nadam(0.01, gradient_accumulation_steps=2),
    "adamax": lambda o: o.Adamax(0.01),
    "adagrad": lambda o: o.Adagrad(0.1, initial_accumulator_value=0.3),
    "adadelta": lambda o: o.Adadelta(1.0),
    "adafactor": lambda o: o.Adafactor(0.1),
    "adafactor fixed": lambda o: o.Adafactor(0.1, relative_step=False, clip_threshold=0.5),
    "ftrl": lambda o: o.Ftrl(0.1),
    "ftrl all": lambda o: o.Ftrl(
        0.1,
        learning_rate_power=-0.6,
        l1_regularization_strength=0.1,
        l2_regularization_strength=0.2,
        l2_shrinkage_regularization_strength=0.3,
        beta=0.4,
    ),
    "lion": lambda o: o.Lion(0.01, weight_decay=0.1),
    "lamb": lambda o: o.Lamb(0.01),
    "muon": lambda o: o.Muon(0.01),
    "muon all": lambda o: o.Muon(
        0.01,
        exclude_layers=["kernel"],
        exclude_embeddings=False,
        nesterov=False,
        rms_rate=None,
        adam_lr_ratio=0.5,
    ),
    "schedule free": lambda o: o.ScheduleFreeAdamW(0.01),
    "schedule free warm-up": lambda o: o.ScheduleFreeAdamW(0.01, warmup_steps=9, weight_decay=0.1),
    "loss scaling": lambda o: o.LossScaleOptimizer(o.Adam(0.01), 64.0, dynamic_growth_steps=20),
    "several": lambda o: o.MultiOptimizer(
        o.OptimizerMap(o.Adam(0.01), {"net/(kernel|bias)": o.SGD(0.1, momentum=0.9)})
    ),
}
RULES = [name for name in CASES if name not in ("loss scaling", "several")]
NOT_IN_OPTAX = ("accumulation", "ema", "adam all")


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def close(ours, theirs, message=""):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-6, err_msg=message)


def test_fifty_steps_give_keras_weights_and_state(case):
    mine, keras = ours_and_keras(case)
    assert mine.get_config() == keras.get_config()
    their_weights, their_state = train_keras(keras, variables_of(oracle.Variable))
    weights = train(mine, variables_of(Variable))
    for name, own, other in zip(SHAPES, weights, their_weights, strict=True):
        close(own, other, name)
    paths = [(v.path, v.shape, v.dtype) for v in mine.variables]
    for own, other, value in zip(mine.variables, keras.variables, their_state, strict=True):
        assert (own.shape, own.dtype) == (other.shape, other.dtype), paths
        # What Keras leaves unnamed or names after the weight alone has a telling name here.
        if own.name not in ("u_product",) and not own.name.endswith(("_r", "_c")):
            assert own.path == other.path
        close(own.numpy(), value, own.path)


def test_config_makes_the_same_optimizer(case):
    mine, keras = ours_and_keras(case)
    data = optimizers.serialize(mine)
    assert data == oracle.optimizers.serialize(keras)
    again = optimizers.deserialize(data)
    assert type(again) is type(mine)
    assert again.get_config() == mine.get_config()
    assert optimizers.get(data).get_config() == mine.get_config()


@pytest.mark.parametrize("name", RULES)
def test_as_optax_is_the_same_rule(name):
    optimizer = CASES[name](optimizers)
    if any(word in name for word in NOT_IN_OPTAX):
        with pytest.raises(ValueError, match=r"for `as_optax`; got .* Wrap|Use `optax.ema`"):
            optimizer.as_optax()
        return
    applied = CASES[name](optimizers)
    variables = variables_of(Variable)
    transformation = optimizer.as_optax()
    params = {v.path: v.value for v in variables}
    state = transformation.init(params)
    for i in range(3):
        grads = {f"net/{n}": GRADS[n][i] for n in SHAPES}
        updates, state = transformation.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    for variable, weight in zip(variables, train(applied, variables, 3, jitted=False), strict=True):
        close(params[variable.path], weight, variable.path)


def test_as_optax_compiles():
    optimizer, params = optimizers.Nadam(0.5, clipnorm=1.0).as_optax(), {"w": jnp.ones(3)}
    state = jax.jit(optimizer.init)(params)
    for _ in range(2):
        updates, state = jax.jit(optimizer.update)(params, state, params)
    assert int(state.count) == 2
    assert updates["w"].shape == (3,)


def test_as_optax_takes_part_in_chains_and_masks():
    params = {"a": jnp.ones(3), "b": {"c": jnp.ones(2)}}
    chain = optax.chain(
        optax.clip(0.5),
        optax.masked(optimizers.SGD(1.0).as_optax(), {"a": True, "b": {"c": False}}),
    )
    updates, _ = chain.update(params, chain.init(params), params)
    assert updates["a"].tolist() == [-0.5] * 3
    assert updates["b"]["c"].tolist() == [0.5] * 2


def test_as_optax_needs_params_and_a_rule():
    with pytest.raises(ValueError, match=r"sgd.*: `params` must be given to `update`; got None"):
        optimizers.SGD().as_optax().update(
            [jnp.ones(1)], optimizers.SGD().as_optax().init([jnp.ones(1)])
        )
    with pytest.raises(TypeError, match=r"has no `rule`, so it cannot become an optax"):
        KerasStyle(0.1).as_optax()


def test_eager_equals_compiled():
    compiled = train(optimizers.Adam(0.01, weight_decay=0.1), variables_of(Variable), 5)
    eager = train(optimizers.Adam(0.01, weight_decay=0.1), variables_of(Variable), 5, jitted=False)
    for a, b in zip(compiled, eager, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_eager_accumulation_equals_compiled():
    def make():
        return optimizers.Nadam(0.01, gradient_accumulation_steps=2)

    compiled = train(make(), variables_of(Variable), 5)
    for a, b in zip(compiled, train(make(), variables_of(Variable), 5, jitted=False), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("values_of", [lambda v: v.value, lambda v: v], ids=["arrays", "variables"])
def test_stateless_apply_changes_nothing_but_what_it_returns(values_of):
    optimizer, variables = optimizers.Adam(0.1), variables_of(Variable)
    optimizer.build(variables)
    before = [v.numpy() for v in (*variables, *optimizer.variables)]
    grads = [GRADS[name][0] for name in SHAPES]
    weights, state = optimizer.stateless_apply(
        list(map(values_of, optimizer.variables)), grads, list(map(values_of, variables))
    )
    for v, old in zip((*variables, *optimizer.variables), before, strict=True):
        np.testing.assert_array_equal(v.numpy(), old)
    optimizer.apply(grads)
    for v, new in zip((*variables, *optimizer.variables), (*weights, *state), strict=True):
        np.testing.assert_allclose(v.numpy(), new, rtol=1e-6)


# -- learning rate


def test_learning_rate_changes_without_a_new_trace():
    optimizer, weight = optimizers.SGD(0.5), Variable([1.0])
    step = jit(lambda g: optimizer.apply([g], [weight]))
    step(np.ones(1, "float32"))
    optimizer.learning_rate = 0.25
    step(np.ones(1, "float32"))
    optimizer.learning_rate.assign(0.125)
    step(np.ones(1, "float32"))
    assert weight.numpy() == [0.125]
    assert step.traces == 1
    assert float(optimizer.learning_rate) == 0.125
    assert optimizer.get_config()["learning_rate"] == 0.125


@pytest.mark.parametrize(
    "rate", [lambda: 0.5, lambda step: 0.5 / (step + 1), optax.linear_schedule(0.5, 0.25, 1)]
)
def test_learning_rate_may_be_any_function(rate):
    optimizer, weight = optimizers.SGD(rate), Variable([1.0])
    step = jit(lambda g: optimizer.apply([g], [weight]))
    step(np.ones(1, "float32"))
    assert weight.numpy() == [0.5]
    step(np.ones(1, "float32"))
    assert weight.numpy() in ([0.0], [0.25])
    assert len(optimizer.variables) == 1


def test_a_number_may_become_a_schedule_but_not_back():
    optimizer = optimizers.SGD(0.5)
    optimizer.learning_rate = schedules.InverseTimeDecay(0.5, 1, 1.0)
    assert [v.name for v in optimizer.variables] == ["iteration"]
    with pytest.raises(TypeError, match=r"its learning rate is a schedule, which a number cannot"):
        optimizer.learning_rate = 0.1


# -- what surrounds the rule


def test_missing_gradients_are_left_out_with_a_warning():
    optimizer, (a, b) = optimizers.SGD(0.5), (Variable([1.0], name="a"), Variable([1.0], name="b"))
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['b'\]"):
        optimizer.apply([np.ones(1), None], [a, b])
    assert (a.numpy(), b.numpy()) == ([0.5], [1.0])
    with pytest.raises(ValueError, match=r"No gradients provided for any variable"):
        optimizer.apply([None, None])


def test_constraints_hold_after_the_update():
    weight = Variable([1.0, 2.0])
    weight.constraint = lambda w: jnp.clip(w, 0, 1)
    optimizers.SGD(1.0).apply([np.array([3.0, -3.0])], [weight])
    assert weight.numpy().tolist() == [0, 1]


def test_overwrite_with_gradient_takes_the_gradient_and_no_slots():
    scale, weight = Variable([1.0], name="scale"), Variable([1.0], name="w")
    scale.overwrite_with_gradient = True
    optimizer = optimizers.Adam(0.5, weight_decay=0.5)
    optimizer.apply([np.array([7.0]), np.array([1.0])], [scale, weight])
    assert scale.numpy() == [7]
    assert [v.name for v in optimizer.variables[2:]] == ["w_momentum", "w_velocity"]


# Everything about an optimizer that goes by updates; Keras counts some of it by calls.
BY_UPDATES = {
    "schedule": lambda **o: optimizers.SGD(
        optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), momentum=0.9, **o
    ),
    "function of the step": lambda **o: optimizers.Adam(lambda step: 0.1 / (step + 1), **o),
    "averages": lambda **o: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5, **o),
    "averages that overwrite": lambda **o: optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2, **o
    ),
    "decay and clipping": lambda **o: optimizers.AdamW(0.01, clipnorm=0.1, **o),
    "shared slots": lambda **o: optimizers.Nadam(0.01, **o),
    "optax": lambda **o: optimizers.OptaxOptimizer(optax.adam(optax.linear_schedule(1, 0, 9)), **o),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", BY_UPDATES)
def test_halves_of_a_batch_accumulated_do_what_the_batch_does(name, compiled):
    halves = np.random.default_rng(0).normal(size=(10, 3)).astype("float32")
    ends = []
    for options, gradients in (
        ({"gradient_accumulation_steps": 2}, halves),
        ({}, halves.reshape(5, 2, 3).mean(1)),
    ):
        weight = Variable([3.0, -2.0, 0.5])
        weight.constraint = kerasish.constraints.MaxNorm(2.0, axis=0)
        optimizer = BY_UPDATES[name](**options)
        optimizer.build([weight])
        apply = (lambda g, o=optimizer: o.apply([g])) if not compiled else None
        apply = apply or jit(lambda g, o=optimizer: o.apply([g]))
        for gradient in gradients:
            apply(gradient)
        averages = (
            [a.numpy() for a in optimizer._model_variables_moving_average]
            if optimizer.use_ema
            else []
        )
        ends.append([weight.numpy(), int(optimizer.iterations), *averages])
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_nothing_changes_between_the_updates_of_an_accumulation():
    weight = Variable([3.0, 4.0])
    weight.constraint = kerasish.constraints.MaxNorm(1.0, axis=0)
    optimizer = optimizers.SGD(0.1, use_ema=True, gradient_accumulation_steps=3)
    for _ in range(2):
        optimizer.apply([np.ones(2)], [weight])
    np.testing.assert_array_equal(weight, [3, 4])
    assert float(optimizer.learning_rate) == np.float32(0.1)
    optimizer.apply([np.ones(2)], [weight])
    assert float(np.linalg.norm(weight)) == pytest.approx(1)


def test_overwrite_with_gradient_takes_the_largest_of_an_accumulation():
    scale = Variable([1.0])
    scale.overwrite_with_gradient = True
    optimizer, seen = optimizers.SGD(gradient_accumulation_steps=2), []
    for value in (3.0, 2.0, 1.0, 4.0):
        optimizer.apply([np.array([value])], [scale])
        seen.append(float(scale[0]))
    assert seen == [1, 3, 3, 4]


@pytest.mark.parametrize("by", ["names", "variables"])
def test_excluded_weights_do_not_decay(by):
    kernel, bias = Variable([1.0], name="kernel"), Variable([1.0], name="bias")
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    chosen = {"var_names": ["ias"]} if by == "names" else {"var_list": [bias]}
    optimizer.exclude_from_weight_decay(**chosen)
    optimizer.apply([np.zeros(1), np.zeros(1)], [kernel, bias])
    assert (kernel.numpy(), bias.numpy()) == ([0.75], [1.0])


def test_averages_replace_the_weights_in_the_end():
    optimizer, weight = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5), Variable([4.0])
    for _ in range(2):
        optimizer.apply([np.ones(1)], [weight])
    optimizer.finalize_variable_values([weight])
    assert weight.numpy() == [2.5]  # of 3 and 2


def test_loss_scale_skips_what_overflows():
    mine, keras = ours_and_keras(lambda o: o.LossScaleOptimizer(o.SGD(0.5), 8.0, 2))
    a, b = Variable([1.0]), oracle.Variable([1.0])
    step = jit(lambda g: mine.apply([g], [a]))
    assert mine.scale_loss(2.0) == 16.0
    keras.build([b])
    for g in ([8.0], [np.inf], [np.nan], [2.0], [2.0], [4.0]):
        step(np.array(g, "float32"))
        state = [v.value for v in keras.variables]
        (value,), state = keras.stateless_apply(state, [np.array(g, "float32")], [b.value])
        for variable, new in zip((b, *keras.variables), (value, *state), strict=True):
            variable.assign(new)
        for own, other in zip((a, *mine.variables), (b, *keras.variables), strict=True):
            np.testing.assert_allclose(own.numpy(), other.numpy(), err_msg=str(g))
    assert float(mine.scale_loss(2.0)) == 2 * float(mine.dynamic_scale)
    assert float(mine.learning_rate) == 0.5


def test_slots_are_made_without_starting_a_program():
    variables = [Variable(np.ones((2, n))) for n in range(1, 40)]
    from jax._src import test_util

    with test_util.count_jit_and_pmap_lowerings() as lowerings:
        optimizers.Adam().build(variables)
    assert lowerings() == 0


def test_slots_lie_where_their_weights_do():
    mesh = jax.make_mesh((1,), ("batch",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
    weight = Variable(jax.device_put(np.ones((4, 2), "float32"), sharding))
    for optimizer in (optimizers.Adam(use_ema=True), optimizers.get(optax.adam(0.1))):
        optimizer.build([weight])
        alike = [v for v in optimizer.variables if v.shape == weight.shape]
        assert len(alike) >= 2
        assert all(v.value.sharding.is_equivalent_to(sharding, 2) for v in alike)


def test_copies_are_independent():
    optimizer, weight = optimizers.Adam(0.1), Variable([1.0])
    optimizer.apply([np.ones(1)], [weight])
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        twin.apply([np.ones(1)])
        assert (int(twin.iterations), int(optimizer.iterations)) == (2, 1)


def test_builds_itself_inside_a_compiled_loop():
    optimizer, weight = optimizers.ScheduleFreeAdamW(0.1), Variable([1.0])

    @jit
    def step(x):
        loss, grads = value_and_grad(lambda: ((weight * x) ** 2).sum(), [weight])()
        optimizer.apply(grads, [weight])
        return loss

    losses = [float(step(jnp.ones(1))) for _ in range(20)]
    assert losses[-1] < losses[0] / 2
    assert int(optimizer.iterations) == 20


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_and_state_keep_their_16_bits(dtype):
    weight = Variable(np.ones((2, 3)), dtype=dtype)
    optimizer = optimizers.Adam(0.1, weight_decay=0.1, use_ema=True)
    for _ in range(2):
        optimizer.apply([np.ones((2, 3), "float32")], [weight])
    assert {v.dtype for v in (weight, *optimizer.variables[2:])} == {dtype}
    np.testing.assert_allclose(weight.astype("float32"), 0.78, atol=0.01)


# -- an optimizer of one's own


class KerasStyle(optimizers.Optimizer):
    """Written as Keras' documentation says."""

    def __init__(self, learning_rate=0.1, momentum=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.momentums = [self.add_variable_from_reference(v, name="momentum") for v in variables]
        self.calls = self.add_variable((), dtype="int32", name="calls")
        self.extra = Variable(0.0, name="extra", trainable=False)

    def update_step(self, gradient, variable, learning_rate):
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, m * self.momentum - gradient * learning_rate)
        self.assign_add(variable, m)
        self.assign_add(self.calls, 1)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


def test_a_keras_style_optimizer_works():
    mine, twin = variables_of(Variable), variables_of(Variable)
    own = train(KerasStyle(0.1, gradient_accumulation_steps=2, clipnorm=1.0), mine, 10)
    sgd = train(optimizers.SGD(0.1, 0.9, gradient_accumulation_steps=2, clipnorm=1.0), twin, 10)
    for a, b in zip(own, sgd, strict=True):
        close(a, b)


def test_a_keras_style_optimizer_tracks_its_variables_and_its_config():
    optimizer = KerasStyle(0.25, name="mine", clipnorm=0.5)
    optimizer.build(variables_of(Variable)[:1])
    names = [v.path for v in optimizer.variables]
    kept = ["iteration", "learning_rate", "net_kernel_momentum", "calls"]
    assert names == [*(f"mine/{name}" for name in kept), "extra"]
    config = optimizer.get_config()
    assert config["learning_rate"] == 0.25
    assert KerasStyle.from_config(config).get_config() == config


def test_forgetting_super_is_said():
    class Forgetful(optimizers.Optimizer):
        def __init__(self):
            self.count = Variable(0)

    with pytest.raises(RuntimeError, match=r"Forgetful: call `super"):
        Forgetful()


def test_writing_no_rule_is_said():
    with pytest.raises(NotImplementedError, match=r"Optimizer: write `rule\(self, gradient"):
        optimizers.Optimizer(0.1).apply([np.ones(1)], [Variable([1.0])])


# -- saving


def test_state_goes_through_a_file_store():
    first, second = optimizers.Adam(0.1), optimizers.Adam(0.2)
    variables = variables_of(Variable)
    train(first, variables, 3)
    store = {}
    first.save_own_variables(store)
    assert sorted(store, key=int) == [str(i) for i in range(2 + 2 * len(SHAPES))]
    with pytest.warns(UserWarning, match=r"Skipping variable loading for optimizer"):
        second.load_own_variables(store)
    second.build(variables)
    second.load_own_variables(store)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    third = optimizers.Adam()
    third.build(variables)
    third.set_weights(first.get_weights())
    assert int(third.iterations) == 3


# -- optax as it is


TRANSFORMATIONS = {
    "adam": lambda: optax.adam(0.01),
    "chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.01)),
    "schedule": lambda: optax.sgd(optax.cosine_decay_schedule(0.1, 20), momentum=0.9),
    "inject": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=0.01),
    "multi": lambda: optax.MultiSteps(optax.sgd(0.1), 2),
    "masked": lambda: optax.masked(optax.sgd(0.1), lambda p: {k: "kernel" in k for k in p}),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_an_optax_transformation_is_used_as_it_is(name):
    bare, variables = TRANSFORMATIONS[name](), variables_of(Variable)
    params = {v.path: v.value for v in variables}
    state = bare.init(params)

    @jax.jit
    def step(params, state, grads):
        updates, state = bare.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for i in range(10):
        params, state = step(params, state, {f"net/{n}": GRADS[n][i] for n in SHAPES})
    optimizer = optimizers.get(TRANSFORMATIONS[name]())
    for v, weight in zip(variables, train(optimizer, variables, 10), strict=True):
        np.testing.assert_array_equal(weight, params[v.path])
    held = [v.numpy() for v in optimizer.variables[1:]]
    for a, b in zip(held, jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_injected_learning_rate_can_be_set():
    optimizer = optimizers.get(optax.inject_hyperparams(optax.sgd)(learning_rate=0.5))
    weight = Variable([1.0])
    step = jit(lambda g: optimizer.apply([g], [weight]))
    step(jnp.ones(1))
    optimizer.learning_rate = 0.25
    step(jnp.ones(1))
    assert weight.numpy() == [0.25]
    assert step.traces == 1
    with pytest.raises(AttributeError, match=r"Make it with `optax.inject_hyperparams`"):
        _ = optimizers.get(optax.sgd(0.1)).learning_rate


def test_optax_with_what_surrounds_a_rule():
    variables, twins = variables_of(Variable), variables_of(Variable)
    options = {"gradient_accumulation_steps": 2, "clipnorm": 1.0, "use_ema": True}
    wrapped = train(optimizers.OptaxOptimizer(optax.sgd(0.1), **options), variables, 10)
    for a, b in zip(wrapped, train(optimizers.SGD(0.1, **options), twins, 10), strict=True):
        close(a, b)
    with pytest.raises(ValueError, match=r"for weight decay, use `optax.add_decayed_weights`"):
        optimizers.OptaxOptimizer(optax.sgd(0.1), weight_decay=0.1)


def test_an_optax_transformation_is_not_read_from_data():
    data = optimizers.serialize(optimizers.get(optax.sgd(0.1)))
    assert data["class_name"] == "OptaxOptimizer"
    with pytest.raises(ValueError, match=r"compile it with the transformation again"):
        optimizers.deserialize(data)


# -- names and arguments

KERAS_NAMES = [n for n in dir(oracle.optimizers) if inspect.isclass(getattr(oracle.optimizers, n))]


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_arguments_have_keras_names_order_and_defaults(name):
    def plain(cls):
        parameters = list(inspect.signature(cls.__init__).parameters.values())
        return [(p.name, p.default) for p in parameters if p.kind != p.VAR_KEYWORD]

    assert plain(getattr(optimizers, name)) == plain(getattr(oracle.optimizers, name))


@pytest.mark.parametrize(
    "name", ["adam", "Adam", "AdamW", "adamw", "SGD", "rmsprop", "RMSprop", "lamb"]
)
def test_get_by_name(name):
    assert type(optimizers.get(name)).__name__.lower() == name.lower()


def test_get_passes_on():
    optimizer = optimizers.SGD()
    assert optimizers.get(optimizer) is optimizer
    assert optimizers.get(None) is None
    assert isinstance(optimizers.get(optimizers.SGD), optimizers.SGD)
    lower = {"class_name": "sgd", "config": {"learning_rate": 0.5}}
    assert float(optimizers.get(lower).learning_rate) == 0.5


def test_all_lists_the_public_names():
    public = {n for n in optimizers.__all__ if n[0].isupper()}
    assert public == {*KERAS_NAMES, "OptaxOptimizer"}


BAD = {
    "get('adm')": (
        lambda: optimizers.get("adm"),
        r"Unknown optimizer 'adm'. Did you mean 'adam'\?",
    ),
    "get(3)": (lambda: optimizers.get(3), "a name, a config, a class or a callable; got 3"),
    "get(len)": (lambda: optimizers.get(len), "an optimizer, its name, its config or an optax"),
    "lr": (lambda: optimizers.SGD(lr=0.1), "argument `lr`. Did you mean 'learning_rate'?"),
    "typo": (lambda: optimizers.SGD(clipnrm=1), "argument `clipnrm`. Did you mean 'clipnorm'?"),
    "rate": (lambda: optimizers.SGD("0.1"), "`learning_rate` must be a number, a LearningRate"),
    "momentum": (
        lambda: optimizers.SGD(momentum=2),
        "`momentum` must be a number from 0 to 1; got 2",
    ),
    "clips": (
        lambda: optimizers.SGD(clipnorm=1, clipvalue=1),
        "must be one at most; got {'clipnorm'",
    ),
    "steps": (
        lambda: optimizers.SGD(gradient_accumulation_steps=1),
        "of at least 2, or None; got 1",
    ),
    "ema": (
        lambda: optimizers.SGD(use_ema=True, ema_momentum=2),
        "`ema_momentum` must be from 0 to 1",
    ),
    "every": (
        lambda: optimizers.SGD(use_ema=True, ema_overwrite_frequency=0.5),
        "`ema_overwrite_frequency` must be an integer of at least 1, or None; got 0.5",
    ),
    "lion": (lambda: optimizers.Lion(beta_1=0), "`beta_1` must be above 0 and at most 1; got 0"),
    "ftrl": (
        lambda: optimizers.Ftrl(learning_rate_power=1),
        "`learning_rate_power` must be at most 0",
    ),
    "adamw": (
        lambda: optimizers.AdamW(weight_decay=None),
        "a number; got None. `Adam` does without",
    ),
    "inner": (
        lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0),
        "LossScaleOptimizer: `clipnorm` must be left out; got 1.0. Set it on the inner optimizer",
    ),
    "unbuilt": (
        lambda: optimizers.SGD().apply([1.0]),
        "does not know its weights yet. Call `build",
    ),
    "count": (
        lambda: optimizers.SGD().apply([1.0], [Variable(1.0), Variable(1.0)]),
        "`grads` must be one for each of 2 weights; got 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_says_what_is_wrong(name):
    act, text = BAD[name]
    with pytest.raises(ValueError) as error:
        act()
    assert text.replace("\\", "") in str(error.value)


def test_other_weights_are_refused():
    optimizer = optimizers.SGD()
    optimizer.build([Variable(1.0)])
    with pytest.raises(
        ValueError, match=r"Unknown variable 'stray': the optimizer was built with other"
    ):
        optimizer.apply([1.0], [Variable(1.0, name="stray")])


def test_optimizer_map_refuses_what_cannot_be():
    table = optimizers.OptimizerMap(optimizers.SGD(), {"a.*": optimizers.SGD()})
    with pytest.raises(ValueError, match=r"neither LossScaleOptimizer nor MultiOptimizer"):
        table["b"] = optimizers.LossScaleOptimizer(optimizers.SGD())
    table[".*b"] = optimizers.Adam()
    with pytest.raises(ValueError, match=r"all match 'ab'. Make one narrower"):
        table["ab"]
    with pytest.raises(TypeError, match=r"`default_optimizer` must be an optimizer; got 'sgd'"):
        optimizers.OptimizerMap("sgd")


class Jitter(optimizers.Optimizer):
    """Adds noise to each weight: a rule with a state of its own."""

    slot_names = ()

    def __init__(self, learning_rate=0.1):
        super().__init__(learning_rate)
        self.noise = kerasish.random.SeedGenerator(3)

    def rule(self, gradient, weight, slots, learning_rate, step):
        return kerasish.random.normal(gradient.shape, seed=self.noise), {}


def test_a_rule_may_draw_random_numbers():
    runs = []
    for compiled in (False, True):
        optimizer, weights = Jitter(), [Variable(np.zeros(4)) for _ in range(3)]
        optimizer.build(weights)

        def update(gradients, optimizer=optimizer, weights=weights):
            optimizer.apply(gradients, weights)

        update = jit(update) if compiled else update
        update([jnp.ones(4)] * 3)
        update([jnp.ones(4)] * 3)
        runs.append([weight.numpy() for weight in weights])
    np.testing.assert_allclose(*runs, rtol=1e-5)
    assert len({weight.tobytes() for weight in runs[0]}) == 3  # each its own noise


@pytest.mark.parametrize("rule", ["Adam", "SGD", "Lion"])
def test_weights_of_a_shape_share_one_trace_of_the_rule(rule, monkeypatch):
    kind, traces = getattr(optimizers, rule), []
    original = kind.rule

    def counted(self, *arguments):
        traces.append(arguments[0].shape)
        return original(self, *arguments)

    counted.__module__ = original.__module__
    monkeypatch.setattr(kind, "rule", counted)
    optimizer, weights = kind(), [Variable(np.zeros(n)) for n in (4, 4, 5, 4)]
    optimizer.build(weights)
    jit(lambda gradients: optimizer.apply(gradients, weights))([jnp.ones(n) for n in (4, 4, 5, 4)])
    assert traces == [(4,), (5,)] * 2  # `jit` first looks which Variables there are
