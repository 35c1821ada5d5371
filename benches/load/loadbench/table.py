"""The lines as a person reads them."""
from statistics import median

HEAD = ("FIGURE", "FIREDRILL", "PEER", "", "RATIO", "LIMIT", "")


def number(value, unit=""):
    if abs(value) >= 999.5 or (unit == "" and float(value).is_integer()):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(values, unit=""):
    """Median, and the range of the rounds."""
    if not values:
        return "-"
    text = number(median(values), unit)
    if len(set(values)) > 1:
        text += f" ({number(min(values), unit)}–{number(max(values), unit)})"
    return text


def ratio(values):
    if not values:
        return ""
    return f"{median(values):.3f} ({min(values):.3f}–{max(values):.3f})" if len(values) > 1 else f"{values[0]:.3f}"


def verdict(row):
    met = row.met()
    if met is None:
        return ""
    return "ok" if met else "short"


def limit(row):
    if row.limit is None:
        return ""
    return f"{row.limit.op} {row.limit.bound:g}" + (" stretch" if row.limit.stretch else "")


def cells(row):
    unit = f" {row.unit}" if row.unit else ""
    return (
        row.name,
        spread(row.values, row.unit) + unit,
        row.peer or "",
        spread(row.peer_values, row.unit) if row.peer else "",
        ratio(row.ratios()) if row.peer else "",
        limit(row),
        verdict(row),
    )


def render(sections):
    """`sections`: pairs of a title and its lines."""
    every = [cells(row) for _, rows in sections for row in rows]
    widths = [max(len(line[column]) for line in [HEAD, *every]) for column in range(len(HEAD))]
    lay = lambda line: "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
    lines = [lay(HEAD)]
    for title, rows in sections:
        lines += ["", title]
        for row in rows:
            lines.append(lay(cells(row)))
            lines += [f"    {note}" for note in row.note.splitlines()]
    return "\n".join(lines)
