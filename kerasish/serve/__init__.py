"""Models behind HTTP: TensorFlow Serving's REST interface and the Open Inference Protocol."""

from kerasish.serve.application import app
from kerasish.serve.served_model import ServedModel

__all__ = ["ServedModel", "app"]
