"""What the server answers: both protocols, every kind of input, and sentences for bad requests."""

import asyncio
import base64
import io
import json
import struct
import threading
import types

import jax
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

pytest.importorskip("starlette")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx2")

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from kerasish import serve
from kerasish.serve.batching import Batcher

RNG = np.random.default_rng(0)


def small():
    return keras.Sequential([keras.Input((3,), name="x"), layers.Dense(2, "softmax", name="y")])


def several():
    a, ids = keras.Input((2,), name="a"), keras.Input((4,), dtype="int32", name="ids")
    h = layers.Dense(3)(a) + layers.Flatten()(layers.Embedding(5, 3)(ids))[:, :3]
    return keras.Model({"a": a, "ids": ids}, {"sum": h, "half": h / 2})


def images():
    return keras.Sequential([keras.Input((4, 5, 3), name="image"), layers.GlobalAveragePooling2D()])


def any_length():
    x = keras.Input((None, 2), name="x")
    return keras.Model(x, layers.LSTM(3, name="y")(x))


@pytest.fixture(scope="module")
def models():
    return {"small": small(), "several": several(), "images": images(), "long": any_length()}


@pytest.fixture(scope="module")
def client(models):
    wrapped = {
        **models,
        "small": serve.ServedModel(models["small"], class_names=["no", "yes"]),
        "images": serve.ServedModel(models["images"], images={"image": {"high": 1.0}}),
    }
    with TestClient(serve.app(wrapped, max_batch=4)) as found:
        yield found


def predict(client, name, **body):
    answer = client.post(f"/v1/models/{name}:predict", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("rows", [1, 3, 4, 11])
def test_rows_and_columns_give_what_predict_gives(models, client, rows):
    x = RNG.normal(size=(rows, 3)).astype("float32")
    wanted = models["small"].predict(x, verbose=0)
    for body, key in (
        ({"instances": x.tolist()}, "predictions"),
        ({"instances": [{"x": row} for row in x.tolist()]}, "predictions"),
        ({"inputs": x.tolist()}, "outputs"),
        ({"inputs": {"x": x.tolist()}, "signature_name": "serving_default"}, "outputs"),
    ):
        np.testing.assert_allclose(predict(client, "small", **body)[key], wanted, rtol=1e-5)


def test_several_inputs_and_outputs(models, client):
    a, ids = RNG.normal(size=(3, 2)).astype("float32"), RNG.integers(0, 5, (3, 4))
    wanted = models["several"].predict({"a": a, "ids": ids.astype("int32")}, verbose=0)
    rows = [{"a": x, "ids": y} for x, y in zip(a.tolist(), ids.tolist(), strict=True)]
    by_row = predict(client, "several", instances=rows)["predictions"]
    columns = predict(client, "several", inputs={"a": a.tolist(), "ids": ids.tolist()})["outputs"]
    for name in ("sum", "half"):
        np.testing.assert_allclose([row[name] for row in by_row], wanted[name], rtol=1e-5)
        np.testing.assert_allclose(columns[name], wanted[name], rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_sizes_that_vary(models, client, length):
    x = RNG.normal(size=(2, length, 2)).astype("float32")
    wanted = models["long"].predict(x, verbose=0)
    got = predict(client, "long", instances=x.tolist())["predictions"]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_status_and_metadata(client):
    status = client.get("/v1/models/several").json()["model_version_status"]
    assert [(s["version"], s["state"]) for s in status] == [("1", "AVAILABLE")]
    found = client.get("/v1/models/several/metadata").json()["metadata"]["signature_def"]
    signature = found["signature_def"]["serving_default"]
    assert signature["inputs"]["ids"]["dtype"] == "DT_INT32"
    sizes = signature["inputs"]["ids"]["tensor_shape"]["dim"]
    assert [size["size"] for size in sizes] == ["-1", "4"]
    assert set(signature["outputs"]) == {"sum", "half"}
    found = client.get("/v2/models/long/versions/1").json()
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, -1, 2]}]
    assert found["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}]
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/long/ready"):
        assert client.get(path).status_code == 200


def test_classify_names_the_classes(models, client):
    x = RNG.normal(size=(2, 3)).astype("float32")
    body = {"context": {}, "examples": [{"x": row} for row in x.tolist()]}
    found = client.post("/v1/models/small:classify", json=body).json()["result"]
    wanted = models["small"].predict(x, verbose=0)
    for row, scores in zip(found, wanted, strict=True):
        assert [name for name, _ in row] == ["no", "yes"]
        np.testing.assert_allclose([score for _, score in row], scores, rtol=1e-5)
    refused = client.post("/v1/models/long:classify", json=body)
    assert refused.status_code == 400 and "class names are not known" in refused.json()["error"]


def infer(client, name, head, *tensors):
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))} if tensors else {}
    content = b"".join([text, *tensors])
    return client.post(f"/v2/models/{name}/infer", content=content, headers=headers)


