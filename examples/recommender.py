"""Recommend: two towers, one for users and one for items, trained on who took what.

Shows: `compute_loss` overridden, so that the other items of a batch serve as those not taken;
items' popularity taken off the logits (sampled-softmax correction); retrieval for all users in
one matrix product; hit rate against recommending what is popular.

    python examples/recommender.py
    python examples/recommender.py --users 5000 --items 2000 --epochs 30

Prints a line an epoch, and how often the one item of each user that was held out is among the ten
recommended: about 40%, against 13% for the most popular ten. Users' and items' tastes are made
up; replace `make_history` by your own pairs of numbers.
"""

import argparse

import numpy as np

import kerasish as keras
from kerasish import layers, ops


def make_history(users, items, each=20, seed=0):
    """Pairs `(user, item)`: popular items more often, and those near a user's taste."""
    rng = np.random.default_rng(seed)
    tastes, kinds = rng.normal(size=(users, 4)), rng.normal(size=(items, 4))
    popularity = rng.normal(0, 0.7, items)
    logits = 1.2 * tastes @ kinds.T + popularity
    gumbel = rng.gumbel(size=logits.shape)  # the largest sums are draws without replacement
    taken = np.argsort(-(logits + gumbel), axis=1)[:, :each]
    taken = rng.permuted(taken, axis=1)
    return np.stack([np.repeat(np.arange(users), each), taken.ravel()], -1).astype("int32")


class TwoTowers(keras.Model):
    """Vectors of users and items; their product says how well they suit.

    Args:
        frequency: Share of each item among all pairs.
        users: Number of users.
        width: Size of the vectors.
    """

    def __init__(self, frequency, users, width=16, **kwargs):
        super().__init__(**kwargs)
        self.log_frequency = np.log(frequency + 1e-9).astype("float32")
        l2 = keras.regularizers.L2(1e-6)
        self.user = layers.Embedding(users, width, embeddings_regularizer=l2)
        self.item = layers.Embedding(len(frequency), width, embeddings_regularizer=l2)
        self.popularity = layers.Embedding(len(frequency), 1, embeddings_initializer="zeros")

    def call(self, pairs):
        users, items = pairs[:, 0], pairs[:, 1]
        return ops.matmul(self.user(users), ops.transpose(self.item(items))) + ops.transpose(
            self.popularity(items)
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Cross-entropy of each user's own item among all items of the batch.

        An item is as often in a batch as it is popular; the correction takes that out again.
        """
        items = x[:, 1]
        logits = y_pred - ops.take(self.log_frequency, items)
        again = items[None] == items[:, None]  # the same item in another row is no counterexample
        logits = ops.where(again & ~ops.eye(len(items), dtype=bool), -1e9, logits)
        crossentropy = ops.sparse_categorical_crossentropy(
            ops.arange(len(items)), logits, from_logits=True
        )
        return ops.mean(crossentropy) + sum(self.losses)

    def scores(self):
        """How well each item suits each user."""
        vectors = ops.matmul(self.user.embeddings, ops.transpose(self.item.embeddings))
        return np.asarray(vectors + ops.transpose(self.popularity.embeddings))


def hit_rate(scores, seen, wanted, count=10):
    """Share of users whose held-out item is among the best of those they did not take before."""
    scores = np.array(scores)
    scores[seen[:, 0], seen[:, 1]] = -np.inf
    best = np.argpartition(-scores, count, axis=1)[:, :count]
    return np.mean((best == wanted[:, None]).any(1))


def main():
    """Hold out an item of each user, train on the others, recommend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    pairs = make_history(options.users, options.items).reshape(options.users, -1, 2)
    wanted, seen = pairs[:, -1, 1], pairs[:, :-1].reshape(-1, 2)
    frequency = np.bincount(seen[:, 1], minlength=options.items) / len(seen)

    model = TwoTowers(frequency, options.users)
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(seen, batch_size=256, epochs=options.epochs, verbose=2)

    scores = model.scores()
    print(f"User 0 took {np.sort(pairs[0, :-1, 1])[:8]} ...; suits: {np.argsort(-scores[0])[:8]}")
    popular = np.broadcast_to(frequency, scores.shape)
    print(f"Hit rate of the ten most popular: {hit_rate(popular, seen, wanted):.1%}")
    print(f"Hit rate at ten: {hit_rate(scores, seen, wanted):.1%}")


if __name__ == "__main__":
    main()
