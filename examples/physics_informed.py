"""A physics-informed network: solve a differential equation, and find an unknown constant in it.

Shows: derivatives of a model by its inputs (`jax.jvp` through it), a constant as a trainable
`Variable` next to the weights, a loop of one's own compiled by `keras.jit` and `keras.scan`.

    python examples/physics_informed.py
    python examples/physics_informed.py --steps 20000 --width 64

The equation is Burgers' with the heat term, u_t + u u_x = v u_xx, on -1 < x < 1, 0 < t < 1, with
u(x, 0) = -sin(pi x) and u = 0 at both ends. The network knows 200 noisy measurements of u, but
not v.

Prints the loss and the guess of v every fifth of training, then v as found (true: 0.1, found to
1%) and the relative error of u against a solution on a fine grid, below 1%.

Raissi, Perdikaris and Karniadakis, 2019, "Physics-Informed Neural Networks".
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import kerasish as keras
from kerasish import layers

VISCOSITY = 0.1


def solve(points=129, steps=4000):
    """The solution by finite differences: positions, times, values `(times, points)`."""
    x, dt = np.linspace(-1, 1, points), 1 / steps
    u, dx, rows = -np.sin(np.pi * x), 2 / (points - 1), []
    for step in range(steps + 1):
        if step % (steps // 50) == 0:
            rows.append(u)
        flow = (u[2:] ** 2 - u[:-2] ** 2) / (4 * dx)
        spread = VISCOSITY * (u[2:] - 2 * u[1:-1] + u[:-2]) / dx**2
        u = np.concatenate([[0], u[1:-1] + dt * (spread - flow), [0]])
    return x, np.linspace(0, 1, 51), np.array(rows)


def make_model(width):
    """u of position and time; the form of the output makes start and ends right."""
    inputs = keras.Input((2,))
    h = inputs
    for _ in range(3):
        h = layers.Dense(width, activation="tanh")(h)
    outputs = layers.Dense(1)(h)
    x, t = inputs[:, :1], inputs[:, 1:]
    return keras.Model(inputs, (1 - x**2) * t * outputs - keras.ops.sin(np.pi * x), name="burgers")


def main():
    """Measure, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5000, help="steps of the optimizer")
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, t, truth = solve()
    rows, columns = rng.integers(0, len(t), 200), rng.integers(0, len(x), 200)
    points = np.stack([x[columns], t[rows]], -1).astype("float32")
    measured = (truth[rows, columns] + rng.normal(0, 0.02, 200)).astype("float32")

    model = make_model(options.width)
    log_viscosity = keras.Variable(np.log(0.5), name="log_viscosity")  # stays positive
    weights = [*model.trainable_variables, log_viscosity]
    rate = keras.optimizers.schedules.CosineDecay(5e-3, options.steps)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(weights)

    def residual(x, t):
        """What the equation leaves, zero for a solution: derivatives of the whole batch at once."""

        def u(x, t):
            return model(jnp.stack([x, t], -1))[:, 0]

        def u_and_u_x(x):
            return jax.jvp(lambda x: u(x, t), (x,), (jnp.ones_like(x),))

        (value, u_x), (_, u_xx) = jax.jvp(u_and_u_x, (x,), (jnp.ones_like(x),))
        u_t = jax.jvp(lambda t: u(x, t), (t,), (jnp.ones_like(t),))[1]
        return u_t + value * u_x - jnp.exp(log_viscosity) * u_xx

    def step(_, key):
        inside = jax.random.uniform(key, (128, 2)) * np.array([2, 1]) - np.array([1, 0])

        def loss():
            equation = jnp.mean(residual(*inside.T) ** 2)
            return equation + 10 * jnp.mean((model(points)[:, 0] - measured) ** 2)

        value, gradients = keras.value_and_grad(loss, weights)()
        optimizer.apply(gradients, weights)
        return None, value

    @keras.jit
    def train(keys):
        return keras.scan(step, None, keys)[1]

    for part, keys in enumerate(jax.random.split(jax.random.key(0), (5, options.steps // 5)), 1):
        losses = train(keys)
        viscosity = float(jnp.exp(log_viscosity))
        print(f"part {part}: loss {float(losses[-100:].mean()):.2e}, viscosity {viscosity:.4f}")

    grid = np.stack(np.meshgrid(x, t), -1).reshape(-1, 2).astype("float32")
    found = model.predict(grid, batch_size=1024, verbose=0).reshape(truth.shape)
    print(f"Viscosity: {viscosity:.4f} (true: {VISCOSITY})")
    error = np.linalg.norm(found - truth) / np.linalg.norm(truth)
    print(f"Relative error of the solution: {error:.1%}")


if __name__ == "__main__":
    main()