@pytest.mark.parametrize("nested", [False, True])
def test_open_inference_with_json(models, client, nested):
    x = RNG.normal(size=(3, 3)).astype("float32")
    data = x.tolist() if nested else x.ravel().tolist()
    entry = {"name": "x", "shape": [3, 3], "datatype": "FP32", "data": data}
    found = infer(client, "small", {"id": "7", "inputs": [entry]}).json()
    assert (found["id"], found["model_name"], found["model_version"]) == ("7", "small", "1")
    (output,) = found["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("y", "FP32", [3, 2])
    wanted = models["small"].predict(x, verbose=0)
    np.testing.assert_allclose(np.reshape(output["data"], (3, 2)), wanted, rtol=1e-5)


def test_open_inference_with_binary_tensors(models, client):
    a, ids = RNG.normal(size=(3, 2)).astype("float32"), RNG.integers(0, 5, (3, 4)).astype("int32")
    inputs = [
        {
            "name": "ids",
            "shape": [3, 4],
            "datatype": "INT32",
            "parameters": {"binary_data_size": 48},
        },
        {"name": "a", "shape": [3, 2], "datatype": "FP32", "parameters": {"binary_data_size": 24}},
    ]
    outputs = [{"name": "half", "parameters": {"binary_data": True}}, {"name": "sum"}]
    head = {"inputs": inputs, "outputs": outputs}
    answer = infer(client, "several", head, ids.tobytes(), a.tobytes())
    assert answer.status_code == 200, answer.text
    size = int(answer.headers["Inference-Header-Content-Length"])
    found = json.loads(answer.content[:size])
    wanted = models["several"].predict({"a": a, "ids": ids}, verbose=0)
    by_name = {output["name"]: output for output in found["outputs"]}
    assert by_name["half"]["parameters"] == {"binary_data_size": 36}
    half = np.frombuffer(answer.content[size:], "float32").reshape(3, 3)
    np.testing.assert_allclose(half, wanted["half"], rtol=1e-5)
    np.testing.assert_allclose(np.reshape(by_name["sum"]["data"], (3, 3)), wanted["sum"], rtol=1e-5)
    head["parameters"], head["outputs"] = {"binary_data_output": True}, [{"name": "sum"}]
    answer = infer(client, "several", head, ids.tobytes(), a.tobytes())
    size = int(answer.headers["Inference-Header-Content-Length"])
    tail = np.frombuffer(answer.content[size:], "float32").reshape(3, 3)
    np.testing.assert_allclose(tail, wanted["sum"], rtol=1e-5)


def picture(size=(5, 4), kind="PNG"):
    image = pytest.importorskip("PIL.Image")
    pixels = RNG.integers(0, 256, (size[1], size[0], 3)).astype("uint8")
    held = io.BytesIO()
    image.fromarray(pixels).save(held, kind)
    return pixels, held.getvalue()


def test_images_come_as_files_where_the_model_says_so(client):
    pixels, data = picture()
    text = base64.b64encode(data).decode()
    wanted = pixels.mean((0, 1)) / 255
    for instances in ([{"b64": text}] * 2, [{"image": {"b64": text}}] * 2):
        found = predict(client, "images", instances=instances)["predictions"]
        np.testing.assert_allclose(found, [wanted, wanted], rtol=1e-5)
    part = struct.pack("<I", len(data)) + data
    entry = {"name": "image", "shape": [1], "datatype": "BYTES"}
    binary = {"inputs": [{**entry, "parameters": {"binary_data_size": len(part)}}]}
    for answer in (
        infer(client, "images", binary, part),
        infer(client, "images", {"inputs": [{**entry, "data": [text]}]}),
    ):
        np.testing.assert_allclose(answer.json()["outputs"][0]["data"], wanted, rtol=1e-5)
    numbers = predict(client, "images", instances=(pixels[None] / 255).tolist())["predictions"]
    np.testing.assert_allclose(numbers[0], wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("instance", "says"),
    [
        ({"b64": "%%"}, "is not base64"),
        ({"b64": base64.b64encode(b"hello").decode()}, "no PNG or JPEG"),
        ({"b64": 3}, "not of the form"),
        ({"file": ""}, "must be an object with the inputs"),
    ],
)
def test_bad_images_say_what_is_wrong(client, instance, says):
    answer = client.post("/v1/models/images:predict", json={"instances": [instance]})
    assert answer.status_code == 400 and says in answer.json()["error"], answer.text


def test_images_of_other_sizes_are_refused_or_resized(models):
    _, data = picture((9, 7))
    body = {"instances": [{"b64": base64.b64encode(data).decode()}]}
    for resize, status in ((False, 400), (True, 200)):
        served = serve.ServedModel(models["images"], images={"image": {"resize": resize}})
        client = TestClient(serve.app({"m": served}, max_batch=1))
        answer = client.post("/v1/models/m:predict", json=body)
        assert answer.status_code == status, answer.text
    assert len(answer.json()["predictions"][0]) == 3


def test_images_of_unequal_sizes_are_refused():
    x = keras.Input((None, None, 3), name="image")
    model = keras.Model(x, layers.GlobalAveragePooling2D()(x))
    served = serve.ServedModel(model, images={"image": {}})
    client = TestClient(serve.app({"m": served}, max_batch=2))
    files = [{"b64": base64.b64encode(picture(size)[1]).decode()} for size in ((4, 5), (5, 4))]
    for file in files:
        assert predict(client, "m", instances=[file])
    answer = client.post("/v1/models/m:predict", json={"instances": files})
    assert answer.status_code == 400 and "unequal sizes" in answer.text


def test_strings_go_through_the_vocabulary():
    words = layers.StringLookup(vocabulary=["good", "bad"])
    model = keras.Sequential([keras.Input((), dtype="int32"), layers.Embedding(3, 2, name="y")])
    client = TestClient(serve.app({"m": serve.ServedModel(model, preprocess=words)}, max_batch=4))
    wanted = model.predict(np.array([1, 2, 0], "int32"), verbose=0)
    texts = ["good", "bad", "né"]
    found = predict(client, "m", instances=texts)["predictions"]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    encoded = [{"b64": base64.b64encode(text.encode()).decode()} for text in texts]
    np.testing.assert_allclose(predict(client, "m", instances=encoded)["predictions"], wanted)
    name = client.get("/v2/models/m").json()["inputs"][0]["name"]
    data = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    entry = {"name": name, "shape": [3], "datatype": "BYTES"}
    for head, tail in (
        ({**entry, "parameters": {"binary_data_size": len(data)}}, [data]),
        ({**entry, "data": texts}, []),
    ):
        answer = infer(client, "m", {"inputs": [head]}, *tail)
        np.testing.assert_allclose(np.reshape(answer.json()["outputs"][0]["data"], (3, 2)), wanted)
    answer = client.post("/v1/models/m:predict", json={"instances": ["good", 3]})
    assert answer.status_code == 400 and "(batch,) of string; got a number" in answer.text


def test_a_file_of_a_model_that_takes_strings_is_served_warm(tmp_path, caplog):
    words = layers.TextVectorization(output_sequence_length=4)
    words.adapt(["a good film", "a bad film"])
    text = keras.Input((), dtype="string", name="text")
    h = layers.GlobalAveragePooling1D()(layers.Embedding(8, 4)(words(text)))
    model = keras.Model(text, layers.Dense(2, "softmax", name="y")(h))
    model.save(tmp_path / "m.keras")
    texts = ["good film", "a bad film", "", "né", "good"]
    wanted = model.predict(np.array(texts, object), verbose=0)
    client = TestClient(serve.app({"m": tmp_path / "m.keras"}, max_batch=4))
    assert client.get("/v2/models/m").json()["inputs"] == [
        {"name": "text", "datatype": "BYTES", "shape": [-1]}
    ]
    jax.config.update("jax_log_compiles", True)  # in every thread
    try:
        for rows in (1, 3, 5):
            found = predict(client, "m", instances=texts[:rows])["predictions"]
            np.testing.assert_allclose(found, wanted[:rows], rtol=1e-5)
        named = [{"text": t} for t in texts]
        found = predict(client, "m", instances=named)["predictions"]
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        entry = {"name": "text", "shape": [5], "datatype": "BYTES", "data": texts}
        found = infer(client, "m", {"inputs": [entry]}).json()["outputs"][0]["data"]
        np.testing.assert_allclose(np.reshape(found, (5, 2)), wanted, rtol=1e-5)
        assert "Compiling" not in caplog.text
        jax.jit(lambda x: x + 1)(np.zeros(7))
        assert "Compiling" in caplog.text
    finally:
        jax.config.update("jax_log_compiles", False)
    answer = client.post("/v1/models/m:predict", json={"instances": [["good"]]})
    assert answer.status_code == 400 and "(batch,) of string; got shape (1, 1)" in answer.text


X = [1.0, 2.0, 3.0]
FP32 = {"name": "x", "shape": [1, 3], "datatype": "FP32"}
IDS = {"a": [0, 0], "ids": [1, 2, 3, 4]}
BAD_PREDICT = [
    ("small", {"instances": [[1, 2]]}, "must be (batch, 3) of float32; got shape (1, 2)"),
    ("small", {"instances": [[1, 2, 3], [1]]}, "rows of unequal shapes"),
    ("small", {"instances": [[1, 2, "3"]]}, "got strings"),
    ("small", {"instances": [[1, 2, None]]}, "got null"),
    ("small", {"instances": [[True, False, True]]}, "got booleans"),
    ("small", {"instances": [[1, 2, 10**400]]}, "of float32; got"),
    ("small", {"instances": [[1e300, 2, 3]]}, "too large"),
    ("small", {"instances": []}, "'instances' must be an array"),
    ("small", {"instances": 3}, "'instances' must be an array"),
    ("small", {"instances": [{"z": X}]}, "must be an object with the inputs ['x']"),
    ("small", {"instances": [X], "inputs": [X]}, "either 'instances' or 'inputs'"),
    ("small", {}, "either 'instances' or 'inputs'"),
    ("small", {"instances": [X], "signature_name": "other"}, "no signature 'other'"),
    ("small", {"instances": [X], "rows": 1}, "unknown keys ['rows']"),
    ("small", {"inputs": {"z": [X]}}, "must have the inputs ['x']; got ['z']"),
    ("small", {"inputs": 1.5}, "got a number"),
    ("several", {"inputs": [X]}, "an object with the inputs ['a', 'ids']"),
    ("several", {"inputs": {"a": [[0, 0]] * 2, "ids": [[1] * 4]}}, "same number of rows"),
    ("several", {"instances": [{**IDS, "ids": [1.5, 2, 3, 4]}]}, "numbers with fractions"),
    ("several", {"instances": [{**IDS, "ids": [2**40, 2, 3, 4]}]}, "numbers beyond"),
    ("several", {"instances": [IDS, {"a": [0, 0]}]}, "number 1 is ['a']"),
]


@pytest.mark.parametrize(("name", "body", "says"), BAD_PREDICT, ids=lambda x: str(x)[:40])
def test_bad_requests_say_what_was_wanted(client, name, body, says):
    answer = client.post(f"/v1/models/{name}:predict", json=body)
    assert answer.status_code == 400 and says in answer.json()["error"], answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "must be JSON"),
        (b"\xff\xfe", "must be JSON"),
        (b"[]", "must be a JSON object; it is an array"),
        (b'{"instances": [[1, 2, NaN]]}', "holds NaN"),
        (b'{"instances": [[1, 2, -Infinity]]}', "holds -Infinity"),
        (b'{"instances": [[1, 2, 1e999]]}', "without NaN and infinities"),
        (b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deep"),
        (b'{"instances": [' + b"[" * 60 + b"1" + b"]" * 60 + b"]}", "of float32; got"),
        (b'{"instances": [[1, 2, ' + b"9" * 5000 + b"]]}", "must be JSON"),
    ],
    ids=lambda x: str(x)[:30],
)
def test_bad_bodies_say_what_is_wrong(client, content, says):
    answer = client.post("/v1/models/small:predict", content=content)
    assert answer.status_code == 400 and says in answer.json()["error"], answer.text


