"""Pages of the API reference, written from signatures and docstrings."""

import inspect
import pathlib
import re

from docstrings import as_markdown
from public_names import PAGES, Entry, entries, source_of

from kerasish.layers.base.layer import BETWEEN_PARTS

_MODULE = re.compile(
    r"\b(?:kerasish|jax|collections|numpy|typing|types)\.(?:\w+\.)+(?=\w)|\btyping\."
)
_AT = re.compile(
    r"<(?:function|class|built-in function)? ?'?([\w.]*?)'?(?: object)?(?: at 0x\w+)?>"
)
# An annotation that its module does not evaluate.
_QUOTED = re.compile(r"(: |-> )'([^']*)'")
_NO_TEXT = "No description."


def write(folder: pathlib.Path) -> list[Entry]:
    """Write one file of Markdown for each page; return what stands on them."""
    folder.mkdir(parents=True, exist_ok=True)
    found = entries()
    known = {name: entry for entry in found for name in (entry.name, *entry.aliases)}
    for page, (title, modules) in PAGES.items():
        here = [entry for entry in found if entry.page == page]
        where = ", ".join(f"`{module}`" for module in modules)
        where = where or f"`keras.{page.split('-')[0]}`"
        parts = [f"# {title}", f"In {where}."]
        parts += [_table(here), *(_described(entry, known) for entry in here)]
        (folder / f"{page}.md").write_text("\n\n".join(parts) + "\n")
    return found


def _table(here):
    """What is on the page, a line each."""
    rows = [f"- {{py:obj}}`{entry.name}`: {_first_line(entry.value)}" for entry in here]
    return "\n".join(rows)


def _first_line(value):
    doc = inspect.getdoc(value) or _NO_TEXT
    return as_markdown(doc.split("\n\n")[0].replace(":\n", "\n").replace("\n", " "))


def _described(entry: Entry, known: dict[str, Entry]) -> str:
    """One entry: signature, other names, source, docstring, and a class's own members."""
    value, name = entry.value, entry.name
    parts = [as_markdown(inspect.getdoc(value) or _NO_TEXT, _linker(known)), _where(entry)]
    if not inspect.isclass(value):
        return _directive("function", name, value, parts)
    public = {each.value for each in known.values() if inspect.isclass(each.value)}
    bases = [
        next(e for e in known.values() if e.value is base)
        for base in value.__bases__
        if base in public
    ]
    if bases:
        parts.insert(
            0, "A kind of " + ", ".join(f"{{py:obj}}`{base.name}`" for base in bases) + "."
        )
    parts += [_member(name, value, member, known) for member in own_members(value, public)]
    return _directive("class", name, value, parts, fence=8)


def own_members(kind: type, public: set[type]) -> list[str]:
    """Public methods and properties that no other public class hands down to this one."""
    inherited = {n for base in kind.__mro__[1:] if base in public for n in dir(base)} | set(
        dir(object)
    )
    found = []
    for base in kind.__mro__:
        if base in public and base is not kind:
            continue
        for name, value in vars(base).items():
            is_member = inspect.isroutine(value) or isinstance(
                value, property | classmethod | staticmethod
            )
            if is_member and not name.startswith("_") and name not in inherited | BETWEEN_PARTS:
                found.append(name)
    return sorted({n for n in found if inspect.getdoc(getattr(kind, n))})


def _member(owner, kind, name, known):
    value = inspect.getattr_static(kind, name)
    text = as_markdown(inspect.getdoc(getattr(kind, name)) or _NO_TEXT, _linker(known))
    if isinstance(value, property):
        return f"``````{{py:property}} {owner}.{name}\n\n{text}\n``````"
    is_static = isinstance(value, staticmethod)
    signature = signature_of(
        getattr(kind, name), bound=not is_static and not isinstance(value, classmethod)
    )
    option = (
        ":staticmethod:\n"
        if is_static
        else ":classmethod:\n"
        if isinstance(value, classmethod)
        else ""
    )
    return f"``````{{py:method}} {owner}.{name}{signature}\n{option}\n{text}\n``````"


def _directive(kind, name, value, parts, fence=6):
    ticks = "`" * fence
    body = "\n\n".join(filter(None, parts))
    return f"{ticks}{{py:{kind}}} {name}{signature_of(value)}\n\n{body}\n{ticks}"


def signature_of(value: object, bound: bool = False) -> str:
    """Arguments in brackets, in one line; `bound` leaves the first one out."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    arguments = list(found.parameters.values())[1 if bound else 0 :]
    returns = found.return_annotation if not inspect.isclass(value) else found.empty
    shown = str(found.replace(parameters=arguments, return_annotation=returns))
    shown = _QUOTED.sub(r"\1\2", _AT.sub(lambda m: m[1] or "...", shown))
    return _MODULE.sub("", shown).replace("\n", " ")


def _where(entry):
    """A line with the source and the other names."""
    path, line = source_of(entry.value) or (None, None)
    said = []
    if path:
        target = f"../source/{path.removesuffix('.py')}.html#L-{line}"
        said.append(f'<a class="source" href="{target}">Source: {path}, line {line}</a>')
    if entry.aliases:
        said.append("Also " + ", ".join(f"`{name}`" for name in entry.aliases) + ".")
    return " ".join(said)


def _linker(known):
    def link(code):
        entry = known.get(code) or known.get(f"keras.{code}")
        return f"{{py:obj}}`{code} <{entry.name}>`" if entry and "." in code else f"`{code}`"

    return link
