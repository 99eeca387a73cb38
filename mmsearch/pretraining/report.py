"""What a run reports: JSON for the command line, and the card in the model folder."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from mmsearch.pretraining.held_out import HeldOutMetrics
from mmsearch.pretraining.recipe import Recipe
from mmsearch.training.model_folder import render_card
from mmsearch.training.weight_interpolation import Sweep


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a run made: the folder, what it was trained on, and its metrics.

    images: those trained on; sources: how many of each. taught_texts: those that the text tower was
    distilled on; paired_texts: those of images and classes. interpolation: how the weights of the
    backbone stage were chosen, None without that stage.
    """

    folder: Path
    images: int
    sources: dict[str, int]
    taught_texts: int
    paired_texts: int
    parameters: int
    seconds: float
    first_loss: float
    last_loss: float
    measures: HeldOutMetrics
    interpolation: Sweep | None

    def as_json(self) -> dict[str, Any]:
        """Returns the report as JSON can hold it, under the names of the version before too."""
        sweep = None if self.interpolation is None else sweep_json(self.interpolation)
        return {
            **asdict(self),
            "folder": str(self.folder),
            "interpolation": sweep,
            "measures": {
                **asdict(self.measures),
                "sure_pictures": self.measures.sure_images,
            },
            "mix": sweep,
            "pictures": self.images,
        }


def sweep_json(sweep: Sweep) -> dict[str, Any]:
    """Returns the chosen share of the tuned weights, and (share, nDCG, agreement) of each tried."""
    tried = [(p.alpha, p.score.in_domain, p.score.general) for p in sweep.points]
    return {"share": sweep.chosen.alpha, "tried": tried}


def write_card(recipe: Recipe, report: TrainReport) -> str:
    """Returns the model card as Markdown."""
    metadata = ModelCardData(
        library_name="open_clip",
        pipeline_tag="zero-shot-image-classification",
        license=recipe.license,
        language="en",
    )
    return render_card(
        metadata, "mmsearch.pretraining", "model_card.md.jinja", recipe=recipe, report=report
    )
