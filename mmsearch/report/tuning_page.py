"""The tuning curves of indexes, recall by effort, as a page or an image."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.errors import InputError
from mmsearch.indexes import IndexMeta, Tuning
from mmsearch.records import Target
from mmsearch.report.page import render_page, write_page
from mmsearch.report.plots import (
    SIZE,
    Theme,
    colours,
    draw_plot,
    draw_png,
    legend,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGE = ".png"
_PAGES = (".html", ".htm")


def write_tuning(indexes: Mapping[Target, IndexMeta], path: Path) -> None:
    """Writes a page with the curves of all tuned indexes, or that of the first as a PNG.

    Raises InputError for another name, where nothing was tuned or the file cannot be written,
    MissingDependency without Matplotlib.
    """
    if path.suffix.lower() not in (*_PAGES, IMAGE):
        raise InputError(f"a plot is a .html page or a .png picture, got {path.name!r}")
    require_matplotlib()
    tuned = {target: meta.tuning for target, meta in indexes.items() if meta.tuning is not None}
    if not tuned:
        raise InputError(
            "no index was tuned: exact ones compare every vector, so there is no curve"
        )
    if path.suffix.lower() in _PAGES:
        write_page(render_tuning(indexes), path, what="plot")
        return
    try:
        path.write_bytes(draw_png(_drawn(next(iter(tuned.values()))), SIZE))
    except OSError as error:
        raise InputError(f"cannot write the plot to {path}: {error.strerror}") from error


def render_tuning(indexes: Mapping[Target, IndexMeta]) -> str:
    """Renders the page. Raises MissingDependency without Matplotlib."""
    panels = [
        (target, meta, draw_plot(_drawn(meta.tuning), f"Recall by effort, {target}", SIZE))
        for target, meta in indexes.items()
        if meta.tuning is not None
    ]
    return render_page(
        "tuning",
        styles=["gallery", "evaluation"],
        panels=panels,
    )


def _drawn(tuning: Tuning) -> Callable[["Axes", Theme], None]:
    efforts = [point.effort for point in tuning.curve]

    def draw(axes: "Axes", theme: Theme) -> None:
        for group, colour in zip(tuning.queries, colours(theme), strict=False):
            recall = [point.recall[group] for point in tuning.curve]
            lowest = [point.lowest[group] for point in tuning.curve]
            label = f"{group} queries"
            axes.plot(efforts, recall, color=colour, linewidth=2.2, marker="o", markersize=4,
                      label=label, zorder=3)  # fmt: skip
            axes.fill_between(efforts, lowest, recall, color=colour, alpha=0.15, linewidth=0)
        axes.axhline(tuning.floor, color=theme.soft, linewidth=1, linestyle="--", zorder=2)
        axes.axvline(tuning.effort, color=theme.soft, linewidth=1, linestyle=":", zorder=2)
        axes.set_xscale("log", base=2)
        ticks = _apart(efforts[:: max(1, len(efforts) // 8)])
        axes.set_xticks(ticks, [f"{effort:,}" for effort in ticks])
        axes.minorticks_off()
        axes.set_ylim(max(0.0, min(min(p.lowest.values()) for p in tuning.curve) - 0.05), 1.005)
        axes.set_xlabel("effort (dotted: the one chosen)")
        axes.set_ylabel("recall@10 (dashed: the floor)")
        legend(axes, theme, 2)

    return draw


def _apart(efforts: list[int]) -> list[int]:
    """Returns the efforts whose labels do not overlap on a logarithmic axis."""
    kept: list[int] = []
    for effort in efforts:
        if not kept or effort >= 1.25 * kept[-1]:
            kept.append(effort)
    return kept
