"""Docstrings as Markdown: sections become headings and lists, examples become blocks of code."""

import inspect
import re
from collections.abc import Callable, Iterator

_LISTS = ("Args", "Attributes", "Raises")
_SECTIONS = (*_LISTS, "Shapes", "Returns", "Yields", "References", "Example", "Examples")
_HEADING = re.compile(rf"({'|'.join(_SECTIONS)}):")
_TITLES = {"Args": "Arguments", "Example": "Examples"}
_ITEM = re.compile(r"(\*{0,2}[\w.`]+(?:, \*{0,2}[\w.`]+)*): ?(.*)")
_BULLET = re.compile(r"(?:-|\d+\.) ")
_CODE = re.compile(r"(`+)(.+?)\1(?!`)", re.DOTALL)


def sections(doc: str) -> dict[str, list[str]]:
    """Lines of a docstring by section; what comes before the first one is under `""`."""
    found: dict[str, list[str]] = {"": []}
    now = ""
    for line in inspect.cleandoc(doc).splitlines():
        heading = _HEADING.fullmatch(line)
        if heading:
            now = heading[1]
            found.setdefault(now, [])
        elif now and line and not line.startswith(" "):
            now = ""  # text that goes on below a section
            found[now] += ["", line]
        else:
            found[now].append(line)
    return {name: _dedented(lines) for name, lines in found.items()}


def as_markdown(doc: str, link: Callable[[str], str] = lambda code: f"`{code}`") -> str:
    """A docstring as Markdown.

    Args:
        doc: The docstring.
        link: Makes Markdown of the code between backticks: a link, where it is a public name.
    """
    parts = []
    for name, lines in sections(doc).items():
        if name:
            parts.append(f"**{_TITLES.get(name, name)}**")
        parts += list(_items(lines, link) if name in _LISTS else _blocks(lines, link))
    return "\n\n".join(filter(None, parts))


def _dedented(lines):
    return inspect.cleandoc("\n" + "\n".join(lines)).splitlines()


def _items(lines, link) -> Iterator[str]:
    """`name: text`, with text that goes on in indented lines, as a list."""
    items: list[list[str]] = []
    for line in lines:
        match = _ITEM.fullmatch(line)
        if match:
            items.append([match[1], match[2]])
        elif items and line.startswith(" "):
            items[-1].append(line.strip())
        elif line:
            items.append(["", line])
    shown = []
    for name, *text in items:
        said = _inline(" ".join(text), link)
        shown.append(f"- `{name.replace('`', '')}`: {said}" if name else f"- {said}")
    yield "\n".join(shown)


def _blocks(lines, link) -> Iterator[str]:
    """Paragraphs, lists, examples and literal blocks."""
    at = 0
    literal = False
    while at < len(lines):
        line = lines[at]
        end = at
        if line.startswith(">>>"):
            while end < len(lines) and lines[end]:
                end += 1
            yield _fenced("pycon", lines[at:end])
        elif literal and line.startswith(" "):
            while end < len(lines) and (not lines[end] or lines[end].startswith(" ")):
                end += 1
            yield _fenced("text", _dedented(lines[at:end]))
        elif line.startswith("```"):
            end = lines.index("```", at + 1) + 1
            yield "\n".join(lines[at:end])
        elif line:
            while end < len(lines) and lines[end] and not lines[end].startswith(">>>"):
                end += 1
            yield _paragraph(lines[at:end], link)
        literal = line.endswith("::") or (literal and not line) or lines[end - 1].endswith("::")
        at = max(end, at + 1)


def _paragraph(lines, link):
    if _BULLET.match(lines[0]):
        joined = []
        for line in lines:
            if _BULLET.match(line):
                joined.append(line)
            else:
                joined[-1] += f" {line.strip()}"
        return "\n".join(_inline(line, link) for line in joined)
    text = " ".join(line.strip() for line in lines)
    return _inline(text[:-1] if text.endswith("::") else text, link)


def _fenced(kind, lines):
    return "\n".join([f"```{kind}", *lines, "```"]).replace("\n\n```", "\n```")


def _inline(text, link):
    """Text whose code stays as it is, and which has no other markup."""
    shown, at = [], 0
    for match in _CODE.finditer(text):
        shown += [_escaped(text[at : match.start()]), link(match[2].strip())]
        at = match.end()
    return "".join([*shown, _escaped(text[at:])])


def _escaped(text):
    return re.sub(r"([*_<\[\\$|{])", r"\\\1", text)
