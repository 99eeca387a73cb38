"""Frozen trunk features, computed once for each view and kept on disk.

On a CPU the trunk runs in ONNX Runtime where that is installed (several times torch's rate), in
torch otherwise; both give the same features to within rounding.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.training.data import Picture
from mmsearch.training.views import RandomView, decode, plain_view

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Forward = Callable[[Floats], Floats]
Advance = Callable[[int], None]


def trunk_forward(trunk: "torch.nn.Module", size: int) -> Forward:
    """images float32 (b, 3, size, size) → pooled features float32 (b, width)."""
    if find_spec("onnxruntime") and find_spec("onnx"):
        return _onnx_forward(trunk, size)
    return torch_forward(trunk)


def torch_forward(trunk: "torch.nn.Module") -> Forward:
    import torch

    trunk = trunk.eval().to(memory_format=torch.channels_last)

    def forward(images: Floats) -> Floats:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(memory_format=torch.channels_last)
            out: Floats = trunk(batch).numpy()
        return out

    return forward


def _onnx_forward(trunk: "torch.nn.Module", size: int) -> Forward:
    import onnxruntime
    import torch

    with TemporaryDirectory() as folder:
        file = str(Path(folder) / "trunk.onnx")
        torch.onnx.export(
            trunk.eval(),
            (torch.zeros(1, 3, size, size),),
            file,
            input_names=["images"],
            output_names=["features"],
            dynamic_axes={"images": {0: "batch"}, "features": {0: "batch"}},
            dynamo=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(images: Floats) -> Floats:
        out: Floats = session.run(None, {"images": images})[0]
        return out

    return forward


def cached_features(
    pictures: Sequence[Picture],
    *,
    trunk: "torch.nn.Module",
    size: int,
    views: int,
    seed: int,
    cache: Path,
    advance: Advance,
) -> NDArray[np.float16]:
    """float16 (n, views, width) memory-mapped; view 0 is the plain one.

    The file's name is a hash of everything that the features hang on.
    """
    identity = json.dumps([[p.key for p in pictures], size, views, seed, weights_digest(trunk)])
    name = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
    file = cache / f"features-{name}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _compute(pictures, trunk, size, views, seed, file, advance)
    features: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return features


def weights_digest(module: "torch.nn.Module") -> str:
    digest = hashlib.blake2b(digest_size=8)
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _compute(
    pictures: Sequence[Picture],
    trunk: "torch.nn.Module",
    size: int,
    views: int,
    seed: int,
    file: Path,
    advance: Advance,
) -> None:
    forward = trunk_forward(trunk, size)
    width = forward(np.zeros((1, 3, size, size), np.float32)).shape[1]
    part = file.with_suffix(".part.npy")
    table = np.lib.format.open_memmap(
        part, mode="w+", dtype=np.float16, shape=(len(pictures), views, width)
    )
    backdrops = [p.path for p in pictures if p.photo and p.path is not None]
    random_view = RandomView(size, backdrops)

    def look(index: int) -> Floats:
        rng = np.random.default_rng([seed, index])
        image = decode(pictures[index])
        rest = [random_view(image, rng) for _ in range(views - 1)]
        return np.stack([plain_view(image, size), *rest])

    for start, batch in _batches(look, len(pictures), max(1, 48 // views)):
        flat = forward(np.concatenate(batch))
        table[start : start + len(batch)] = flat.reshape(len(batch), views, width)
        advance(len(batch))
    table.flush()
    del table
    part.rename(file)


def _batches(
    look: Callable[[int], Floats], count: int, size: int
) -> Iterator[tuple[int, list[Floats]]]:
    """Decodes one batch ahead of the one in use."""
    starts = range(0, count, size)
    with ThreadPoolExecutor(2) as pool:
        ahead = [pool.submit(look, i) for i in range(min(size, count))]
        for start in starts:
            ready, following = ahead, range(start + size, min(start + 2 * size, count))
            ahead = [pool.submit(look, i) for i in following]
            yield start, [future.result() for future in ready]
