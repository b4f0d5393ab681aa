"""Symbolic tensors, and the graph of calls on them."""

# Gives symbolic tensors their operators: whoever imports a module of this folder has them.
import kerasish.core.symbolic.operators  # noqa: F401
