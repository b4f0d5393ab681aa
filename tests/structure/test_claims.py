"""The README's claims, and the test that holds each; one that is reworded is looked at again."""

import ast
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
README = " ".join((ROOT / "README.md").read_text().split())

# What the README says, and where a test of that name holds it.
CLAIMS = {
    "names, arguments, defaults": "structure/test_public_names.py::test_every_argument_is_keras",
    "numerics": "contract/test_layers_against_keras.py::test_values_gradients_and_state_are_keras",
    "steps are fused on the device": (
        "custom/test_custom_training.py::test_a_step_of_ones_own_is_fused_as_the_built_in_one"
    ),
    "custom training steps are plain Python and still compiled": (
        "custom/test_custom_training.py::test_three_ways_give_the_same_weights"
    ),
    "weights go into any `jax.numpy` function as they are": (
        "custom/test_custom_tensors.py::test_types_mix_as_jax_mixes_them"
    ),
    "brings jax, optax, numpy, h5py and rich, and nothing else": (
        "structure/test_claims.py::test_dependencies"
    ),
    "all works without it, too": "kernels/test_lowerings.py",
    "Keras 3 opens this file too": "saving/test_against_keras.py::test_a_model_goes_there_and_back",
    "no `get_config`, no `compute_output_shape`": (
        "structure/test_readme.py::test_readme_runs"  # a layer of one's own is in a model there
    ),
    "It is compiled and fused like the built-in one": (
        "custom/test_custom_training.py::test_a_step_of_ones_own_is_fused_as_the_built_in_one"
    ),
    "Any optax transformation goes into `compile` as it is": (
        "training/test_fit.py::test_optax_transformation_as_it_is"
    ),
    "One line before the model is made; the rest of the script stays as it is": (
        "distribution/test_equal_results.py::test_training_equals_one_devices"
    ),
    "`make bench` prints these rows on your machine": (
        "structure/test_claims.py::test_rows_of_the_table_are_measured"
    ),
    "`fit` starts from Keras 3's weights": (
        "initializers/test_initializers.py::test_set_random_seed_starts_from_keras_weights"
    ),
    "follows its losses": "training/test_fit_against_keras.py::test_same_curves_and_weights",
    "saved files open in both": "saving/test_against_keras.py::test_a_model_goes_there_and_back",
    "`kerasish --help` lists the rest": ("commands/test_commands.py::test_each_command_has_help"),
    "`docs/README.md` lists all pages": (
        "structure/test_readme.py::test_the_index_names_every_page"
    ),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_each_claim_is_there_and_held(claim):
    assert claim in README
    path, _, name = CLAIMS[claim].partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text())
    assert not name or name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}


def test_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[\w-]+", line)[0] for line in project["dependencies"]]
    assert names == ["jax", "jaxlib", "optax", "numpy", "h5py", "rich"]


def test_rows_of_the_table_are_measured():
    """Every figure stands in `benchmarks/README.md` too, which says how it was taken."""
    rows = re.findall(r"^\| [^|]+ (\| [\d.,]+ \w+ \|.*)$", (ROOT / "README.md").read_text(), re.M)
    measured = (ROOT / "benchmarks" / "README.md").read_text()
    assert len(rows) > 8
    assert [row for row in rows if row not in measured and "MB" not in row] == []
    assert "| peak memory |" in measured


def test_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'__version__ = "{version}"' in (ROOT / "kerasish" / "__init__.py").read_text()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
