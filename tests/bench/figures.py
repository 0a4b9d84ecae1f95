"""Statistics of rounds, and the tables that show them."""

import statistics

median = statistics.median


def spread(values, form="{:.2f}"):
    """The median, and between which values all of them lie, if there are several."""
    if len(values) == 1:
        return form.format(values[0])
    return "{} ({} to {})".format(*(form.format(f(values)) for f in (median, min, max)))


def rotated(names, number):
    """The order of a round: everyone begins once, and nobody always follows the same one."""
    names = list(names)
    shift = number % len(names)
    turned = names[shift:] + names[:shift]
    return turned if number // len(names) % 2 == 0 else turned[::-1]


def ratios(rounds, ours, theirs, read):
    """Ours to theirs, of the rounds that have both."""
    found = []
    for each in rounds:
        if ours in each and theirs in each and read(each[theirs]):
            found.append(read(each[ours]) / read(each[theirs]))
    return found


def values(rounds, name, read):
    return [read(each[name]) for each in rounds if name in each]


def fifo_p99(clients, threads, hold):
    """The p99 of clients that ask again at once, if the threads take them in strict order."""
    return hold * -(-clients // threads)


def markdown(header, rows, right=()):
    """A Markdown table; the columns in `right` are aligned to the right."""
    rows = [list(header)] + [[str(cell) for cell in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(header))]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))]
        lines.append("| " + " | ".join(cells) + " |")
    rule = ["-" * (w + 1) + ":" if i in right else "-" * (w + 2) for i, w in enumerate(widths)]
    lines.insert(1, "|" + "|".join(rule) + "|")
    return "\n".join(lines)


def time_text(seconds):
    """A time with the unit that suits it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if abs(seconds) * factor >= 1:
            return f"{seconds * factor:.3g} {unit}" if seconds < 100 else f"{seconds:.0f} s"
    return f"{seconds * 1e6:.3g} µs"


def rate_text(rate):
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.1f}/s"
