"""Compiles the handlers: a library that is no module of Python's, so that one fits any Python 3."""

from importlib import metadata
from pathlib import Path

import jaxlib
from setuptools import Extension, setup


def folder_with(package, path):
    """The folder under which a package has a file."""
    files = metadata.files(package) or []
    found = next(f.locate().resolve() for f in files if str(f).endswith(path))
    return str(found).removesuffix(path)


handlers = Extension(
    "kerasish_native._handlers",
    ["src/convolution.cpp"],
    include_dirs=[
        str(Path(jaxlib.__file__).parent / "include"),
        folder_with("onednn-devel-cpu-gomp", "oneapi/dnnl/dnnl.hpp"),
    ],
    library_dirs=[folder_with("onednn-cpu-gomp", "libdnnl.so.3")],
    libraries=["dnnl", "gomp"],
    extra_compile_args=["-std=c++17", "-O2", "-g0"],
    py_limited_api=True,
)
setup(ext_modules=[handlers], options={"bdist_wheel": {"py_limited_api": "cp311"}})
