"""The same application behind Ray Serve: `pip install "ray[serve]" kerasish[serve]`.

    serve run serve_ray:deployment            # one machine
    ray up cluster.yaml && serve deploy ...   # many

Each replica is a process with the model of its own; Ray routes requests to them, starts more under
load, and starts those anew that end. Batches form inside of a replica, as without Ray.
"""

import os

from ray import serve

from kerasish.serve import app

MODELS = {"digits": os.environ.get("DIGITS", "out/digits/model.keras")}


def make_app():
    """Made in the replica, so that no model travels between processes."""
    return app(MODELS, max_batch=64, max_wait_ms=2.0)


@serve.deployment(
    ray_actor_options={"num_cpus": 2},
    autoscaling_config={"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 64},
    max_ongoing_requests=256,
)
@serve.ingress(make_app)
class Digits:
    """kerasish's application is the whole of it."""


deployment = Digits.bind()
