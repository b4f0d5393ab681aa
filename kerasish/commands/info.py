"""Say what is installed here: versions, devices, extras, native kernels, compilation cache."""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import pathlib
import platform
import re
from collections.abc import Iterable
from typing import Any

import jax

import kerasish
from kerasish.commands import compilation_cache
from kerasish.commands.output import add_json, print_json, print_table
from kerasish.core.text_tables import readable_bytes
from kerasish.kernels import onednn

HELP = "versions, devices, extras, native kernels and the compilation cache"
_LIBRARIES = ("jax", "jaxlib", "optax", "numpy", "h5py", "rich")
_DEV = pathlib.Path("/dev")
_ALL = "all"  # the extra that is all the others
_FOR_DEVELOPERS = ("test", "docs", "release", "bench", "dev")  # extras that no user needs
_REQUIREMENT = re.compile(
    r"""(?P<name>[\w.-]+)\s*(\[(?P<extras>[^]]*)])?\s*(?P<versions>[^;]*?)\s*;.*
    extra\s*==\s*['"](?P<extra>[\w.-]+)['"]""",
    re.VERBOSE,
)
_COMPARISONS = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes.

    Args:
        parser: The command's parser.
    """
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print it.

    Args:
        options: Parsed arguments.
    """
    found = information()
    if options.json:
        print_json(found)
    else:
        _print(found)
    return 0


def information() -> dict[str, Any]:
    """What `kerasish info` says, as plain data."""
    found, problem = _devices()
    return {
        "versions": {
            "kerasish": kerasish.__version__,
            "python": platform.python_version(),
            **{name: installed(name) for name in _LIBRARIES},
        },
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "devices": [_device(device) for device in found],
        "advice": [*problem, *unused_accelerators({device.platform for device in found})],
        "native_kernels": {
            "installed": installed("kerasish-native"),
            "used": onednn.is_available(),
        },
        "extras": extras(),
        "compilation_cache": compilation_cache.look().as_dict(),
    }


def installed(name: str) -> str | None:
    """The version of an installed distribution, `None` where there is none.

    Args:
        name: Name of the distribution.
    """
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices():
    """JAX's devices, and why there are none where it can use none that it was told to use."""
    try:
        return jax.devices(), []
    except RuntimeError as error:
        return [], [f"JAX finds no device (JAX_PLATFORMS={jax.config.jax_platforms}): {error}"]


def _device(device):
    memory = None
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # which some backends raise: unknown
        memory = (device.memory_stats() or {}).get("bytes_limit")
    return {
        "id": device.id,
        "platform": device.platform,
        "kind": device.device_kind,
        "memory_bytes": memory,
    }


def unused_accelerators(used: Iterable[str], dev: pathlib.Path = _DEV) -> list[str]:
    """Sentences on accelerators of this machine that JAX does not use, and what to do.

    Args:
        used: Platforms of the devices that JAX uses.
        dev: The folder of the system's devices.
    """
    used, advice = set(used), []
    if (dev / "nvidiactl").exists() and not used & {"gpu", "cuda"}:
        advice.append(
            "An NVIDIA device is here, and JAX does not use it: pip install 'jax[cuda13]' "
            "(or 'jax[cuda12]' for older drivers)."
        )
    if any(dev.glob("accel[0-9]*")) and "tpu" not in used:
        advice.append("A TPU may be here, and JAX does not use it: pip install 'jax[tpu]'.")
    return advice


def extras() -> dict[str, dict[str, Any]]:
    """The extras of the installed package: what each needs, and whether it is there.

    Returns:
        By name: `present`, `command` (pip's), and `packages`, each with the versions `needed` and
        the one `installed`. Nothing where kerasish is not installed, but found on a path.
    """
    try:
        lines = importlib.metadata.requires("kerasish") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    needed: dict[str, list[re.Match]] = {}
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match and match["extra"] not in _FOR_DEVELOPERS:
            needed.setdefault(match["extra"], []).append(match)
    found = {}
    for extra in sorted(needed):
        packages = {
            name: {"needed": versions, "installed": installed(name)}
            for name, versions in _packages(extra, needed, set()).items()
        }
        found[extra] = {
            "present": all(meets(p["installed"], p["needed"]) for p in packages.values()),
            "command": f"pip install 'kerasish[{extra}]'",
            "packages": packages,
        }
    return found


def _packages(extra, needed, seen) -> dict[str, str]:
    """Packages of an extra, and of those extras of kerasish that it names."""
    if extra in seen:
        return {}
    seen.add(extra)
    found: dict[str, str] = {}
    for match in needed.get(extra, []):
        if match["name"].lower() == "kerasish":
            for inner in (match["extras"] or "").split(","):
                found |= _packages(inner.strip(), needed, seen)
        else:
            found[match["name"]] = match["versions"]
    return found


def meets(version: str | None, needed: str) -> bool:
    """Whether a version is one of those needed, by the numbers it begins with.

    Args:
        version: Version, as `1.2.3`.
        needed: Requirement: `>=0.11,<0.13`.

    Example:
        >>> meets("0.11.36", "<0.13,>=0.11.36"), meets("0.9", ">=0.11"), meets(None, "")
        (True, False, False)
    """
    if version is None:
        return False
    for part in filter(None, (text.strip() for text in needed.split(","))):
        sign = re.match(r"[<>=!~]+", part)
        compare = _COMPARISONS.get(sign[0]) if sign else None
        if sign and compare and not compare(_numbers(version), _numbers(part[sign.end() :])):
            return False
    return True


def _numbers(version):
    """The release's numbers without zeros at its end, so that 2.0 is 2."""
    found = re.match(r"\s*(\d+(?:\.\d+)*)", version)
    numbers = [int(n) for n in found[1].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def _print(found):
    rows = [[name, version or "missing"] for name, version in found["versions"].items()]
    native = found["native_kernels"]
    said = "in use" if native["used"] else "not used; see docs/installing.md"
    rows.append(["native kernels", f"{native['installed'] or 'not installed'}, {said}"])
    rows.append(["system", found["system"]])
    print_table("kerasish", ["what", "version"], rows)
    columns = ["device", "kind", "memory"]
    rows = [
        [
            f"{device['platform']}:{device['id']}",
            device["kind"],
            readable_bytes(device["memory_bytes"]) if device["memory_bytes"] else "",
        ]
        for device in found["devices"]
    ]
    print_table("Devices", columns, rows, lines=found["advice"])
    rows = [
        [
            name,
            "yes" if extra["present"] else "no",
            _packages_in_words(name, extra),
            extra["command"],
        ]
        for name, extra in found["extras"].items()
    ]
    unknown = ["kerasish is not installed here, but found on a path: its extras are not known."]
    columns = ["extra", "present", "packages", "to install"]
    print_table("Extras", columns, rows, lines=[] if rows else unknown)
    cache = found["compilation_cache"]
    print(f"Compilation cache: {compilation_cache.in_words(cache)}")


def _packages_in_words(name, extra):
    if name == _ALL:
        return "those of the others"
    return ", ".join(
        f"{name} {package['installed']}"
        if meets(package["installed"], package["needed"])
        else f"{name} {package['installed'] or 'missing'} (needs {package['needed'] or 'any'})"
        for name, package in extra["packages"].items()
    )