BAD_INFER = [
    ({"inputs": [{**FP32, "data": [1, 2]}]}, (), "needs 3 values, not 2"),
    ({"inputs": [{**FP32, "data": X, "shape": [3]}]}, (), "got shape (3,)"),
    ({"inputs": [{**FP32, "data": X, "shape": [1, -3]}]}, (), "'shape' must be an array of sizes"),
    ({"inputs": [{**FP32, "data": X, "datatype": "FP64"}]}, (), "must have datatype 'FP32'"),
    ({"inputs": [{**FP32, "data": "123"}]}, (), "'data' must be an array; it is a string"),
    ({"inputs": [{**FP32, "data": [X, X]}]}, (), "'data' has shape (2, 3)"),
    ({"inputs": [{**FP32, "name": "z", "data": X}]}, (), "named ['x'], once each; got ['z']"),
    ({"inputs": [{**FP32, "data": X}] * 2}, (), "once each"),
    ({"inputs": [{**FP32, "data": X, "size": 3}]}, (), "unknown keys ['size']"),
    ({"inputs": [{**FP32, "data": X}], "outputs": [{"name": "z"}]}, (), "no output 'z'"),
    ({"inputs": [{**FP32, "data": X}], "id": 3}, (), "'id' must be a string"),
    ({"inputs": {}}, (), "'inputs' must be an array of objects"),
    ({"inputs": [{**FP32, "parameters": {"binary_data_size": 8}}]}, (b"x" * 8,), "needs 12 bytes"),
    ({"inputs": [{**FP32, "parameters": {"binary_data_size": 12}}]}, (b"x" * 8,), "must follow"),
    ({"inputs": [{**FP32, "data": X}]}, (b"x",), "belong to no input"),
    ({"inputs": [{**FP32, "parameters": {"binary_data_size": -1}}]}, (), "a size in bytes"),
    ({"inputs": [{**FP32, "parameters": []}]}, (), "'parameters' must be an object"),
]


