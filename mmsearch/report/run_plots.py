"""Plots of a fine-tuning: loss, validation score, and the sweep of interpolated weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmsearch.report.plots import SIZE, Plot, Theme, draw_plot, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The line shows the moving average over about a fiftieth of the run.
_SMOOTHED = 50


def loss_curve(losses: Sequence[tuple[int, float]]) -> Plot:
    """Plots the training loss. losses: (step, loss)."""
    steps, values = (np.array(column, dtype=float) for column in zip(*losses, strict=True))
    width = max(1, len(values) // _SMOOTHED)
    sums = np.convolve(values, np.ones(width), mode="valid") / width

    def draw(axes: "Axes", theme: Theme) -> None:
        axes.plot(steps, values, color=theme.lines[0], alpha=0.3, linewidth=1, label="step")
        label = f"mean of {width:,}" if width > 1 else "loss"
        axes.plot(steps[width - 1 :], sums, color=theme.lines[0], linewidth=2.2, label=label)
        axes.set_xlabel("step")
        axes.set_ylabel("training loss")
        axes.set_xlim(0, max(steps[-1], 1))
        legend(axes, theme, width)

    return draw_plot(draw, "Training loss over the steps", SIZE)


def score_curve(scores: Sequence[tuple[int, float]], name: str) -> Plot:
    """Plots the validation score. scores: (step, score), step 0 before training. name: of it."""
    steps, values = zip(*scores, strict=True)
    best = int(np.argmax(values))

    def draw(axes: "Axes", theme: Theme) -> None:
        axes.plot(steps, values, color=theme.lines[2], linewidth=2.2, marker="o", markersize=4)
        axes.plot(steps[best], values[best], "o", color=theme.lines[1], markersize=9)
        axes.annotate(
            f"best {values[best]:.3f}",
            (steps[best], values[best]),
            textcoords="offset points",
            xytext=(0, -16),
            ha="right" if best > len(steps) / 2 else "left",
            color=theme.ink,
        )
        axes.set_xlabel("step")
        axes.set_ylabel(f"validation {name}")
        axes.set_xlim(0, max(steps[-1], 1))

    return draw_plot(draw, f"Validation {name} over the steps", SIZE)


def sweep_plot(
    points: Sequence[tuple[float, float, float]], chosen: int, kept_share: float
) -> Plot:
    """Plots scores over the weight of the tuned model.

    points: (alpha, score in the domain, general score), the first at alpha 0.

    chosen: a place in points. kept_share: what a point needs of the first one's general score.
    """
    alphas, domain, general = (list(column) for column in zip(*points, strict=True))

    def draw(axes: "Axes", theme: Theme) -> None:
        floor = kept_share * general[0]
        axes.axvline(floor, color=theme.soft, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{kept_share:.0%} of the start",
            (floor, 0.02),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            xytext=(4, 0),
            rotation=90,
            fontsize=8,
            color=theme.soft,
        )
        axes.plot(general, domain, color=theme.lines[0], linewidth=1.6, marker="o", markersize=4.5)
        axes.plot(general[chosen], domain[chosen], "o", color=theme.lines[1], markersize=10)
        for place in {0, chosen, len(points) - 1}:
            axes.annotate(
                f"α {alphas[place]:g}" + (" chosen" if place == chosen else ""),
                (general[place], domain[place]),
                textcoords="offset points",
                xytext=(7, 7),
                fontsize=9,
                color=theme.ink,
            )
        axes.margins(0.14)
        axes.grid(visible=True, axis="x")
        axes.set_xlabel("general set")
        axes.set_ylabel("validation in the domain")

    alt = "In-domain score against general score for each mix of start and tuned weights"
    return draw_plot(draw, alt, (5.4, 3.6))
