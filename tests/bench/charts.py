"""Plots as SVG: dots with their spread, on labelled axes. Text in, text out; no library."""

import math
from xml.sax.saxutils import escape

# Told apart by people who do not see all colours, too; the marks differ as well.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#000000")
GREY, PALE = "#666", "#ddd"
FONT = "font-family='sans-serif' font-size='12'"


class Scale:
    """From values to places along an axis."""

    def __init__(self, low, high, begin, end, log=False):
        self.low, self.high, self.begin, self.end, self.log = low, high, begin, end, log

    def __call__(self, value):
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.begin + (self.end - self.begin) * (value - low) / (high - low)

    def ticks(self):
        """Round values within the scale."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            near = self.high / self.low <= 1000
            steps = [m * 10.0**e for e in range(first, last + 1) for m in ((1, 2, 5) if near else (1,))]
        else:
            step = 10.0 ** math.floor(math.log10((self.high - self.low) / 4))
            step *= next(m for m in (1, 2, 2.5, 5, 10) if (self.high - self.low) / (step * m) <= 6)
            steps = [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [s for s in steps if self.low * (1 - 1e-9) <= s <= self.high * (1 + 1e-9)]


def bounds(values, log):
    """A scale's ends with some room around the values."""
    low, high = min(values), max(values)
    if log:
        return low / 1.2, high * 1.2
    return min(0, low), high * 1.08 or 1


class Drawing:
    """Collects elements; `text` is the whole file."""

    def __init__(self, width, height, title):
        self.width, self.height, self.title = width, height, title
        self.parts = []

    def line(self, x1, y1, x2, y2, colour=GREY, width=1.0, dash=""):
        dash = f" stroke-dasharray='{dash}'" if dash else ""
        self.parts.append(
            f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
            f"stroke-width='{width}'{dash}/>"
        )

    def text_at(self, x, y, text, anchor="start", colour="#000", more=""):
        self.parts.append(
            f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{colour}' {FONT}{more}>{escape(text)}</text>"
        )

    def mark(self, x, y, which):
        """One of several shapes, so that colour is not all that tells them apart."""
        colour, r = COLOURS[which % len(COLOURS)], 4
        if which % 3 == 0:
            self.parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{r}' fill='{colour}'/>")
        elif which % 3 == 1:
            self.parts.append(
                f"<rect x='{x - r:.1f}' y='{y - r:.1f}' width='{2 * r}' height='{2 * r}' fill='{colour}'/>"
            )
        else:
            points = f"{x:.1f},{y - r - 1:.1f} {x - r - 1:.1f},{y + r:.1f} {x + r + 1:.1f},{y + r:.1f}"
            self.parts.append(f"<polygon points='{points}' fill='{colour}'/>")

    def path(self, points, colour, width=1.5, dash=""):
        dash = f" stroke-dasharray='{dash}'" if dash else ""
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f"<polyline points='{text}' fill='none' stroke='{colour}' stroke-width='{width}'{dash}/>")

    def text(self):
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{self.width}' height='{self.height}' "
            f"viewBox='0 0 {self.width} {self.height}' role='img'>"
        )
        title = f"<title>{escape(self.title)}</title>"
        ground = f"<rect width='{self.width}' height='{self.height}' fill='#fff'/>"
        return "\n".join([head, title, ground, *self.parts, "</svg>"]) + "\n"


def row_chart(title, axis, groups, reference=None, log=True):
    """Horizontal dots: groups of (name, [(label, median, lowest, highest), ...])."""
    groups = [(name, rows) for name, rows in groups if rows]
    rows = [row for _, group in groups for row in group]
    if not rows:
        return None
    left, right, line = 300, 30, 18
    height = 70 + sum(line * (len(group) + 1) + 6 for _, group in groups) + 40
    drawing = Drawing(860, height, title)
    values = [value for row in rows for value in row[1:]] + ([reference] if reference is not None else [])
    scale = Scale(*bounds(values, log), left, drawing.width - right, log)
    bottom = height - 50
    drawing.text_at(16, 24, title, more=" font-weight='bold'")
    for tick in scale.ticks():
        drawing.line(scale(tick), 40, scale(tick), bottom, PALE)
        drawing.text_at(scale(tick), bottom + 18, f"{tick:g}", "middle")
    drawing.text_at((left + drawing.width - right) / 2, bottom + 38, axis, "middle")
    if reference is not None:
        drawing.line(scale(reference), 40, scale(reference), bottom, GREY, 1.5, "4 3")
    y = 54
    for name, group in groups:
        drawing.text_at(16, y + 4, name, more=" font-weight='bold'")
        y += line
        for label, middle, low, high in group:
            drawing.text_at(left - 12, y + 4, label, "end")
            drawing.line(scale(low), y, scale(high), y, COLOURS[0], 2)
            drawing.mark(scale(middle), y, 0)
            y += line
        y += 6
    return drawing.text()


def line_chart(title, across, upward, places, series, log=False, form="{:g}"):
    """Lines over named places: series of (label, {place: (median, lowest, highest)}); a label that begins with
    `ideal` is drawn without marks."""
    series = [(label, points) for label, points in series if points]
    values = [value for _, points in series for point in points.values() for value in point]
    if not values:
        return None
    left, right, top, bottom = 80, 620, 50, 360
    drawing = Drawing(860, 420, title)
    x = {place: left + 40 + (right - left - 80) * i / max(1, len(places) - 1) for i, place in enumerate(places)}
    scale = Scale(*bounds(values, log), bottom, top, log)
    drawing.text_at(16, 24, title, more=" font-weight='bold'")
    for tick in scale.ticks():
        drawing.line(left, scale(tick), right, scale(tick), PALE)
        drawing.text_at(left - 8, scale(tick) + 4, form.format(tick), "end")
    for place in places:
        drawing.text_at(x[place], bottom + 18, str(place), "middle")
    drawing.line(left, bottom, right, bottom)
    drawing.line(left, top, left, bottom)
    drawing.text_at((left + right) / 2, bottom + 42, across, "middle")
    middle = (top + bottom) / 2
    drawing.text_at(18, middle, upward, "middle", more=f" transform='rotate(-90 18 {middle:.0f})'")
    number = 0
    for row, (label, points) in enumerate(series):
        y = top + 10 + 20 * row
        ideal = label.startswith("ideal")
        colour = GREY if ideal else COLOURS[number % len(COLOURS)]
        # Side by side, where they would hide each other.
        shift = 0 if ideal else (number - len(series) / 2) * 3
        drawing.path([(x[p] + shift, scale(points[p][0])) for p in places if p in points], colour,
                     dash="5 4" if ideal else "")
        drawing.line(right + 20, y, right + 44, y, colour, 1.5, "5 4" if ideal else "")
        drawing.text_at(right + 52, y + 4, label)
        if not ideal:
            for place, (value, low, high) in points.items():
                drawing.line(x[place] + shift, scale(low), x[place] + shift, scale(high), colour, 2)
                drawing.mark(x[place] + shift, scale(value), number)
            drawing.mark(right + 32, y, number)
            number += 1
    return drawing.text()
