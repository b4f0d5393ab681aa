"""The core: state, symbolic tensors, configs, dtypes, seeds. Imports nothing from above."""
