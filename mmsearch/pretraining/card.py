"""The model card that goes into a trained folder, written from the run itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from mmsearch.pretraining.recipe import Recipe

ORIGINS = {
    "openclipart": "Open Clip Art Library (Debian openclipart-png and -svg), public domain",
    "emoji-png": "Noto Emoji (npm emoji-datasource-google), Apache-2.0",
    "emoji-3d": "Fluent Emoji 3D (npm @lobehub/fluent-emoji-3d), MIT",
    "iconify-noto": "Noto Emoji (npm @iconify-json/noto), Apache-2.0",
    "iconify-noto-v1": "Noto Emoji v1 (npm @iconify-json/noto-v1), Apache-2.0",
    "iconify-fxemoji": "FxEmojis by Mozilla (npm @iconify-json/fxemoji), Apache-2.0",
    "iconify-fluent-emoji": "Fluent Emoji (npm @iconify-json/fluent-emoji), MIT",
    "iconify-fluent-emoji-flat": "Fluent Emoji flat (npm @iconify-json/fluent-emoji-flat), MIT",
    "grocery": "Grocery Store Dataset (train split and iconic pictures), MIT",
    "clothing": "Clothing Dataset, small, CC0",
}


@dataclass(frozen=True, slots=True)
class Measures:
    """Numbers on held-out pictures; 0 pictures where nothing was held out."""

    held_out: int = 0
    recall_at_1: float = 0.0
    recall_at_10: float = 0.0
    median_rank: float = 0.0
    ndcg: float = 0.0
    sure_pictures: int = 0
    class_agreement: float = 0.0
    weighted_agreement: float = 0.0


@dataclass(frozen=True, slots=True)
class Mix:
    """How much of the tuned weights was kept; of each tried (share, nDCG, weighted agreement)."""

    share: float
    tried: tuple[tuple[float, float, float], ...]


def write_card(
    recipe: Recipe,
    sources: Mapping[str, int],
    texts: int,
    parameters: float,
    measures: Measures,
    mix: Mix | None = None,
) -> str:
    """Markdown with the front matter that model hubs read."""
    image, text = recipe.image, recipe.text
    lines = [
        "---",
        "library_name: open_clip",
        "pipeline_tag: zero-shot-image-classification",
        "license: apache-2.0",
        "language: en",
        "---",
        f"# {recipe.name}",
        "",
        f"A dual encoder in OpenCLIP's format: {parameters / 1e6:.1f} million parameters, "
        f"{recipe.embed_dim} dimensions, pictures of {image.size} pixels, texts of at most "
        f"{text.context} tokens.",
        "",
        "## Parts",
        "",
        f"- Image tower: timm's `{image.trunk}`, "
        + (f"weights from the package `{image.weights}`" if image.weights else "random weights")
        + (", frozen" if mix is None else f", its last {recipe.backbone.blocks} stages tuned")
        + ", under a trained two-layer head.",
        f"- Text tower: OpenCLIP's causal text transformer, {text.layers} layers of width "
        f"{text.width}, {text.heads} heads, WordPiece vocabulary, pooled at its last token"
        + (f"; taught by the sentence encoder in `{text.teacher}`." if text.teacher else "."),
        "",
        "## Data",
        "",
        "| source | pictures |",
        "|---|---:|",
        *[f"| {ORIGINS.get(name, name)} | {count:,} |" for name, count in sources.items()],
        "",
        *_taught(recipe, texts),
        "## Training",
        "",
        *_stages(recipe, mix),
        "",
        "To train it again, with the packages above unpacked and `pip install mmsearch[train]`:",
        "",
        "```",
        "mmsearch train RECIPE --out FOLDER \\",
        *[f"  --data {name}=PATH \\" for name in recipe.sources[:-1]],
        f"  --data {recipe.sources[-1]}=PATH",
        "```",
        "",
        "## Measured",
        "",
        *_measured(measures),
        "",
        *(["## Limits", "", *[f"- {line}" for line in recipe.limits], ""] if recipe.limits else []),
    ]
    return "\n".join(lines)


def _taught(recipe: Recipe, texts: int) -> list[str]:
    if not recipe.text.teacher:
        return []
    return [
        f"The text tower was taught on {texts:,} texts: captions and keywords of the pictures, "
        "names and definitions of ImageNet's classes, WordNet's lemmas, glosses and examples, and "
        "noun phrases and simple scenes composed from lists.",
        "",
    ]


def _stages(recipe: Recipe, mix: Mix | None) -> list[str]:
    bag, distill, align = recipe.bag, recipe.distill, recipe.align
    lines = []
    if recipe.text.teacher:
        lines += [
            f"1. Word vectors: one vector and weight for each token, {bag.steps} steps, so that "
            "their mean is the sentence encoder's vector. The text tower starts as this.",
            f"2. Text tower: {distill.steps} steps of {distill.batch} texts towards the sentence "
            "encoder's vectors, by cosine and by the relations within the batch.",
        ]
    kept = (
        " The classifier's softmax, on real features and on stand-ins made from its own weights, "
        "must be found again among the class names' vectors, so that photographs stay known."
        if recipe.image.weights
        else ""
    )
    text = "its projection" if align.text == "projection" else "all of it"
    lines.append(
        f"{len(lines) + 1}. Alignment: {align.steps} steps of {align.batch} pairs over frozen "
        f"features, symmetric InfoNCE with several positives; trained are the image head and, of "
        f"the text tower, {text}.{kept}"
    )
    return lines + ([] if mix is None else [_tuned(recipe, mix, len(lines) + 1)])


def _tuned(recipe: Recipe, mix: Mix, number: int) -> str:
    part = recipe.backbone
    return (
        f"{number}. Backbone: {part.steps} steps of {part.batch} pairs and {part.photos} photos at "
        f"a learning rate of {part.learning_rate:g}: the trunk's last {part.blocks} stages, batch "
        "norms frozen, with head and text projection. The losses above go on, and photos' features "
        f"are held where they were. Of the tuned weights {mix.share:.0%} were kept, the rest is "
        "the start's, as held-out pictures chose."
    )


def _measured(measures: Measures) -> list[str]:
    if not measures.held_out:
        return ["Nothing was held out from this run, so nothing was measured."]
    lines = [
        f"On {measures.held_out:,} pictures of concepts that training never saw, one each, with "
        "their titles as queries:",
        "",
        "| measure | value |",
        "|---|---:|",
        f"| text-to-image recall@1 | {measures.recall_at_1:.3f} |",
        f"| text-to-image recall@10 | {measures.recall_at_10:.3f} |",
        f"| median rank | {measures.median_rank:.0f} |",
        f"| nDCG | {measures.ndcg:.3f} |",
    ]
    if measures.sure_pictures:
        lines.append(
            f"| zero-shot answer equals the trunk's own classifier's, on {measures.sure_pictures} "
            f"held-out pictures it is sure of | {measures.class_agreement:.3f} |"
        )
    return lines
