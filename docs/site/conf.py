"""Sphinx's settings. `build.py` runs it over the pages that it has put together."""

from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry

import kerasish

project = "kerasish"
author = "The kerasish authors"
copyright = "The kerasish authors"
version = release = kerasish.__version__

extensions = ["myst_nb"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks hold their outputs, and tests run them
nb_merge_streams = True

html_theme = "furo"
html_title = f"kerasish {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
add_module_names = False
pygments_style = "friendly"
pygments_dark_style = "monokai"


def _note_aliases(app):
    """Let search and the inventory know other names of what the reference describes.

    After links within the pages are made, which would find two places for a class's short name.
    """
    known = app.env.domains.python_domain.objects
    for alias, name in app.config.object_aliases.items():
        entry = known[name]
        # The search passes over what only older code writes; the inventory has it.
        old = alias.startswith(("keras.backend.", "keras.optimizers.legacy."))
        known.setdefault(alias, ObjectEntry(entry.docname, entry.node_id, entry.objtype, old))
    return []


def setup(app: Sphinx) -> None:
    """Take aliases from `build.py`."""
    app.add_config_value("object_aliases", {}, "env")
    app.connect("html-collect-pages", _note_aliases)
