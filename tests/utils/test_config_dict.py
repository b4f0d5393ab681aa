"""`Config` beside Keras', and `SymbolicScope`."""

import pytest

import kerasish
from tests.support.keras_oracle import both


def test_is_keras():
    def program(k):
        config = k.utils.Config(rate=0.1, units=8)
        config.seed = 3
        config["name"] = "x"
        config.update(units=9)
        del config["rate"]
        seen = [list(config), len(config), config.to_json(), config.as_dict(), "seed" in config]
        return [*seen, config.get("rate", 7), config.pop("seed"), repr(config), config.units]

    both(program)


def test_frozen_ones_do_not_change():
    config = kerasish.utils.Config(units=8)
    config.freeze()
    for change in (
        lambda: setattr(config, "units", 9),
        lambda: config.update(units=9),
        lambda: config.pop("units"),
        lambda: config.__delitem__("units"),
    ):
        with pytest.raises(ValueError, match=r"frozen, so no value may change"):
            change()
    config.unfreeze()
    config.units = 9
    assert config.as_dict() == {"units": 9} and not config.frozen


def test_unknown_names_are_named():
    with pytest.raises(AttributeError, match=r"no value is named 'unit'. Did you mean 'units'\?"):
        _ = kerasish.utils.Config(units=8).unit
    with pytest.raises(AttributeError, match=r"'keys' is a method; set .* `config\['keys'\]`"):
        kerasish.utils.Config().keys = 3


def test_symbolic_scopes_nest():
    from kerasish.core.symbolic.symbolic_scope import in_symbolic_scope

    assert not in_symbolic_scope()
    with kerasish.SymbolicScope():
        with kerasish.SymbolicScope() as inner:
            assert isinstance(inner, kerasish.SymbolicScope) and in_symbolic_scope()
        assert in_symbolic_scope()
    assert not in_symbolic_scope()
