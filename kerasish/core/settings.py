"""What is the same for all of the process: float type, epsilon, image layout, checks, caches."""

import logging
import os
import pathlib
from typing import Any

import jax

from kerasish.core.errors import bad_argument

_log = logging.getLogger(__name__)

_FLOATS = ("bfloat16", "float16", "float32", "float64")
_LAYOUTS = ("channels_last", "channels_first")


class _Settings:
    floatx = "float32"
    epsilon = 1e-7
    image_data_format = "channels_last"
    nan_checks = False
    interactive_logging = True
    max_epochs: int | None = None
    max_steps_per_epoch: int | None = None
    unsafe_deserialization = False
    flash_attention: bool | None = None


_settings = _Settings()


def current() -> dict[str, Any]:
    """All that was set, for what was made under it to ask whether it still holds."""
    return vars(_settings).copy()


def floatx() -> str:
    """The float type used where none is named: `"float32"` unless changed.

    Example:
        >>> floatx()
        'float32'
    """
    return _settings.floatx


def set_floatx(value: str) -> None:
    """Set the float type used where none is named: one of bfloat16, float16, float32, float64.

    Args:
        value: Name of the type.

    Example:
        >>> set_floatx("bfloat16")
        >>> keras.ops.zeros(1).dtype.name
        'bfloat16'
    """
    if value not in _FLOATS:
        raise bad_argument("set_floatx", "value", f"one of {_FLOATS}", value)
    if value == "float64":
        jax.config.update("jax_enable_x64", True)
    _settings.floatx = str(value)


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite: 1e-7 unless changed.

    Example:
        >>> epsilon()
        1e-07
    """
    return _settings.epsilon


def set_epsilon(value: float) -> None:
    """Set the number that `epsilon()` returns.

    Args:
        value: A small positive number.

    Example:
        >>> set_epsilon(1e-3)
        >>> epsilon()
        0.001
    """
    _settings.epsilon = value


def image_data_format() -> str:
    """Where images have their channels: `"channels_last"` unless changed.

    Example:
        >>> image_data_format()
        'channels_last'
    """
    return _settings.image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set where images have their channels: `"channels_last"` or `"channels_first"`.

    Args:
        data_format: Either of the two.

    Example:
        >>> set_image_data_format("channels_first")
        >>> keras.layers.Conv2D(8, 3)(np.ones((1, 3, 5, 5))).shape
        (1, 8, 3, 3)
    """
    _settings.image_data_format = standardize_data_format(data_format)


def standardize_data_format(data_format: Any) -> str:
    """The given image layout, or the global one for `None`.

    Args:
        data_format: Either of the two, or `None`.

    Example:
        >>> standardize_data_format(None)
        'channels_last'
    """
    if data_format is None:
        return _settings.image_data_format
    if str(data_format).lower() not in _LAYOUTS:
        raise bad_argument("layer", "data_format", f"one of {_LAYOUTS}", data_format)
    return str(data_format).lower()


def enable_nan_checks() -> None:
    """Make `fit` and `evaluate` stop at the first NaN and name the layer that made it.

    Costs a pass over every layer's output. The model keeps the weights it had before the bad step.

    Example:
        >>> enable_nan_checks()
        >>> nan_checks_enabled()
        True
    """
    _settings.nan_checks = True


def disable_nan_checks() -> None:
    """Undo `enable_nan_checks`.

    Example:
        >>> disable_nan_checks()
        >>> nan_checks_enabled()
        False
    """
    _settings.nan_checks = False


def nan_checks_enabled() -> bool:
    """Whether `enable_nan_checks` is in force.

    Example:
        >>> nan_checks_enabled()
        False
    """
    return _settings.nan_checks


def enable_interactive_logging() -> None:
    """Show progress bars (the default).

    Example:
        >>> enable_interactive_logging()
        >>> is_interactive_logging_enabled()
        True
    """
    _settings.interactive_logging = True


