"""What parts keep in files: wherever they are held, with loaders and files of their own."""

import os
import zipfile

import keras
import numpy as np
import pytest

import kerasish

X = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
WAYS = [(kerasish, keras), (keras, kerasish), (kerasish, kerasish)]


def nested_containers(k):
    """A model whose layers are in lists of lists, dicts and tuples."""

    class Nest(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            dense = k.layers.Dense
            self.blocks = [[dense(4), dense(4)], [dense(4), {"x": dense(4)}]]
            self.heads = {"a": [dense(4)], "b": (dense(4),)}

        def all_layers(self):
            first, (third, fourth) = self.blocks
            return [*first, third, fourth["x"], self.heads["a"][0], self.heads["b"][0]]

        def build(self, input_shape):
            for layer in self.all_layers():
                layer.build((None, 4))
            self.built = True

        def call(self, x):
            for layer in self.all_layers():
                x = layer(x)
            return x

    return Nest


def two_names(k):
    """A model whose layers are seen through properties, or have a private and a public name."""

    class Names(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            dense = k.layers.Dense
            self._hidden, self.Zeta = dense(4), dense(4)
            self.shared = self._other = dense(4)

        @property
        def hidden(self):
            return self._hidden

        @property
        def several(self):
            return [self.Zeta, self.shared]

        @property
        def broken(self):
            raise RuntimeError("not now")

        def build(self, input_shape):
            for layer in (self._hidden, self.Zeta, self.shared):
                layer.build((None, 4))
            self.built = True

        def call(self, x):
            return self.shared(self.Zeta(self._hidden(x)))

    return Names


def own_loader(k):
    """A layer that saves and loads what is no Variable."""

    class Own(k.layers.Layer):
        table = None

        def build(self, input_shape):
            self.w = self.add_weight(shape=(4,), initializer="ones", name="w")
            self.built = True

        def call(self, x):
            return x * self.w * float(np.sum(self.table))

        def compute_output_shape(self, input_shape):
            return input_shape

        def save_own_variables(self, store):
            store["w"], store["table"] = self.w.numpy() * 2, np.asarray(self.table)

        def load_own_variables(self, store):
            self.w.assign(store["w"] / 2)
            self.table = np.array(store["table"])

    return Own


def own_files(k):
    """A layer with a file of its own."""

    class Words(k.layers.Layer):
        words = ("",)

        def call(self, x):
            return x * float(len(self.words))

        def compute_output_shape(self, input_shape):
            return input_shape

        def save_assets(self, dir_path):
            with open(os.path.join(dir_path, "words.txt"), "w") as file:
                file.write("\n".join(self.words))

        def load_assets(self, dir_path):
            with open(os.path.join(dir_path, "words.txt")) as file:
                self.words = file.read().split("\n")

    return Words


def classes(make):
    made = {k: make(k) for k in (kerasish, keras)}
    for k, cls in made.items():
        k.saving.register_keras_serializable("parts", cls.__name__)(cls)
    return made


def written(make, writer):
    made = classes(make)[writer]
    if issubclass(made, writer.Model):
        model = made()
        model.build((None, 4))
        return model
    layer = made()
    layer.words, layer.table = ["a", "b", "c"], np.array([1.0, 2.5])
    if make is own_files:
        return writer.Sequential([writer.Input((4,)), writer.layers.Dense(4), layer])
    layer.build((None, 4))
    x = writer.Input((4,))
    return writer.Model(x, layer(x))


@pytest.mark.parametrize("make", [nested_containers, two_names, own_loader, own_files])
@pytest.mark.parametrize(("writer", "reader"), WAYS)
@pytest.mark.parametrize("name", ["x.keras", "folder"])
def test_parts_come_back(make, writer, reader, name, tmp_path):
    model = written(make, writer)
    for variable in model.weights:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    writer.saving.save_model(model, tmp_path / name, zipped=name.endswith(".keras"))
    loaded = reader.saving.load_model(tmp_path / name)
    x, y = np.asarray(model(X)), np.asarray(loaded(X))
    np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-5)


def repack(old, new, **options):
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w", **options) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))


@pytest.mark.parametrize("writer", [kerasish, keras])
def test_archives_that_were_packed_again_load(writer, tmp_path):
    model = written(own_files, writer)
    model.save(tmp_path / "a.keras")
    repack(tmp_path / "a.keras", tmp_path / "b.keras", compression=zipfile.ZIP_DEFLATED)
    loaded = kerasish.saving.load_model(tmp_path / "b.keras")
    np.testing.assert_allclose(np.asarray(loaded(X)), np.asarray(model(X)), rtol=1e-5, atol=1e-6)
    loaded.layers[0].kernel.assign(np.zeros((4, 4)))
    loaded.load_weights(tmp_path / "b.keras")
    np.testing.assert_allclose(np.asarray(loaded(X)), np.asarray(model(X)), rtol=1e-5, atol=1e-6)


HOSTILE = {
    "assets/../../evil.txt": "leads elsewhere",
    "assets/layers/words/../../../evil.txt": "leads elsewhere",
    "/assets/evil.txt": "leads elsewhere",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_assets_that_lead_elsewhere_are_refused(name, tmp_path):
    written(own_files, kerasish).save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras", "a") as archive:
        archive.writestr(name, "evil")
    with pytest.raises(ValueError, match=HOSTILE[name]):
        kerasish.saving.load_model(tmp_path / "a.keras")


def test_assets_that_unpack_to_far_too_much_are_refused(tmp_path):
    written(own_files, kerasish).save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras", "a") as archive:
        bomb = zipfile.ZipInfo("assets/layers/words/bomb")
        bomb.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(bomb, "w") as member:
            for _ in range(70):
                member.write(bytes(2**20))
    with pytest.raises(ValueError, match=r"bomb claims 73400320 bytes, which is refused"):
        kerasish.saving.load_model(tmp_path / "a.keras")


def test_folders_say_what_is_wrong(tmp_path):
    model = written(own_files, kerasish)
    with pytest.raises(ValueError, match="must be a folder's path with `zipped=False`"):
        model.save(tmp_path / "x.keras", zipped=False)
    model.save(tmp_path / "x", zipped=False)
    with pytest.raises(ValueError, match="exists, and `overwrite` is False"):
        model.save(tmp_path / "x", zipped=False, overwrite=False)
    (tmp_path / "x" / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match=r"x has no model.weights.h5"):
        kerasish.saving.load_model(tmp_path / "x")


class Several(kerasish.layers.Layer):
    def __init__(self, *units, **kwargs):
        super().__init__(**kwargs)
        self.units = units


def test_arguments_that_no_config_can_name_are_an_error():
    assert "units" not in Several().get_config()
    with pytest.raises(ValueError, match=r"Several: a config names each argument.*\(3, 4\)"):
        Several(3, 4).get_config()

    class Mine(kerasish.layers.Dense):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    assert Mine(3, "relu").get_config()["activation"] == "relu"