@pytest.mark.parametrize(("head", "tail", "says"), BAD_INFER, ids=lambda x: str(x)[:40])
def test_bad_infer_requests_say_what_was_wanted(client, head, tail, says):
    answer = infer(client, "small", head, *tail)
    assert answer.status_code == 400 and says in answer.json()["error"], answer.text


@pytest.mark.parametrize("length", ["x", "0", "-1", "99999", "1e3"])
def test_a_wrong_header_length_is_refused(client, length):
    content = json.dumps({"inputs": [{**FP32, "data": X}]}).encode()
    headers = {"Inference-Header-Content-Length": length}
    answer = client.post("/v2/models/small/infer", content=content, headers=headers)
    assert answer.status_code == 400 and "must be the length of the JSON" in answer.text


def test_nan_in_binary_tensors(models, client):
    entry = {**FP32, "parameters": {"binary_data_size": 12}}
    data = np.array([1, np.nan, 2], "float32").tobytes()
    answer = infer(client, "small", {"inputs": [entry]}, data)
    assert answer.status_code == 400 and "forbidden" in answer.text
    allowing = TestClient(serve.app({"small": models["small"]}, max_batch=1, allow_nan=True))
    assert infer(allowing, "small", {"inputs": [entry]}, data).status_code == 200
    answer = allowing.post("/v1/models/small:predict", content=b'{"instances": [[1, NaN, 2]]}')
    assert np.isnan(answer.json()["predictions"]).all()


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("POST", "/v1/models/none:predict", 404, "no model 'none'; there are ['images'"),
        ("POST", "/v1/models/small/versions/7:predict", 404, "no version '7' loaded; it has '1'"),
        ("POST", "/v2/models/none/infer", 404, "no model 'none'"),
        ("GET", "/v1/models/none", 404, "no model 'none'"),
        ("GET", "/elsewhere", 404, "No such route: GET /elsewhere"),
        ("PUT", "/v1/models/small", 405, "No such route: PUT"),
        ("GET", "/v1/models/small:predict", 404, "no model 'small:predict'"),
        ("PUT", "/v1/models/small:predict", 405, "No such route"),
    ],
)
def test_what_is_not_there_says_so(client, method, path, status, says):
    answer = client.request(method, path)
    assert answer.status_code == status and says in answer.json()["error"], answer.text


