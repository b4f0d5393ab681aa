"""What is the same for the whole process: float type, epsilon, image layout, checks, caches."""

import os
import pathlib

import jax

from kerasish.core.errors import bad_argument

_FLOATS = ("bfloat16", "float16", "float32", "float64")
_LAYOUTS = ("channels_last", "channels_first")


class _Settings:
    floatx = "float32"
    epsilon = 1e-7
    image_data_format = "channels_last"
    nan_checks = False
    interactive_logging = True
    traceback_filtering = True
    max_epochs = None
    max_steps_per_epoch = None


_settings = _Settings()


def floatx() -> str:
    """The float type used where none is named: `"float32"` unless changed."""
    return _settings.floatx


def set_floatx(value: str) -> None:
    """Set the float type used where none is named: one of bfloat16, float16, float32, float64."""
    if value not in _FLOATS:
        raise bad_argument("set_floatx", "value", f"one of {_FLOATS}", value)
    if value == "float64":
        jax.config.update("jax_enable_x64", True)
    _settings.floatx = str(value)


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite: 1e-7 unless changed."""
    return _settings.epsilon


def set_epsilon(value: float) -> None:
    """Set the number that `epsilon()` returns."""
    _settings.epsilon = value


def image_data_format() -> str:
    """Where images have their channels: `"channels_last"` unless changed."""
    return _settings.image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set where images have their channels: `"channels_last"` or `"channels_first"`."""
    _settings.image_data_format = standardize_data_format(data_format)


def standardize_data_format(data_format) -> str:
    """The given image layout, or the global one for `None`."""
    if data_format is None:
        return _settings.image_data_format
    if str(data_format).lower() not in _LAYOUTS:
        raise bad_argument("layer", "data_format", f"one of {_LAYOUTS}", data_format)
    return str(data_format).lower()


def enable_nan_checks() -> None:
    """Make `fit` and `evaluate` stop at the first NaN and name the layer that made it.

    Costs a pass over every layer's output. The model keeps the weights it had before the bad step.
    """
    _settings.nan_checks = True


def disable_nan_checks() -> None:
    """Undo `enable_nan_checks`."""
    _settings.nan_checks = False


def nan_checks_enabled() -> bool:
    """Whether `enable_nan_checks` is in force."""
    return _settings.nan_checks


def enable_interactive_logging() -> None:
    """Show progress bars (the default)."""
    _settings.interactive_logging = True


def disable_interactive_logging() -> None:
    """Write one plain line an epoch instead of progress bars."""
    _settings.interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress bars are shown."""
    return _settings.interactive_logging


def backend() -> str:
    """Always `"jax"`: kerasish has no other."""
    return "jax"


def use_compilation_cache() -> None:
    """Turn on JAX's persistent compilation cache in the user's cache folder.

    Programs compiled once are read from disk in the next process. A folder the user gave JAX
    is kept. `KERASISH_COMPILATION_CACHE=0` turns it off; a path moves it.
    """
    choice = os.environ.get("KERASISH_COMPILATION_CACHE", "")
    if choice.lower() in ("0", "off", "false") or jax.config.jax_compilation_cache_dir:
        return
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(choice) if choice else pathlib.Path(home) / "kerasish" / "xla"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home to write to (a container, say): work without a cache
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
