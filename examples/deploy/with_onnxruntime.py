"""Read a digit with ONNX Runtime alone: `pip install onnxruntime numpy`.

python with_onnxruntime.py out/deploy
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime

folder = pathlib.Path(sys.argv[1])
session = onnxruntime.InferenceSession(folder / "digits.onnx", providers=["CPUExecutionProvider"])
picture = np.array(json.loads((folder / "picture.json").read_text()), "float32")
name = session.get_inputs()[0].name
(probabilities,) = session.run(None, {name: picture.reshape(1, 8, 8, 1)})
print(json.dumps(probabilities[0].tolist()))
