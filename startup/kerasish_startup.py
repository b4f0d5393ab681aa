"""With the environment variable `KERASISH_AS_KERAS=1`, `import keras` means kerasish.

Python runs this when it starts, by the `.pth` file beside it: a notebook needs no edit, only the
variable where its kernel starts. Nothing is imported before someone imports Keras.
"""

import importlib.abc
import os
import sys


class FirstImport(importlib.abc.MetaPathFinder):
    """Waits for the first import of Keras, and has kerasish stand for it."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        import kerasish.as_keras  # noqa: F401, PLC0415

        return sys.meta_path[0].find_spec(fullname)


if os.environ.get("KERASISH_AS_KERAS") == "1":
    sys.meta_path.insert(0, FirstImport())
