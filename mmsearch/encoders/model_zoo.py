"""The models with a short name, and what is published about them.

Scores: zero-shot top-1 on ImageNet and text-to-image recall@1 on MSCOCO. Those of OpenCLIP are from
docs/openclip_results.csv and docs/openclip_retrieval_results.csv in its repository, those of
SigLIP 2 from its paper (arXiv:2502.14786, table 1). Sizes follow from the parameters in float32.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model with a short name.

    location: 'hf-hub:…', or '' for the built-in model. download_mb: of weights and tokenizer.
    imagenet_top1, coco_recall_at_1: between 0 and 1; None where nothing is published.
    """

    name: str
    location: str
    architecture: str
    download_mb: int
    dim: int
    image_size: int
    licence: str
    languages: str
    imagenet_top1: float | None
    coco_recall_at_1: float | None
    scores_from: str


_OPENCLIP = "OpenCLIP, docs/openclip_results.csv and openclip_retrieval_results.csv"

MODELS: tuple[KnownModel, ...] = (
    KnownModel(
        name="builtin",
        location="",
        architecture="EfficientNet-Lite0 and a small transformer",
        download_mb=0,
        dim=512,
        image_size=224,
        licence="Apache-2.0",
        languages="English",
        imagenet_top1=None,
        coco_recall_at_1=None,
        scores_from="see its model card",
    ),
    KnownModel(
        name="small",
        location="hf-hub:laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K",
        architecture="ViT-B-32-256",
        download_mb=605,
        dim=512,
        image_size=256,
        licence="MIT",
        languages="English",
        imagenet_top1=0.7281,
        coco_recall_at_1=0.3993,
        scores_from=_OPENCLIP,
    ),
    KnownModel(
        name="base",
        location="hf-hub:timm/ViT-B-16-SigLIP-256",
        architecture="ViT-B-16-SigLIP-256",
        download_mb=815,
        dim=768,
        image_size=256,
        licence="Apache-2.0",
        languages="English",
        imagenet_top1=0.7653,
        coco_recall_at_1=0.4834,
        scores_from=_OPENCLIP,
    ),
    KnownModel(
        name="large",
        location="hf-hub:timm/ViT-L-16-SigLIP-256",
        architecture="ViT-L-16-SigLIP-256",
        download_mb=2611,
        dim=1024,
        image_size=256,
        licence="Apache-2.0",
        languages="English",
        imagenet_top1=0.8045,
        coco_recall_at_1=0.5228,
        scores_from=_OPENCLIP,
    ),
    KnownModel(
        name="multilingual",
        location="hf-hub:timm/ViT-B-16-SigLIP2-256",
        architecture="ViT-B-16-SigLIP2-256",
        download_mb=1535,
        dim=768,
        image_size=256,
        licence="Apache-2.0",
        languages="many",
        imagenet_top1=0.791,
        coco_recall_at_1=0.532,
        scores_from="SigLIP 2, arXiv:2502.14786, table 1",
    ),
)
