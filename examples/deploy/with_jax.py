"""Read a digit with JAX alone: `pip install jax flatbuffers`. `exported.py` runs the model.

python with_jax.py out/deploy
"""

import json
import pathlib
import sys

import numpy as np

folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))  # `exported.py`, which came out of an archive of our own
from exported import load  # noqa: E402

picture = np.array(json.loads((folder / "picture.json").read_text()), "float32")
probabilities = load(folder / "digits.zip")(picture.reshape(1, 8, 8, 1))
print(json.dumps(np.asarray(probabilities)[0].tolist()))
