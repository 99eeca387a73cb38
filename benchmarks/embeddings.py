"""Embeddings of real pictures and of their captions, encoded once and kept in a folder.

    python benchmarks/embeddings.py --work FOLDER --data openclipart=PATH --data grocery=PATH

Any source of recipes/builtin, or catalog=PATH for what mmsearch can index. Writes images.npy and
texts.npy, float16 (n, dim): what the other benchmarks enlarge, and what they ask.
"""

import argparse
from pathlib import Path

import numpy as np

from mmsearch.encoders.base import Encoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.errors import MMSearchError
from mmsearch.media import MediaBounds, decode
from mmsearch.pretraining import CaptionedImage, read_recipe
from mmsearch.pretraining.readers import read_images
from mmsearch.records import Floats

IMAGES, TEXTS = "images.npy", "texts.npy"
BATCH = 32
RECIPE = Path(__file__).parents[1] / "recipes" / "builtin"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--most", type=int, help="of the pictures, spread over all of them")
    options = parser.parse_args()
    named = dict(entry.split("=", 1) for entry in options.data)
    data = {name: Path(path) for name, path in named.items()}
    recipe = read_recipe(RECIPE).model_copy(update={"sources": tuple(data)})
    pictures = [image for image in read_images(recipe, data) if image.path is not None]
    if options.most:
        pictures = pictures[:: max(1, len(pictures) // options.most)]
    options.work.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder(options.model)
    captions = sorted({caption for picture in pictures for caption in picture.captions})
    texts = np.concatenate(
        [encoder.encode_texts(captions[i : i + BATCH]) for i in range(0, len(captions), BATCH)]
    )
    np.save(options.work / TEXTS, texts.astype(np.float16))
    print(f"{len(texts):,} captions")
    images = np.concatenate(
        [encoded(encoder, pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
    )
    np.save(options.work / IMAGES, images.astype(np.float16))
    print(f"{len(images):,} pictures")


def encoded(encoder: Encoder, pictures: list[CaptionedImage]) -> Floats:
    """float32 (n, dim) of those that can be read."""
    decoded = []
    for picture in pictures:
        assert picture.path is not None
        try:
            decoded.append(decode(picture.path, bounds=MediaBounds()).image)
        except MMSearchError as error:
            print(error)
    return encoder.encode_images(decoded) if decoded else np.empty((0, encoder.space.dim), "f4")


if __name__ == "__main__":
    main()
