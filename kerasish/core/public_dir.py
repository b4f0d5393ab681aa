"""What `dir` and tab completion show of modules: the names that users write."""

import types


def list_public_names(module: types.ModuleType) -> None:
    """Let `dir` of a module, and of the public modules in it, list what `__all__` has.

    Modules without `__all__` stay as they are.

    Args:
        module: The module.

    Example:
        >>> module = types.ModuleType("shapes")
        >>> exec("import math; __all__ = ['area']; area = math.prod", vars(module))
        >>> list_public_names(module)
        >>> [name for name in dir(module) if not name.startswith("__")]
        ['area']
    """
    names = getattr(module, "__all__", None)
    if names is None or "__dir__" in vars(module):
        return
    found = {*names, *(name for name in vars(module) if name.startswith("__"))}
    module.__dir__ = lambda: sorted(found)  # Python's own hook for modules
    for name in names:
        value = vars(module).get(name)
        if isinstance(value, types.ModuleType) and value.__name__.startswith("kerasish"):
            list_public_names(value)
