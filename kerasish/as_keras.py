"""`import keras` means kerasish once this is imported: before anything that imports Keras.

    import kerasish.as_keras
    import keras  # kerasish

`keras` and `keras.x.y` are kerasish's own modules, never copies. Paths under `keras.src`, which
libraries reach into, give the public class or function of a name, and what stands in
`kerasish.keras_alias.source_names`. `keras.__version__` says which Keras this stands for.
"""

from kerasish.keras_alias import install

install()
