"""What Keras 2 predicts by trained files, or Keras 3 by what kerasish made of them.

python trained_in_keras.py old packages folder: tf-keras reads each file of the packages.
python trained_in_keras.py new packages folder: Keras 3 reads each `.keras` file in the folder.
Predictions go to the folder, in `<number>.<old or new>.npz`.
"""

import importlib.util
import json
import os
import pathlib
import sys

import numpy as np

what, packages, folder = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "jax" if what == "new" else "tensorflow"
support = pathlib.Path(__file__).parents[2] / "support" / "trained_models.py"
spec = importlib.util.spec_from_file_location("trained_models", support)
trained = importlib.util.module_from_spec(spec)
spec.loader.exec_module(trained)
if what == "old":
    import tf_keras as K  # noqa: N812

    class GRU(K.layers.GRU):
        """Where a file says nothing, as it was before there was a choice."""

        def __init__(self, *args, reset_after=False, **kwargs):
            super().__init__(*args, reset_after=reset_after, **kwargs)

    K.utils.get_custom_objects()["GRU"] = GRU
else:
    import keras as K  # noqa: N812


@K.utils.register_keras_serializable("kerasish")
def hard_sigmoid_of_keras_2(x):
    """What `hard_sigmoid` was before Keras 3, which has no name for it."""
    return K.ops.clip(0.2 * x + 0.5, 0, 1)


files = json.loads((folder / f"files.{what}.json").read_text())
for number, (name, path) in ((i, file) for i, file in enumerate(files) if file):
    case = trained.TRAINED[name]
    if what == "old":
        model = case.load(K, packages / path)
    else:
        model = K.models.load_model(folder / f"{number}.keras", case.custom(K), compile=False)
    x = case.examples(model)
    outputs = model.predict(x if len(x) > 1 else x[0], verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    np.savez(folder / f"{number}.{what}.npz", *outputs)
