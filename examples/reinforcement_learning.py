"""Learn to balance a pole on a cart, by trial and error: proximal policy optimization.

Shows: an environment written in `jax.numpy`, `keras.scan` over time and many carts at once,
playing and learning compiled into one program by `keras.jit`, a loop entirely of one's own.

    python examples/reinforcement_learning.py
    python examples/reinforcement_learning.py --rounds 300 --carts 128

Prints, every 20 rounds, how often a pole falls, and at the end how many steps of 20 ms poles stay
up: 8 untrained, and 500, the most that are looked at, after the default rounds.

Barto, Sutton and Anderson, 1983, "Neuronlike Adaptive Elements That Can Solve Difficult Learning
Control Problems"; Schulman and others, 2017, "Proximal Policy Optimization Algorithms".
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import kerasish as keras
from kerasish import layers

LONGEST, STEPS, EPOCHS, PARTS = 500, 64, 4, 4
DISCOUNT, TRACE, CLIP = 0.99, 0.95, 0.2
GRAVITY, CART, POLE, HALF, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02


def start(key, carts):
    """Position, speed, angle and its speed of carts at rest, poles nearly upright."""
    return jax.random.uniform(key, (carts, 4), minval=-0.05, maxval=0.05)


def move(state, pushed_right):
    """The state 20 ms later, and whether the pole fell or the cart left the track."""
    _, speed, angle, turning = state.T
    sine, cosine, mass = jnp.sin(angle), jnp.cos(angle), CART + POLE
    push = (jnp.where(pushed_right, FORCE, -FORCE) + POLE * HALF * turning**2 * sine) / mass
    inertia = HALF * (4 / 3 - POLE * cosine**2 / mass)
    turn = (GRAVITY * sine - cosine * push) / inertia
    accelerate = push - POLE * HALF * turn * cosine / mass
    state = state + SECONDS * jnp.stack([speed, accelerate, turning, turn], -1)
    return state, (abs(state[:, 0]) > 2.4) | (abs(state[:, 2]) > np.radians(12))


def pick(logits, actions):
    """The log-probability of each action."""
    return jnp.take_along_axis(logits, actions[:, None], -1)[:, 0]


class Learner:
    """Plays with the policy as it is, then improves policy and value by what happened."""

    def __init__(self, rate):
        inputs = keras.Input((4,))
        h = [layers.Dense(64, "tanh")(layers.Dense(64, "tanh")(inputs)) for _ in range(2)]
        logits = layers.Dense(2, kernel_initializer="zeros")(h[0])  # both actions as likely
        self.network = keras.Model(inputs, [logits, layers.Dense(1)(h[1])])
        self.optimizer = keras.optimizers.Adam(rate, global_clipnorm=0.5)
        self.optimizer.build(self.network.trainable_variables)

    def think(self, states):
        """Log-probabilities of the two actions, and the value of the state."""
        logits, value = self.network(states)
        return jax.nn.log_softmax(logits), value[..., 0]

    def play(self, state, key):
        """`STEPS` steps of all carts; who falls starts anew."""

        def step(state, key):
            act_key, start_key = jax.random.split(key)
            logits, value = self.think(state)
            action = jax.random.categorical(act_key, logits)
            after, fell = move(state, action == 1)
            after = jnp.where(fell[:, None], start(start_key, len(state)), after)
            return after, (state, action, pick(logits, action), value, fell)

        return keras.scan(step, state, jax.random.split(key, STEPS))

    def improve(self, states, actions, before, advantage, target):
        """A gradient step on some of what was played."""

        def loss():
            logits, value = self.think(states)
            ratio = jnp.exp(pick(logits, actions) - before)
            scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
            gain = jnp.minimum(ratio * scaled, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * scaled).mean()
            entropy = -(jnp.exp(logits) * logits).sum(-1).mean()
            return -gain - 0.01 * entropy + 0.5 * ((value - target) ** 2).mean()

        self.optimizer.apply(keras.grad(loss, self.network.trainable_variables)())

    @keras.jit
    def round(self, state, key):
        """Play, say how much better each action was than expected, improve by shuffled parts."""
        play_key, shuffle_key = jax.random.split(key)
        state, (*played, values, fell) = self.play(state, play_key)
        later = jnp.concatenate([values[1:], self.think(state)[1][None]])
        reward = 1 - DISCOUNT  # for each step, so that what is earned in all stays below 1
        surprise = reward + DISCOUNT * jnp.where(fell, 0, later) - values

        def back(total, now):
            total = now[0] + DISCOUNT * TRACE * jnp.where(now[1], 0, total)
            return total, total

        sums = keras.scan(back, jnp.zeros(len(state)), (surprise, fell), reverse=True)[1]
        played = [a.reshape(-1, *a.shape[2:]) for a in (*played, sums, sums + values)]
        rows = jnp.tile(jnp.arange(len(played[0])), (EPOCHS, 1))
        rows = jax.random.permutation(shuffle_key, rows, axis=1, independent=True)
        parts = rows.reshape(EPOCHS * PARTS, -1)
        keras.scan(lambda _, part: (None, self.improve(*[a[part] for a in played])), None, parts)
        return state, fell.mean()

    @keras.jit
    def judge(self, key):
        """Mean steps until the pole falls, 500 at most, with the likelier action each time."""

        def step(carry, _):
            state, fell = move(carry[0], self.think(carry[0])[0].argmax(-1) == 1)
            up = carry[1] & ~fell
            return (state, up), up.sum()

        carry = start(key, 100), jnp.ones(100, bool)
        return keras.scan(step, carry, length=LONGEST)[1].sum() / 100


def main():
    """Rounds of playing and learning."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--carts", type=int, default=32, help="carts played with at once")
    parser.add_argument("--rounds", type=int, default=100, help="of 64 steps of each cart")
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    steps = options.rounds * EPOCHS * PARTS
    rate = keras.optimizers.schedules.PolynomialDecay(3e-3, steps, end_learning_rate=0.0)
    learner, key = Learner(rate), jax.random.key(0)
    print(f"Untrained: {float(learner.judge(key)):.0f} steps")
    state = start(key, options.carts)
    for number in range(1, options.rounds + 1):
        state, fell = learner.round(state, jax.random.fold_in(key, number))
        if number % 20 == 0:
            print(f"round {number}: {float(fell):.3%} of the steps ended in a fall")
    print(f"Trained: {float(learner.judge(jax.random.key(1))):.0f} steps")


if __name__ == "__main__":
    main()