def test_bodies_have_a_limit(models):
    client = TestClient(serve.app({"small": models["small"]}, max_batch=1, max_body_mb=0.001))
    body = b'{"instances": [' + b" " * 2000 + b"]}"
    for content in (body, iter([body])):
        answer = client.post("/v1/models/small:predict", content=content)
        assert answer.status_code == 413 and "at most 1048 bytes" in answer.json()["error"]
    headers = {"Content-Encoding": "gzip"}
    assert client.post("/v1/models/small:predict", content=b"", headers=headers).status_code == 415


def test_keys(models, tmp_path):
    file = tmp_path / "keys"
    file.write_text("# ours\nfirst-key\n\nsecond-key\n")
    client = TestClient(serve.app({"small": models["small"]}, max_batch=1, api_key_file=file))
    for key, status in (("first-key", 200), ("second-key", 200), ("third", 401), ("", 401)):
        answer = client.get("/v1/models/small", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
    assert answer.headers["WWW-Authenticate"] == "Bearer" and "wants a key" in answer.text
    for path in ("/metrics", "/status", "/v2", "/v2/models/small"):
        assert client.get(path).status_code == 401
    assert client.post("/v1/models/small:predict", json={"instances": [X]}).status_code == 401
    for path in ("/", "/v2/health/live", "/v2/health/ready"):
        assert client.get(path).status_code == 200
    file.write_text("# none\n")
    with pytest.raises(ValueError, match="`api_key_file` must be a file with one key a line"):
        serve.app({"small": models["small"]}, api_key_file=file)


def test_the_page_and_the_figures(client):
    predict(client, "small", instances=[X])
    page = client.get("/")
    assert (page.status_code == 200 and "<textarea" in page.text) or "textarea" in page.text
    found = {model["name"]: model for model in client.get("/status").json()["models"]}
    assert found["small"]["batches"] == [1, 2, 4] and found["small"]["p50_ms"] > 0
    text = client.get("/metrics").text
    assert 'kerasish_requests_total{code="200",model="small",protocol="v1"}' in text
    assert 'kerasish_batch_rows_bucket{le="4.0",model="small"}' in text


def test_middleware_sees_every_request(models):
    application = serve.app({"small": models["small"]}, max_batch=1)
    seen = []

    class Watching:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            seen.append(scope.get("path"))
            await self.app(scope, receive, send)

    application.add_middleware(Watching)
    with TestClient(application) as client:
        predict(client, "small", instances=[X])
    assert "/v1/models/small:predict" in seen


def test_the_application_may_be_mounted(models):
    inner = serve.app({"small": models["small"]}, max_batch=1)
    client = TestClient(Starlette(routes=[Mount("/deep", inner)]))
    answer = client.post("/deep/v1/models/small:predict", json={"instances": [X]})
    assert answer.status_code == 200, answer.text
    assert client.post("/deep/v1/models/none:predict", json={}).status_code == 404


def test_a_client_that_goes_away_is_forgotten(client):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    path = "/v1/models/small:predict"
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    asyncio.run(client.app(scope, receive, send))
    assert sent == []
    predict(client, "small", instances=[X])


def test_buckets_hold_what_is_at_most_their_bound():
    from kerasish.serve.measures import Measures

    measures = Measures()
    for rows in (1, 2, 3, 4, 1000):
        measures.batch("m", rows, 0.5)
    lines = measures.text(types.SimpleNamespace(models={})).decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("kerasish_batch_rows"))
    buckets = {
        bound: found[f'kerasish_batch_rows_bucket{{le="{bound}",model="m"}}']
        for bound in ("1.0", "2.0", "4.0", "512.0", "+Inf")
    }
    assert list(map(float, buckets.values())) == [1, 2, 4, 4, 5]
    assert float(found['kerasish_batch_rows_sum{model="m"}']) == 1010


