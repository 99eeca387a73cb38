"""Plots for pages: SVG in data URIs, for light and for dark pages.

Matplotlib is an extra; it is imported when the first plot is drawn.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsearch.extras import require
from mmsearch.records import Ids

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Class names on the axes are readable up to this many classes.
_NAMED_CLASSES = 40
_NAME_CHARACTERS = 22
# Longer labels would cover the curves.
_LABEL = 26
SIZE = (5.4, 3.1)
_RANK_EDGES = (1, 2, 3, 6, 11, 21, 51, 101, 201, 501, 1_001, 10_001, 100_001)


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot for a page.

    light, dark: data URIs. width, height: CSS pixels. alt: alternative text.
    """

    light: str
    dark: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a page. lines: of the curves, in order."""

    ink: str
    soft: str
    line: str
    lines: tuple[str, ...]
    shades: str
    surface: str


# The gallery's colours; the lines are distinguishable with red-green colour blindness.
_LIGHT = Theme(
    "#1b1b1f", "#66666e", "#e4e4df", ("#4b46c9", "#d9822b", "#138a7e", "#b8386b"), "#4b46c9", "#fff"
)
_DARK = Theme(
    "#ededf0", "#9d9da8", "#34343b", ("#a3a0ff", "#f0a860", "#4cc9bb", "#f07ba5"), "#a3a0ff",
    "#1c1c20",
)  # fmt: skip


def require_matplotlib() -> None:
    """Raises MissingDependency without Matplotlib; call it before work that ends in a plot."""
    require("matplotlib", extra="evaluate", purpose="a plot")


def _short(name: str) -> str:
    """The end of a long name, such as that of a model's folder, which tells it apart."""
    return name if len(name) <= _LABEL else f"…{name[-_LABEL:]}"


def recall_curves(curves: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> Plot:
    """Plots recall at k. curves: ks and recalls by model."""

    def draw(axes: "Axes", theme: Theme) -> None:
        for (name, (ks, recall)), colour in zip(curves.items(), colours(theme), strict=False):
            axes.plot(
                ks, recall, color=colour, linewidth=2.2, label=_short(name), clip_on=False, zorder=3
            )
            if len(curves) == 1:
                axes.fill_between(ks, recall, color=colour, alpha=0.10, linewidth=0)
        axes.set_xscale("log")
        last = max(ks[-1] for ks, _ in curves.values())
        ticks = [k for k in (1, 5, 10, 50, 100, 500, 1_000) if k <= last]
        axes.set_xticks(ticks, [f"{k:,}" for k in ticks])
        axes.minorticks_off()
        axes.set_xlim(1, max(last, 2))
        axes.set_ylim(0, 1)
        axes.set_xlabel("results considered (k)")
        axes.set_ylabel("recall@k")
        legend(axes, theme, len(curves))

    return draw_plot(draw, "Recall by the number of results considered", SIZE)


def rank_histogram(ranks: Mapping[str, Ids]) -> Plot:
    """Plots the ranks of first right answers, int64 (q,), by model."""
    top = max(int(each.max()) for each in ranks.values())
    edges = [edge for edge in _RANK_EDGES if edge <= top] + [top + 1]

    def draw(axes: "Axes", theme: Theme) -> None:
        width = 0.82 / len(ranks)
        places = np.arange(len(edges) - 1)
        for number, ((name, each), colour) in enumerate(
            zip(ranks.items(), colours(theme), strict=False)
        ):
            shares = np.histogram(each, edges)[0] / len(each)
            offset = (number - (len(ranks) - 1) / 2) * width
            axes.bar(
                places + offset, shares, width * 0.94, color=colour, label=_short(name), zorder=3
            )
        axes.set_xticks(places, [_span(*pair) for pair in pairwise(edges)])
        if len(places) > 7:
            axes.tick_params(axis="x", rotation=35)
        axes.set_xlabel("rank of the first right answer")
        axes.set_ylabel("share of queries")
        legend(axes, theme, len(ranks))

    return draw_plot(draw, "How the ranks of the first right answers spread", SIZE)


def confusion_plot(confusion: Ids, titles: Sequence[str]) -> Plot:
    """Plots a confusion matrix, int64 (c, c), row = true class, as shares of each row."""
    counts = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, counts, out=np.zeros(confusion.shape), where=counts > 0)
    named = len(titles) <= _NAMED_CLASSES
    side = min(max(4.2, 0.24 * len(titles) + 1.6), 8.6) if named else 7.2

    def draw(axes: "Axes", theme: Theme) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        shades = LinearSegmentedColormap.from_list("shares", [theme.surface, theme.shades])
        image = axes.imshow(shares, cmap=shades, vmin=0, vmax=1, interpolation="nearest")
        axes.grid(visible=False)
        if named:
            names = [_cut(title) for title in titles]
            places = range(len(names))
            axes.set_xticks(places, names, rotation=90, fontsize=8)
            axes.set_yticks(places, names, fontsize=8)
        order = "" if named else ", classes in the order of their names"
        axes.set_xlabel(f"named as{order}")
        axes.set_ylabel("is")
        for spine in axes.spines.values():
            spine.set_visible(True)
        bar = axes.figure.colorbar(image, ax=axes, fraction=0.04, pad=0.03)
        bar.outline.set_visible(False)
        bar.set_label("share of the class")

    return draw_plot(draw, "Confusion matrix", (side, side * 0.92))


def draw_plot(draw: Callable[["Axes", Theme], None], alt: str, inches: tuple[float, float]) -> Plot:
    """Draws a plot in both themes. draw: is called once per theme."""
    light, dark = (_svg(draw, theme, inches) for theme in (_LIGHT, _DARK))
    return Plot(light, dark, round(inches[0] * 96), round(inches[1] * 96), alt)


def _svg(draw: Callable[["Axes", Theme], None], theme: Theme, inches: tuple[float, float]) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = _style(theme)  # Matplotlib types each setting's name
    with mpl.rc_context(style):
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure.subplots(), theme)
        file = io.BytesIO()
        # Without a date, so that equal numbers give equal files.
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def draw_png(draw: Callable[["Axes", Theme], None], inches: tuple[float, float]) -> bytes:
    """Draws the light plot as a PNG, at twice the pixels of a page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = _style(_LIGHT)
    with mpl.rc_context(style):
        figure = Figure(figsize=inches, layout="constrained", facecolor=_LIGHT.surface)
        draw(figure.subplots(), _LIGHT)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=192)
    return file.getvalue()


def _style(theme: Theme) -> dict[str, Any]:
    return {
        "svg.fonttype": "path",
        "svg.hashsalt": "mmsearch",
        "font.size": 10,
        "axes.edgecolor": theme.line,
        "axes.labelcolor": theme.soft,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": theme.line,
        "grid.linewidth": 0.8,
        "xtick.color": theme.line,
        "ytick.color": theme.line,
        "xtick.labelcolor": theme.soft,
        "ytick.labelcolor": theme.soft,
        "text.color": theme.ink,
        "legend.frameon": False,
    }


def colours(theme: Theme) -> list[str]:
    """Returns line colours for any number of curves."""
    return [*theme.lines] * 8


def legend(axes: "Axes", theme: Theme, models: int) -> None:
    """Adds a legend if there are several models."""
    if models > 1:
        axes.legend(labelcolor=theme.ink)


def _span(first: int, end: int) -> str:
    return f"{first:,}" if end == first + 1 else f"{first:,}–{end - 1:,}"


def _cut(title: str) -> str:
    return title if len(title) <= _NAME_CHARACTERS else f"{title[: _NAME_CHARACTERS - 1]}…"
