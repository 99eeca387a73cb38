"""Activations of frozen modules, computed once for each view and cached on disk.

On a CPU the module runs in ONNX Runtime if that is installed (several times faster than torch), in
torch otherwise; the results are equal to within rounding.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.arrays import blocks
from mmsearch.digests import digest_of_json
from mmsearch.errors import InputError
from mmsearch.files import replaced_file

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Forward = Callable[[Floats], Floats]
Advance = Callable[[int], None]
# Images per pass in torch; small passes fit into a CPU's caches.
_PIECE, _GPU_PIECE = 8, 256


def forward_of(module: "torch.nn.Module", size: int) -> Forward:
    """Returns a function that runs the module in the fastest runtime available.

    It maps images, float32 (b, 3, size, size), to the module's output, float32 (b, …).
    """
    on_cpu = all(each.device.type == "cpu" for each in module.parameters())
    if on_cpu and find_spec("onnxruntime") and find_spec("onnx"):
        return _onnx_forward(module, size)
    return torch_forward(module)


def torch_forward(module: "torch.nn.Module") -> Forward:
    """Returns a function that runs the module in torch, without gradients."""
    import torch

    module = module.eval().to(memory_format=torch.channels_last)
    device = next((each.device for each in module.parameters()), torch.device("cpu"))
    size = _PIECE if device.type == "cpu" else _GPU_PIECE

    def forward(images: Floats) -> Floats:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
            found = [module(piece) for piece in torch.split(batch, size)]
            out: Floats = torch.cat(found).cpu().numpy()
        return out

    return forward


def _onnx_forward(module: "torch.nn.Module", size: int) -> Forward:
    import onnxruntime
    import torch

    with TemporaryDirectory() as folder, _plain_attention():
        file = str(Path(folder) / "module.onnx")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, 3, size, size),),
            file,
            input_names=["images"],
            output_names=["out"],
            dynamic_axes={"images": {0: "batch"}, "out": {0: "batch"}},
            dynamo=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(images: Floats) -> Floats:
        out: Floats = session.run(None, {"images": images})[0]
        return out

    return forward


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Disables fused attention, which has no ONNX operator."""
    import torch

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def weights_digest(module: "torch.nn.Module") -> str:
    """Returns a hash of the module's state dict."""
    digest = hashlib.blake2b(digest_size=8)
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class PixelViews:
    """Views of images as a tower's input.

    load: item number → float32 (views, 3, size, size); called from two threads, one batch ahead.
    count: number of items.
    """

    load: Callable[[int], Floats]
    count: int
    views: int
    size: int


def cached_activations(
    module: "torch.nn.Module",
    pixels: PixelViews,
    *,
    cache: Path,
    key: str,
    advance: Advance,
    batch: int = 16,
) -> NDArray[np.float16]:
    """Returns activations, float16 (count, views, *activation shape), mapped from a cache file.

    key: identifies the pixels (the items and how views are made); with the module's weights it
    names the file in the folder `cache`, so that a second call reads what the first one wrote.
    batch: items per pass. An incomplete file is never read. Raises InputError if it cannot be
    written.
    """
    identity = [key, pixels.count, pixels.views, pixels.size, weights_digest(module)]
    file = cache / f"activations-{digest_of_json(identity)}.npy"
    if not file.exists():
        forward = forward_of(module.eval(), pixels.size)
        write_activations(file, forward, pixels, batch=batch, advance=advance)
    activations: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return activations


def write_activations(
    file: Path, forward: Forward, pixels: PixelViews, *, batch: int, advance: Advance
) -> None:
    """Writes the output of `forward` for every view to a .npy file, float16 (count, views, …).

    batch: items per pass. The file appears only once it is complete. Raises InputError if it cannot
    be written, on a full disk for example.
    """
    one = forward(np.zeros((1, 3, pixels.size, pixels.size), np.float32))
    shape = (pixels.count, pixels.views, *one.shape[1:])
    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Written, not memory-mapped: on a full disk a write fails, but a mapped page crashes.
        with replaced_file(file, flush=False) as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for ready in _loaded_ahead(pixels, batch):
                stream.write(forward(np.concatenate(ready)).astype("<f2").tobytes())
                advance(len(ready))
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; free some space there") from error


def _loaded_ahead(pixels: PixelViews, size: int) -> Iterator[list[Floats]]:
    """Yields batches of loaded items while the next one is being loaded."""
    with ThreadPoolExecutor(2) as pool:
        ahead: list[Future[Floats]] = []
        for batch in (*blocks(pixels.count, size), slice(0)):
            ready, numbers = ahead, range(pixels.count)[batch]
            ahead = [pool.submit(pixels.load, number) for number in numbers]
            if ready:
                yield [future.result() for future in ready]
