"""The package's source as pages, so that the reference links to the very lines."""

import html
import pathlib

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import kerasish

_ROOT = pathlib.Path(kerasish.__file__).parent
_FORMAT = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True, style="friendly")
_DARK = HtmlFormatter(style="monokai").get_style_defs(".highlight")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<link rel="stylesheet" href="{up}source/source.css"></head>
<body><p><a href="{up}index.html">kerasish</a> / {title}</p>{body}</body></html>
"""
_STYLE = """body {{ margin: 1rem; font-family: sans-serif; }}
pre {{ font-size: .85rem; line-height: 1.4; overflow-x: auto; }}
a {{ color: inherit; }} .linenos {{ opacity: .5; padding-right: 1rem; user-select: none; }}
:target + *, a:target {{ background: #fe86; }}
{light}
@media (prefers-color-scheme: dark) {{ body {{ background: #1a1c1e; color: #ddd; }}
{dark} }}
"""


def write(folder: pathlib.Path) -> None:
    """Write a page for each module below `folder`."""
    for path in sorted(_ROOT.rglob("*.py")):
        name = path.relative_to(_ROOT)
        page = (folder / name).with_suffix(".html")
        page.parent.mkdir(parents=True, exist_ok=True)
        body = highlight(path.read_text(), PythonLexer(), _FORMAT)
        up = "../" * len(name.parts)
        page.write_text(_PAGE.format(title=html.escape(f"kerasish/{name}"), up=up, body=body))
    light = _FORMAT.get_style_defs(".highlight")
    (folder / "source.css").write_text(_STYLE.format(light=light, dark=_DARK))
