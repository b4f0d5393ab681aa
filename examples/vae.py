"""A variational autoencoder: compress images to a few numbers, and draw new images from them.

Shows: a sampling layer with a `SeedGenerator`, a loss added within a layer (`add_loss`, the
Kullback-Leibler divergence), encoder and decoder as models of their own, a figure of what was
learned.

    python examples/vae.py
    python examples/vae.py --latent 2 --epochs 100 --out out/vae

Prints a line an epoch, and the bound on the negative log-likelihood of unseen digits in nats:
about 19 after the default epochs, against 25 for pixels that are drawn independently. With
`--out`, a page of digits that were never written.

Kingma and Welling, 2014, "Auto-Encoding Variational Bayes".
"""

import argparse
import pathlib

import numpy as np
from sklearn.datasets import load_digits

import kerasish as keras
from kerasish import layers, ops

PIXELS = 64


@keras.saving.register_keras_serializable("examples")
class Sampling(layers.Layer):
    """A draw from the normal distribution that the encoder names, and what that costs.

    Shapes:
        Means and log-variances `(batch, latent)` -> `(batch, latent)`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator()

    def call(self, mean, log_variance):
        divergence = 0.5 * (ops.exp(log_variance) + mean**2 - 1 - log_variance)
        self.add_loss(ops.mean(ops.sum(divergence, axis=-1)))
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_variance) * noise


def make_models(latent, width):
    """Encoder to a draw, decoder to logits, and both in a row."""
    images = keras.Input((PIXELS,))
    h = layers.Dense(width, activation="gelu")(images)
    h = layers.Dense(width, activation="gelu")(h)
    mean, log_variance = layers.Dense(latent)(h), layers.Dense(latent)(h)
    encoder = keras.Model(images, [Sampling()(mean, log_variance), mean], name="encoder")
    decoder = keras.Sequential(
        [
            keras.Input((latent,)),
            layers.Dense(width, activation="gelu"),
            layers.Dense(width, activation="gelu"),
            layers.Dense(PIXELS),
        ],
        name="decoder",
    )
    return encoder, decoder, keras.Model(images, decoder(encoder(images)[0]), name="vae")


def negative_log_likelihood(y_true, y_pred):
    """Nats that an image of black and white pixels costs, given their logits."""
    return ops.sum(ops.binary_crossentropy(y_true, y_pred, from_logits=True), axis=-1)


def main():
    """Train, evaluate, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latent", type=int, default=8, help="numbers to compress to")
    parser.add_argument("--width", type=int, default=128, help="units of hidden layers")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=pathlib.Path, help="folder to draw digits in")
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    x = (load_digits().data >= 8).astype("float32")
    x = np.random.default_rng(0).permutation(x)
    test, training = x[:300], x[300:]
    encoder, decoder, model = make_models(options.latent, options.width)
    model.compile(keras.optimizers.Adam(2e-3), negative_log_likelihood)
    model.fit(training, training, batch_size=64, epochs=options.epochs, verbose=2)

    share = np.clip(training.mean(0), 1e-3, 1 - 1e-3)
    independent = -np.mean(np.sum(test * np.log(share) + (1 - test) * np.log1p(-share), axis=-1))
    bound = np.mean([model.evaluate(test, test, verbose=0) for _ in range(10)])  # of ten draws
    mean = encoder.predict(test, verbose=0)[1]
    used = int(np.sum(mean.std(0) > 0.1))
    print(f"{used} of {options.latent} numbers say something about the image.")
    print(f"Independent pixels: {independent:.1f} nats")
    print(f"Negative log-likelihood of unseen digits: below {bound:.1f} nats")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        latent = np.random.default_rng(0).normal(size=(64, options.latent)).astype("float32")
        pixels = ops.sigmoid(decoder.predict(latent, verbose=0)).reshape(-1, 8, 8, 1)
        keras.visualization.plot_image_gallery(
            np.asarray(pixels), value_range=(0, 1), scale=0.6, path=options.out / "digits.png"
        )


if __name__ == "__main__":
    main()
