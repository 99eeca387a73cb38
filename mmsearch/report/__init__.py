"""Self-contained HTML pages and plots of results."""

from typing import TYPE_CHECKING

from mmsearch.lazy import lazy_exports

if TYPE_CHECKING:
    from mmsearch.report.evaluation_page import render_evaluation, write_evaluation
    from mmsearch.report.gallery import render_gallery, write_gallery
    from mmsearch.report.images import InlineImage, inline_image, inline_images
    from mmsearch.report.page import write_page
    from mmsearch.report.plots import Plot
    from mmsearch.report.tuning_page import render_tuning, write_tuning

__all__ = [
    "InlineImage",
    "Plot",
    "inline_image",
    "inline_images",
    "render_evaluation",
    "render_gallery",
    "render_tuning",
    "write_evaluation",
    "write_gallery",
    "write_page",
    "write_tuning",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "InlineImage": "images",
        "Plot": "plots",
        "inline_image": "images",
        "inline_images": "images",
        "render_evaluation": "evaluation_page",
        "render_gallery": "gallery",
        "render_tuning": "tuning_page",
        "write_evaluation": "evaluation_page",
        "write_gallery": "gallery",
        "write_page": "page",
        "write_tuning": "tuning_page",
    },
)