def test_a_fixed_batch_is_filled_up():
    model = keras.Sequential([keras.Input(batch_shape=(4, 2), name="x"), layers.Dense(3, name="y")])
    client = TestClient(serve.app({"m": model}))
    x = RNG.normal(size=(3, 2)).astype("float32")
    wanted = model.predict(np.concatenate([x, x[:1]]), verbose=0)[:3]
    np.testing.assert_allclose(predict(client, "m", instances=x.tolist())["predictions"], wanted)
    answer = client.post("/v1/models/m:predict", json={"instances": [[0, 0]] * 5})
    assert answer.status_code == 400 and "at most 4 rows at once; got 5" in answer.text


@pytest.mark.parametrize(
    ("models", "options", "says"),
    [
        ({}, {}, "`models` must be one or more models by name"),
        ({"a/b": None}, {}, "`name` must be letters, digits"),
        ({"a": 3}, {}, "`model` must be a model"),
        ({"a": "missing.keras"}, {}, "`path` must be a model's file"),
        ({"a": None}, {"max_batch": 0}, "`max_batch` must be a positive integer; got 0"),
        ({"a": None}, {"max_wait_ms": -1}, "`max_wait_ms` must be a number, 0 or more; got -1"),
        ({"a": None}, {"max_body_mb": 0}, "`max_body_mb` must be a number over 0; got 0"),
    ],
)
def test_wrong_arguments_say_what_is_wanted(models, options, says):
    with pytest.raises(ValueError) as raised:
        serve.app(models, **options)
    assert says in str(raised.value)


