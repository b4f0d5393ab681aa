"""Learn to balance a pole on a cart, by trial and error: proximal policy optimization.

Shows: an environment written in `jax.numpy`, `keras.scan` over time and many carts at once,
playing and learning compiled into one program by `keras.jit`, gradient steps on shuffled parts of
what was played, and a loop entirely of one's own around models, optimizer and metrics of the
library.

    python examples/reinforcement_learning.py
    python examples/reinforcement_learning.py --rounds 100 --carts 64

Prints, every 20 rounds, how often a pole falls, and at the end how many steps of 20 ms poles stay
up, the mean over 100 new carts: 9 untrained, and 500, the most there is, after the default
rounds.

Barto, Sutton and Anderson, 1983, "Neuronlike Adaptive Elements That Can Solve Difficult Learning
Control Problems"; Schulman and others, 2017, "Proximal Policy Optimization Algorithms"; Schulman
and others, 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation".
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import kerasish as keras
from kerasish import layers

LONGEST, DISCOUNT, TRACE, CLIP, EPOCHS, PARTS = 500, 0.99, 0.95, 0.2, 4, 4
GRAVITY, CART, POLE, HALF, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02


def start(key, carts):
    """Position, speed, angle and its speed of carts at rest with upright poles; and their age."""
    state = jax.random.uniform(key, (carts, 4), minval=-0.05, maxval=0.05)
    return state, jnp.zeros(carts, "int32")


def move(state, pushed_right):
    """The state 20 ms later, and whether the pole fell or the cart left the track."""
    _, speed, angle, turning = state.T
    sine, cosine, mass = jnp.sin(angle), jnp.cos(angle), CART + POLE
    push = (jnp.where(pushed_right, FORCE, -FORCE) + POLE * HALF * turning**2 * sine) / mass
    inertia = HALF * (4 / 3 - POLE * cosine**2 / mass)
    turn = (GRAVITY * sine - cosine * push) / inertia
    accelerate = push - POLE * HALF * turn * cosine / mass
    change = jnp.stack([speed, accelerate, turning, turn], -1)
    state = state + SECONDS * change
    return state, (abs(state[:, 0]) > 2.4) | (abs(state[:, 2]) > np.radians(12))


def make_network(outputs, name):
    """Two hidden layers; the last begins near zero, so that both actions are as likely."""
    last = layers.Dense(outputs, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01))
    hidden = [layers.Dense(64, "tanh", kernel_initializer="orthogonal") for _ in range(2)]
    return keras.Sequential([keras.Input((4,)), *hidden, last], name=name)


class Learner:
    """Plays with the policy as it is, then improves policy and value by what happened."""

    def __init__(self, carts, rate, steps=64):
        self.policy, self.value = make_network(2, "policy"), make_network(1, "value")
        self.weights = self.policy.trainable_variables + self.value.trainable_variables
        self.optimizer = keras.optimizers.Adam(rate, global_clipnorm=0.5)
        self.optimizer.build(self.weights)
        self.carts, self.steps = carts, steps

    def play(self, world, key):
        """Many steps of all carts; who falls or grows old starts anew."""

        def step(world, key):
            state, age = world
            act_key, start_key = jax.random.split(key)
            logits = jax.nn.log_softmax(self.policy(state))
            action = jax.random.categorical(act_key, logits)
            after, fell = move(state, action == 1)
            ended = fell | (age + 1 >= LONGEST)
            # One that grew old would have gone on: what it would have earned counts.
            later = jnp.where(ended & ~fell, self.value(after)[:, 0], 0)
            reward = (1 - DISCOUNT) + DISCOUNT * later  # so that no sum of rewards exceeds 1
            fresh = start(start_key, len(state))
            world = jnp.where(ended[:, None], fresh[0], after), jnp.where(ended, 0, age + 1)
            chosen = jnp.take_along_axis(logits, action[:, None], -1)[:, 0]
            return world, (state, action, chosen, reward, ended)

        return keras.scan(step, world, jax.random.split(key, self.steps))

    def advantages(self, last, states, rewards, ended):
        """How much better each action was than expected: discounted sums of surprises."""
        values = self.value(jnp.concatenate([states, last[None]]).reshape(-1, 4))
        values = values.reshape(self.steps + 1, -1)
        surprise = rewards + DISCOUNT * jnp.where(ended, 0, values[1:]) - values[:-1]

        def back(total, now):
            total = now[0] + DISCOUNT * TRACE * jnp.where(now[1], 0, total)
            return total, total

        sums = keras.scan(back, jnp.zeros(len(last)), (surprise, ended), reverse=True)[1]
        return sums, sums + values[:-1]

    def learn(self, states, actions, before, advantage, target):
        """A gradient step on some of what was played."""

        def loss():
            logits = jax.nn.log_softmax(self.policy(states))
            chosen = jnp.take_along_axis(logits, actions[:, None], -1)[:, 0]
            ratio = jnp.exp(chosen - before)
            scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
            gain = jnp.minimum(ratio * scaled, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * scaled).mean()
            entropy = -(jnp.exp(logits) * logits).sum(-1).mean()
            error = ((self.value(states)[:, 0] - target) ** 2).mean()
            return -gain - 0.01 * entropy + 0.5 * error

        self.optimizer.apply(keras.grad(loss, self.weights)(), self.weights)

    @keras.jit
    def round(self, world, key):
        """Play, then go over it a few times in shuffled parts."""
        play_key, shuffle_key = jax.random.split(key)
        world, (states, actions, chosen, rewards, ended) = self.play(world, play_key)
        sums = self.advantages(world[0], states, rewards, ended)
        played = [a.reshape(-1, *a.shape[2:]) for a in (states, actions, chosen, *sums)]

        def epoch(_, key):
            order = jax.random.permutation(key, len(played[0])).reshape(PARTS, -1)

            def part(_, rows):
                return None, self.learn(*[a[rows] for a in played])

            return keras.scan(part, None, order)

        keras.scan(epoch, None, jax.random.split(shuffle_key, EPOCHS))
        return world, ended.mean()

    @keras.jit
    def judge(self, key):
        """Mean steps until the pole falls, 500 at most, with the likelier action each time."""

        def step(carry, _):
            state, up = carry
            state, fell = move(state, self.policy(state).argmax(-1) == 1)
            up = up & ~fell
            return (state, up), up.sum()

        carry = start(key, 100)[0], jnp.ones(100, bool)
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
    learner, key = Learner(options.carts, rate), jax.random.key(0)
    print(f"Untrained: {float(learner.judge(key)):.0f} steps")
    world = start(key, options.carts)
    for number in range(1, options.rounds + 1):
        world, ended = learner.round(world, jax.random.fold_in(key, number))
        if number % 20 == 0:
            print(f"round {number}: {float(ended):.3%} of the steps ended in a fall, or at 500")
    print(f"Trained: {float(learner.judge(jax.random.key(1))):.0f} steps")


if __name__ == "__main__":
    main()
