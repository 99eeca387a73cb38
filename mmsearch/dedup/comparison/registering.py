"""Registration: refines a rough map between two images by block matching.

From coarse to fine, patches of the first image are searched for around their mapped position in the
second, and a projective map is fitted to the matches by iteratively reweighted least squares with
Tukey's biweight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.comparison.blocks import PATCH, Blocks, Mask, match_blocks
from mmsearch.dedup.comparison.examined import Examined, Matrix
from mmsearch.dedup.comparison.rendering import Grid, Overlap, mapped, overlap_of
from mmsearch.records import Floats, Pixels

# Standard deviation of sensor and codec noise in grey levels.
NOISE = 4.0
_FOUND = 0.6
# Side of the grid, largest shift, and number of rounds of each stage.
_STAGES = ((64, 4, 3), (128, 3, 1), (256, 2, 1))
SIDE, _RADIUS = 256, 1
# An image that already matches at this scale skips coarser ones.
_FIRST_SIDE, _FIRST_RADIUS, _LIES_WELL = 128, 2, 0.85
# Convergence threshold in pixels of the grid; minimum share of the contrast.
_CONVERGED, _HOPELESS = 0.4, 0.15
# Deviations from an axis-aligned map below this share of the side are noise.
_STRAIGHT_SHARE, _EXACTLY = 0.0015, 1e-6
_FEWEST_PATCHES = 6
_PROJECTIVE_PATCHES = 40
_LEAST_AREA = 0.04
# Grids have at most the resolution of both images, and at least this side.
_COARSEST = 64


# Deviation of the corners from an axis-aligned map, and radius of the search, in pixels.
_UPRIGHT, _UPRIGHT_RADIUS = 16.0, 4


@dataclass(frozen=True, slots=True)
class Laid:
    """Two images on one grid.

    seen: bool (rows, columns), patches wholly inside both.
    blocks: matches of their grey levels.
    overlap, matrix: see `overlap_of`.
    """

    seen: Mask
    blocks: Blocks
    grid: Grid
    overlap: Overlap
    matrix: Matrix


def lay(
    first: Examined,
    second: Examined,
    matrix: Matrix,
    *,
    side: int,
    radius: int,
    until: float = 1.0,
) -> Laid | None:
    """Renders two images on one grid and matches their patches; None without enough overlap.

    side: of the grid.
    radius, until: see `match_blocks`.
    """
    overlap = overlap_of(matrix)
    grid = _grid_over(first, second, overlap, side)
    if grid is None:
        return None
    one, two = (_smoothed(each) for each in render_both(first, second, grid, matrix, grey=True))
    blocks = match_blocks(one, two, radius=radius, floor=NOISE, until=until)
    return Laid(grid.seen(matrix, PATCH), blocks, grid, overlap, matrix)


def _grid_over(first: Examined, second: Examined, overlap: Overlap, side: int) -> Grid | None:
    """The grid of the shared area; None if that is too small."""
    if min(overlap.first_share, overlap.second_share) < _LEAST_AREA:
        return None
    shared = min(
        max(image.width, image.height) * share**0.5
        for image, share in ((first, overlap.first_share), (second, overlap.second_share))
    )
    grid = Grid.over(first, overlap.box, int(min(side, max(shared, _COARSEST))), PATCH)
    return None if min(grid.width, grid.height) < 2 * PATCH else grid


def render_both(
    first: Examined, second: Examined, grid: Grid, matrix: Matrix, *, grey: bool
) -> tuple[Pixels, Pixels]:
    """Renders two images on one grid, uint8 (h, w) or (h, w, 3) each.

    matrix: from the first to the second.
    """
    straight = grid.straight(matrix)
    return (
        grid.render(first, np.eye(3), straight and grid.as_straight, grey=grey),
        grid.render(second, matrix, straight, grey=grey),
    )


def _smoothed(levels: Pixels) -> Floats:
    """Smooths with weights 5, 6, 5 along both axes, nearly a Gaussian of sigma 0.8."""
    padded = np.pad(levels, 1, mode="edge").astype(np.uint16)
    rows = padded[:-2] + padded[2:]
    rows *= 5
    rows += padded[1:-1] * np.uint16(6)
    smoothed = rows[:, :-2] + rows[:, 2:]
    smoothed *= 5
    smoothed += rows[:, 1:-1] * np.uint16(6)
    return smoothed * np.float32(1 / 256)


def register(first: Examined, second: Examined, matrix: Matrix) -> Laid | None:
    """Registers two images; None if they do not match."""
    laid = lay(first, second, matrix, side=_FIRST_SIDE, radius=_FIRST_RADIUS)
    if laid is not None and matched_share(laid) >= _LIES_WELL:
        step = _fitted(laid)
        matrix = matrix if step is None else _after(step, laid)
        near = lay(first, second, matrix, side=SIDE, radius=_RADIUS)
        if near is not None and matched_share(near) >= _LIES_WELL:
            return near
    converged = False
    for side, radius, rounds in _STAGES:
        # A converged coarse stage is followed by the finest one.
        if converged and side < SIDE:
            continue
        for _ in range(rounds):
            laid = lay(first, second, matrix, side=side, radius=radius)
            if laid is None or matched_share(laid) < _HOPELESS:
                return None
            step = _fitted(laid)
            if step is None:
                break
            converged = _largest_move(step, laid.grid) < _CONVERGED
            if converged and side == SIDE:
                return laid
            matrix = _after(step, laid)
            if converged:
                break
    return lay(first, second, matrix, side=SIDE, radius=_RADIUS)


def lay_upright(first: Examined, second: Examined, matrix: Matrix) -> Laid | None:
    """Lays two images by the axis-aligned map nearest to one; None if it is far from that."""
    grid = _grid_over(first, second, overlap_of(matrix), SIDE)
    if grid is None or grid.straight(matrix, _UPRIGHT) is None:
        return None
    return lay(first, second, grid.straightened(matrix), side=SIDE, radius=_UPRIGHT_RADIUS)


def refined(laid: Laid) -> Matrix:
    """The map after one more fit on this grid."""
    straight = laid.grid.straight(laid.matrix, _EXACTLY) is not None
    step = _fitted(laid, straight=straight)
    if step is None:
        return laid.matrix
    return _moved(laid, step) if straight else _after(step, laid)


def _after(step: Matrix, laid: Laid) -> Matrix:
    """The map after a step, axis-aligned if the deviation is noise."""
    matrix = _moved(laid, step)
    most = _STRAIGHT_SHARE * max(laid.grid.width, laid.grid.height)
    if laid.grid.straight(matrix, most) is None:
        return matrix
    if laid.grid.straight(laid.matrix, _EXACTLY) is None:
        return laid.grid.straightened(matrix)
    straight_step = _fitted(laid, straight=True)
    return matrix if straight_step is None else _moved(laid, straight_step)


def _moved(laid: Laid, step: Matrix) -> Matrix:
    to_first = laid.grid.to_first
    matrix = laid.matrix @ to_first @ step @ np.linalg.inv(to_first)
    scaled: Matrix = matrix / matrix[2, 2]
    return scaled


def matched_share(laid: Laid) -> float:
    """Share of the contrast in the shared area that is matched."""
    weight = contrast(laid.blocks) * laid.seen
    found = laid.blocks.correlation > _FOUND
    return float((weight * found).sum() / max(weight.sum(), 1e-6))


def contrast(blocks: Blocks) -> Floats:
    """Contrast of each patch in either image, in grey levels; 0 for noise."""
    seen = np.maximum(blocks.contrast_first, blocks.contrast_second) - np.float32(1.5 * NOISE)
    return np.clip(seen, 0, 40).astype(np.float32)


def _fitted(laid: Laid, *, straight: bool = False) -> Matrix | None:
    """Map in pixels of the grid, fitted to the matches, float64 (3, 3).

    straight: whether it is axis-aligned.
    """
    blocks = laid.blocks
    weight = contrast(blocks) * laid.seen * np.clip(blocks.correlation - 0.4, 0, None) ** 2
    rows, columns = np.nonzero(weight > 0)
    if len(rows) < _FEWEST_PATCHES:
        return None
    scale = max(laid.grid.width, laid.grid.height)
    x = (columns + 0.5) * PATCH / scale
    y = (rows + 0.5) * PATCH / scale
    moved = np.stack([blocks.across[rows, columns], blocks.down[rows, columns]]) / scale
    weights = weight[rows, columns].astype(np.float64)
    ones, none = np.ones_like(x), np.zeros_like(x)
    if straight:
        first = np.stack([ones, x, none, none, none, none], axis=1)
        second = np.stack([none, none, none, ones, none, y], axis=1)
    else:
        first = np.stack([ones, x, y, none, none, none], axis=1)
        second = np.stack([none, none, none, ones, x, y], axis=1)
    if len(rows) >= _PROJECTIVE_PATCHES and not straight:
        first = np.hstack([first, np.stack([x * x, x * y], axis=1)])
        second = np.hstack([second, np.stack([x * y, y * y], axis=1)])
    design = np.concatenate([first, second])
    target = moved.ravel()
    factor = np.ones(len(rows))
    solution = np.zeros(design.shape[1])
    ridge = 1e-6 * weights.sum() * np.eye(design.shape[1])
    for _ in range(5):
        both = np.tile(weights * factor, 2)
        normal = design.T @ (design * both[:, None]) + ridge
        solution = np.linalg.solve(normal, design.T @ (both * target))
        error = (target - design @ solution).reshape(2, -1) * scale
        distance = np.hypot(*error)
        width = max(3.0 * float(np.median(distance)), 0.5)
        factor = np.clip(1 - (distance / width) ** 2, 0, None) ** 2
    return _as_matrix(solution, scale)


def _as_matrix(solution: NDArray[np.float64], scale: float) -> Matrix:
    """Homography that equals a quadratic fit to first order.

    dx = a + bx + cy + gxx + hxy
    dy = d + ex + fy + gxy + hyy
    """
    a, b, c, d, e, f, g, h = (*solution, 0.0, 0.0)[:8]
    unit = np.array([[1 + b, c, a], [e, 1 + f, d], [-g, -h, 1.0]])
    stretch = np.diag([scale, scale, 1.0])
    matrix: Matrix = stretch @ unit @ np.linalg.inv(stretch)
    return matrix


def _largest_move(step: Matrix, grid: Grid) -> float:
    corners = np.array([[0, grid.width, 0, grid.width], [0, 0, grid.height, grid.height]], float)
    return float(np.abs(mapped(step, corners) - corners).max())