def test_wrong_options_of_a_model_say_what_is_wanted(models):
    with pytest.raises(ValueError, match="`class_names` must be as many names as"):
        serve.ServedModel(models["small"], class_names=["a"])
    with pytest.raises(ValueError, match="`images` must be given for inputs among"):
        serve.ServedModel(models["small"], images={"z": {}})
    with pytest.raises(ValueError, match="for an input of shape"):
        serve.ServedModel(models["small"], images={"x": {}})
    with pytest.raises(ValueError, match="`preprocess` must be left out"):
        serve.ServedModel(models["several"], preprocess=lambda x: x)


class Recorder:
    """Stands for a model: notes the batches it is given, and waits until it may go on."""

    def __init__(self):
        self.sizes, self.go, self.begun = [], threading.Event(), threading.Event()

    def __call__(self, arrays):
        self.sizes.append(len(arrays["x"]))
        self.begun.set()
        assert self.go.wait(60)
        if (arrays["x"] == 13).any():
            raise ValueError("unlucky")
        return {"y": arrays["x"] * 2}


def ask(batcher, *values):
    """Answers to requests of one row each, sent at once."""

    async def all_of_them():
        calls = [batcher({"x": np.array([[value]])}, 1) for value in values]
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(all_of_them())


def test_requests_are_joined_and_filled_up():
    run = Recorder()
    run.go.set()
    batcher = Batcher(run, [1, 2, 4, 8], max_wait=60.0, max_queue=100)
    values = list(range(8))
    found = ask(batcher, *values)
    assert [float(result["y"][0, 0]) for result in found] == [2 * value for value in values]
    assert run.sizes == [8]
    batcher = Batcher(run, [1, 2, 4, 8], max_wait=0.2, max_queue=100)
    assert [float(r["y"][0, 0]) for r in ask(batcher, 1, 2, 3)] == [2, 4, 6]
    assert run.sizes == [8, 4]
    batcher.close()


def test_a_large_request_fails_as_a_whole():
    run = Recorder()
    run.go.set()
    batcher = Batcher(run, [1, 2], max_wait=0.0, max_queue=100)
    values = np.array([[1], [2], [13], [4], [13]])
    with pytest.raises(ValueError, match="unlucky"):
        asyncio.run(batcher({"x": values}, 5))
    found = asyncio.run(batcher({"x": values[[0, 1, 3]]}, 3))
    np.testing.assert_array_equal(found["y"], [[2], [4], [8]])
    batcher.close()


def test_who_is_at_fault_fails_alone():
    run = Recorder()
    run.go.set()
    batcher = Batcher(run, [1, 2, 4], max_wait=60.0, max_queue=100)
    found = ask(batcher, 1, 13, 2, 3)
    assert [float(found[i]["y"][0, 0]) for i in (0, 2, 3)] == [2, 4, 6]
    assert found[1].status == 500 and str(found[1]) == "The model failed: ValueError: unlucky"
    batcher.close()


def test_a_full_queue_says_when_to_come_again():
    run = Recorder()
    batcher = Batcher(run, [1], max_wait=0.0, max_queue=2)

    async def fill():
        first = asyncio.ensure_future(batcher({"x": np.ones((1, 1))}, 1))
        await asyncio.to_thread(run.begun.wait, 60)
        others = [asyncio.ensure_future(batcher({"x": np.ones((1, 1))}, 1)) for _ in range(5)]
        await asyncio.sleep(0)
        run.go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    found = asyncio.run(fill())
    refused = [result for result in found if isinstance(result, Exception)]
    assert len(refused) == 3
    assert {(e.status, e.headers["Retry-After"]) for e in refused} == {(503, "1")}
    batcher.close()
