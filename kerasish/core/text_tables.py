"""Tables for people: box characters in a terminal, HTML in a notebook; numbers short to read."""

import html
import io
from collections.abc import Sequence


def readable_bytes(n: float) -> str:
    """`"1.50 KB"`.

    Args:
        n: Number of bytes.
    """
    for unit in ("B", "KB", "MB", "GB"):
        if n < 1024:
            return f"{n:.2f} {unit}"
        n /= 1024
    return f"{n:.2f} TB"


def readable_count(n: float) -> str:
    """`"1.50 M"`.

    Args:
        n: The number.
    """
    for unit in ("", " K", " M", " G"):
        if n < 1000:
            return f"{n:.3g}{unit}"
        n /= 1000
    return f"{n:.3g} T"


def readable_seconds(n: float) -> str:
    """`"1.5 ms"`.

    Args:
        n: Number of seconds.
    """
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n * 1e6:.2g} us"


def as_text(
    title: str,
    columns: Sequence[str],
    rows: list[list[str]],
    lines: tuple | list = (),
    width: int = 100,
    right: Sequence[str] = (),
    colour: bool = False,
) -> str:
    """The table in box characters, with its title above and lines of text below.

    Args:
        title: Text above.
        columns: Headings.
        rows: Cells of each row.
        lines: Text below.
        width: In characters.
        right: Headings of the columns that are set to the right.
        colour: Whether to write a terminal's codes for bold and colour.
    """
    # Here, since they would take a tenth of the time to import the package.
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(width=width, show_lines=False)
    for heading in columns:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    out = io.StringIO()
    # Not as Jupyter's: there rich would show the table at once, and leave `out` empty.
    console = Console(file=out, width=width, force_terminal=colour, force_jupyter=False)
    console.print(f"[bold]{escape(title)}[/bold]", highlight=False)
    console.print(table)
    for line in lines:
        console.print(f" {escape(line)}", highlight=False)
    return out.getvalue().rstrip("\n")


def natural_width(columns: Sequence[str], rows: list[list[str]]) -> int:
    """Characters that a table needs so that no cell is broken.

    Args:
        columns: Headings.
        rows: Cells of each row.
    """
    return sum(max(map(len, cells)) + 3 for cells in zip(columns, *rows, strict=True)) + 1


def as_html(
    title: str,
    columns: Sequence[str],
    rows: list[list[str]],
    lines: tuple | list = (),
    right: Sequence[str] = (),
    unbroken: tuple | list = (),
) -> str:
    """The table as HTML; spaces a row's first cell begins with become its indent.

    Args:
        title: Text above.
        columns: Headings.
        rows: Cells of each row.
        lines: Text below.
        right: Headings of the columns that are set to the right.
        unbroken: Headings of the columns whose cells stay on one line.
    """
    head = "".join(f"<th style='text-align:left'>{html.escape(h)}</th>" for h in columns)
    body = ""
    for row in rows:
        cells = ""
        for heading, cell in zip(columns, row, strict=True):
            align = "right" if heading in right else "left"
            text = cell.lstrip(" ")
            depth = (len(cell) - len(text)) / 2
            pad = f"padding-left:{1 + depth:g}em;" if heading == columns[0] else ""
            pad += "white-space:nowrap;" if heading in unbroken else ""
            text = html.escape(text).replace("\n", "<br>")
            cells += f"<td style='text-align:{align};{pad}'>{text}</td>"
        body += f"<tr>{cells}</tr>"
    foot = "<br>".join(html.escape(line) for line in lines)
    return (
        f"<div><b>{html.escape(title)}</b><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table><div>{foot}</div></div>"
    )
