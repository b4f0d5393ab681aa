"""`Config`: named values with attribute access, which may be frozen."""

import json
from collections.abc import Iterator
from typing import Any

from kerasish.core.errors import did_you_mean


class Config:
    """Named values, got and set as attributes or as keys of a dict.

    Args:
        **kwargs: The initial values.

    Example:
        >>> config = Config(units=8)
        >>> config.rate = 0.1
        >>> config["units"], config.rate, list(config)
        (8, 0.1, ['rate', 'units'])
        >>> config.freeze()
        >>> config.frozen
        True
    """

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_config", kwargs)
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether values may no longer change."""
        return self._frozen

    def freeze(self) -> None:
        """Let no value change from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Let values change again."""
        object.__setattr__(self, "_frozen", False)

    def _change(self) -> dict:
        """The values, if they may change."""
        if self._frozen:
            raise ValueError("Config: frozen, so no value may change. Call `unfreeze()` first.")
        return self._config

    def as_dict(self) -> dict:
        """A dict of the values."""
        return dict(self._config)

    def to_json(self) -> str:
        """The values as JSON."""
        return json.dumps(self._config)

    def keys(self) -> Any:
        """The names."""
        return self._config.keys()

    def values(self) -> Any:
        """The values."""
        return self._config.values()

    def items(self) -> Any:
        """Names and values."""
        return self._config.items()

    def get(self, keyname: str, value: Any = None) -> Any:
        """The value of a name, or `value` if there is none.

        Args:
            keyname: The name.
            value: What comes where there is none.
        """
        return self._config.get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Take a value out, as `dict.pop` does.

        Args:
            *args: The name, and what comes where there is none.
        """
        return self._change().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several values, as `dict.update` does.

        Args:
            *args: As for a dict.
            **kwargs: As for a dict.
        """
        self._change().update(*args, **kwargs)

    def __getattr__(self, name):
        config = object.__getattribute__(self, "__dict__").get("_config", {})
        if name in config:
            return config[name]
        message = f"Config: no value is named {name!r}. {did_you_mean(name, config)}"
        raise AttributeError(message.rstrip())

    def __setattr__(self, name, value):
        if hasattr(type(self), name):
            raise AttributeError(
                f"Config: {name!r} is a method; set a value of that name as `config[{name!r}]`."
            )
        self._change()[name] = value

    def __delattr__(self, name):
        if name not in self._config:
            raise AttributeError(f"Config: no value is named {name!r}.")
        del self._change()[name]

    def __getitem__(self, key):
        return self._config[key]

    def __setitem__(self, key, value):
        self._change()[key] = value

    def __delitem__(self, key):
        del self._change()[key]

    def __contains__(self, key) -> bool:
        return key in self._config

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
