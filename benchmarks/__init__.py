"""The same models under kerasish, Keras 3, PyTorch and plain JAX: `python -m benchmarks`."""
