"""`import keras` means kerasish once this is imported: before anything that imports Keras.

`keras` and `keras.x.y` are kerasish's own modules, never copies. Paths under `keras.src`, which
libraries reach into, give the public class or function of a name, and what stands in
`source_names`. `keras.__version__` says which Keras this stands for.

Example:
    >>> import subprocess, sys
    >>> program = "import kerasish.as_keras, keras; print(keras.config.backend())"
    >>> subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    'jax\\n'
"""

from kerasish.as_keras.finder import KERAS_VERSION, install

__all__ = ["KERAS_VERSION", "install"]

install()
