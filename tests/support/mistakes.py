"""What newcomers get wrong: commands, their exit codes, and the words that name the way out.

`lay_out` makes the folder that they run in; `index` is to be run once on SOURCES there.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SOURCES = ("photos", "goods.csv")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A command that is refused. says: words of its message that name the fix."""

    arguments: tuple[str, ...]
    code: int
    says: str

    @property
    def name(self) -> str:
        """The command as one would type it."""
        return " ".join(each or "''" for each in self.arguments)


MISTAKES = (
    Mistake(("serach", "shoes"), 2, "Did you mean 'search'?"),
    Mistake(("search",), 2, "give a text, --image, --like or --keyword"),
    Mistake(("search", "photos/red.png"), 2, "--image photos/red.png"),
    Mistake(("search", "--image", "photos/rde.png"), 2, "photos/rde.png: no such file"),
    Mistake(("search", "--image", "goods.csv"), 2, "goods.csv"),
    Mistake(("search", "shoes", "--where", "prise < 5"), 2, "did you mean price?"),
    Mistake(("search", "shoes", "--where", "category = food"), 2, "single quotes: 'food'"),
    Mistake(("search", "shoes", "--where", "price <"), 2, "it is incomplete"),
    Mistake(("search", "shoes", "--columns", "prise"), 2, "did you mean 'price'?"),
    Mistake(("search", "shoes", "--target", "imges"), 2, "did you mean 'image'?"),
    Mistake(("search", "--like", "goods/shoe-22"), 3, "did you mean 'goods/shoe-2'?"),
    Mistake(("search", "shoes", "--limt", "3"), 2, "did you mean --limit?"),
    Mistake(("search", "shoes", "-k", "ten"), 2, "ten"),
    Mistake(("search", "shoes", "--model", "base"), 4, "leave out --model"),
    Mistake(("search", "shoes", "--model", "bsae"), 2, "did you mean 'base'?"),
    Mistake(("search", "shoes", "--device", "gpu"), 2, "use auto, cpu, cuda, cuda:1 or mps"),
    Mistake(("search", "shoes", "--store", "elsewhere"), 3, "mmsearch index"),
    Mistake(("search", "shoes", "--after", "xyz"), 2, "'next' of the previous page"),
    Mistake(("search", "--queries", "many.jsonl"), 2, "cannot read many.jsonl"),
    Mistake(("index", "phtos"), 2, "did you mean 'photos'?"),
    Mistake(("index", "photos", "--model", "base"), 4, "leave out --model"),
    Mistake(("index", "goods.csv", "--image-column", "pic"), 2, "its columns are 'id', 'title'"),
    Mistake(("index", "photos", "--memory", "lots"), 2, "such as 2GB or 512MiB"),
    Mistake(("index", "photos", "--index", "hnws"), 2, "did you mean 'hnsw'?"),
    Mistake(("index", "photos", "--store", ""), 2, "is the variable set?"),
    Mistake(("index", "--drop", "photo"), 3, "there are: photos, goods"),
    Mistake(("models", "--check", "bsae"), 2, "did you mean 'base'?"),
    Mistake(("models", "--promote", "bsae"), 2, "did you mean 'base'?"),
    Mistake(("models", "--rollback"), 2, "there is nothing to go back to"),
    Mistake(("models", "add", "mine", "weights.pt"), 2, "there is no model 'weights.pt'"),
    Mistake(("evaluate", "goods.csv", "--compare", "bsae"), 2, "did you mean 'base'?"),
    Mistake(("finetune", "goods.csv", "--method", "haed"), 2, "did you mean 'head'?"),
    Mistake(("finetune", "goods.csv", "--set", "stpes=3"), 2, "did you mean 'steps'?"),
    Mistake(("dedup", "--tiers", "pixel"), 2, "did you mean 'pixels'?"),
    Mistake(("dedup", "apply", "paln.jsonl"), 2, "paln.jsonl"),
    Mistake(("same", "photos/red.png", "photos/rde.png"), 2, "photos/rde.png: no such file"),
)


def lay_out(folder: Path) -> None:
    """Writes photos/ with three images, and goods.csv with ten products."""
    (folder / "photos").mkdir(parents=True)
    chance = np.random.default_rng(11)
    for name in ("red", "green", "blue"):
        pixels = chance.integers(0, 256, (64, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{name}.png")
    rows = [f"shoe-{number},Shoe {number},{number}.5,clothes" for number in range(1, 11)]
    (folder / "goods.csv").write_text("\n".join(["id,title,price,category", *rows]) + "\n")
