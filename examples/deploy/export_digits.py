"""Train the digit reader of examples/digits.py, or take a saved one, and export it for all others.

    python examples/deploy/export_digits.py --out out/deploy

leaves in the folder: `digits.onnx` (any batch size), `digits_plain.onnx` (one row, older
operators, for OpenCV), `digits.zip` (StableHLO, for JAX), and `picture.json`, `expected.json`:
a picture and its ten probabilities, which every program in examples/deploy must print.
"""

import argparse
import json
import pathlib
import sys
import zipfile

import kerasish as keras

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import digits

NAMES = [str(digit) for digit in range(10)]


def make(saved, epochs):
    """The trained model, and a picture that it has not seen."""
    x_train, x_test, y_train, _ = digits.load_data()
    if saved:
        return keras.models.load_model(saved), x_test[:1]
    keras.utils.set_random_seed(0)
    model = digits.make_model()
    model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0)
    return model, x_test[:1]


def main():
    """Export, and say what the files' own runtimes make of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a saved model, instead of training one")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/deploy"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, picture = make(options.model, options.epochs)
    model.export(options.out / "digits.onnx", class_names=NAMES, verify=picture)
    one_row = [keras.Input(batch_shape=picture.shape, name="image")]
    plain = options.out / "digits_plain.onnx"
    model.export(plain, input_signature=one_row, opset_version=12, verify=picture)
    model.export(options.out / "digits.zip", class_names=NAMES, verify=picture)
    with zipfile.ZipFile(options.out / "digits.zip") as archive:
        archive.extract("exported.py", options.out)  # what runs it, from an archive of our own
    expected = model.predict(picture, verbose=0)[0]
    (options.out / "picture.json").write_text(json.dumps(picture.ravel().tolist()))
    (options.out / "expected.json").write_text(json.dumps(expected.tolist()))


if __name__ == "__main__":
    main()