def disable_interactive_logging() -> None:
    """Write one plain line an epoch instead of progress bars.

    Example:
        >>> disable_interactive_logging()
        >>> is_interactive_logging_enabled()
        False
        >>> enable_interactive_logging()
    """
    _settings.interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress bars are shown.

    Example:
        >>> is_interactive_logging_enabled()
        True
    """
    return _settings.interactive_logging


def max_epochs() -> int | None:
    """The most epochs that a `fit` runs, whatever it is asked for; `None` is no limit.

    Example:
        >>> max_epochs() is None
        True
    """
    return _settings.max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Let no `fit` run more epochs than this, to try a program quickly; `None` is no limit.

    Args:
        max_epochs: Number of epochs, or `None`.

    Example:
        >>> set_max_epochs(2)
        >>> max_epochs()
        2
        >>> set_max_epochs(None)
    """
    _settings.max_epochs = _limit("set_max_epochs", "max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """The most batches that `fit`, `evaluate` and `predict` take; `None` is no limit.

    Example:
        >>> max_steps_per_epoch() is None
        True
    """
    return _settings.max_steps_per_epoch


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Let an epoch, an `evaluate` or a `predict` take no more batches; `None` is no limit.

    Args:
        max_steps_per_epoch: Number of batches, or `None`.

    Example:
        >>> set_max_steps_per_epoch(10)
        >>> max_steps_per_epoch()
        10
        >>> set_max_steps_per_epoch(None)
    """
    limit = _limit("set_max_steps_per_epoch", "max_steps_per_epoch", max_steps_per_epoch)
    _settings.max_steps_per_epoch = limit


def _limit(owner, name, value):
    if value is not None and (not isinstance(value, int) or value < 1):
        raise bad_argument(owner, name, "a positive integer or None", value)
    return value


def enable_flash_attention() -> None:
    """Use cuDNN's fused attention on NVIDIA devices, wherever numbers of 16 bits allow it.

    Example:
        >>> enable_flash_attention()
        >>> is_flash_attention_enabled()
        True
        >>> disable_flash_attention()
    """
    _settings.flash_attention = True


def disable_flash_attention() -> None:
    """Use cuDNN's fused attention only in layers that ask for it (the default).

    Example:
        >>> disable_flash_attention()
        >>> is_flash_attention_enabled()
        False
    """
    _settings.flash_attention = False


def is_flash_attention_enabled() -> bool | None:
    """Whether `enable_flash_attention` is in force; `None` if nothing was said.

    Example:
        >>> enable_flash_attention()
        >>> is_flash_attention_enabled()
        True
        >>> disable_flash_attention()
    """
    return _settings.flash_attention


def enable_unsafe_deserialization() -> None:
    """Load as with `safe_mode=False`, wherever something is loaded.

    No code in a file is run all the same: it is `custom_objects` that may then stand for lambdas.

    Example:
        >>> enable_unsafe_deserialization()  # doctest: +SKIP
    """
    _settings.unsafe_deserialization = True


def unsafe_deserialization_enabled() -> bool:
    """Whether `enable_unsafe_deserialization` is in force.

    Example:
        >>> unsafe_deserialization_enabled()
        False
    """
    return _settings.unsafe_deserialization


def backend() -> str:
    """Always `"jax"`: kerasish has no other.

    Example:
        >>> backend()
        'jax'
    """
    return "jax"


def set_backend(backend: str) -> None:
    """Accept `"jax"`, the only one there is, and raise on any other.

    Args:
        backend: `"jax"`.

    Example:
        >>> set_backend("jax")
    """
    if backend != "jax":
        raise bad_argument("set_backend", "backend", "'jax': kerasish has no other", backend)


def enable_traceback_filtering() -> None:
    """Leave frames of kerasish and JAX out of tracebacks (the default).

    Example:
        >>> enable_traceback_filtering()
        >>> is_traceback_filtering_enabled()
        True
    """
    jax.config.update("jax_traceback_filtering", "auto")


def disable_traceback_filtering() -> None:
    """Show all frames in tracebacks, those of kerasish and JAX too.

    Example:
        >>> disable_traceback_filtering()
        >>> is_traceback_filtering_enabled()
        False
        >>> enable_traceback_filtering()
    """
    jax.config.update("jax_traceback_filtering", "off")


def is_traceback_filtering_enabled() -> bool:
    """Whether frames of kerasish and JAX are left out of tracebacks.

    Example:
        >>> is_traceback_filtering_enabled()
        True
    """
    return jax.config.jax_traceback_filtering != "off"


def user_cache_folder() -> pathlib.Path:
    """Where kerasish may keep what can be made again: in `XDG_CACHE_HOME`, or the user's home.

    Raises:
        RuntimeError: If the user has no home.

    Example:
        >>> user_cache_folder().name
        'kerasish'
    """
    folder = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(folder) if folder else pathlib.Path.home() / ".cache") / "kerasish"


def use_compilation_cache() -> None:
    """Turn on JAX's persistent compilation cache in the user's cache folder.

    Programs compiled once are read from disk in the next process. A folder the user gave JAX
    is kept. `KERASISH_COMPILATION_CACHE=0` turns it off; a path moves it.

    Example:
        >>> use_compilation_cache()  # from now on programs are kept between runs
    """
    choice = os.environ.get("KERASISH_COMPILATION_CACHE", "")
    if choice.lower() in ("0", "off", "false") or jax.config.jax_compilation_cache_dir:
        return
    try:
        folder = pathlib.Path(choice) if choice else user_cache_folder() / "xla"
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"no right to write in {folder}")
    except (OSError, RuntimeError) as error:  # no home (in a container, say), or no right to write
        _log.info("Programs are not cached on disk: %s", error)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
