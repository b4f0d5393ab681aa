"""The core: state, symbolic tensors, configs, dtypes, seeds. Imports nothing of the package above."""
