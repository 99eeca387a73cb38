"""Frozen trunk features, computed once for each view and kept on disk.

On a CPU the trunk runs in ONNX Runtime where that is installed (several times torch's rate), in
torch otherwise; both give the same features to within rounding.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.errors import InputError
from mmsearch.files import replaced_file

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Forward = Callable[[Floats], Floats]
Advance = Callable[[int], None]
# Pictures per pass in torch: small pieces stay in a CPU's caches.
_PIECE, _GPU_PIECE = 8, 256


def forward_of(module: "torch.nn.Module", size: int) -> Forward:
    """images float32 (b, 3, size, size) → what the module makes of them, float32 (b, …)."""
    on_cpu = all(each.device.type == "cpu" for each in module.parameters())
    if on_cpu and find_spec("onnxruntime") and find_spec("onnx"):
        return _onnx_forward(module, size)
    return torch_forward(module)


def torch_forward(module: "torch.nn.Module") -> Forward:
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
    """Frozen attention runs as one fused operation, which ONNX has no word for."""
    import torch

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def weights_digest(module: "torch.nn.Module") -> str:
    digest = hashlib.blake2b(digest_size=8)
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_views(
    file: Path,
    forward: Forward,
    look: Callable[[int], Floats],
    sizes: tuple[int, int, int],
    batch: int,
    advance: Advance,
) -> None:
    """Writes float16 (count, views, …), an item's views as `forward` gives them, to `file` (.npy).

    look: item number → float32 (views, 3, size, size); sizes: count, views, size. The file appears
    only when it is whole. InputError if it cannot be written, on a full disk for example.
    """
    count, views, size = sizes
    shape = (count, views, *forward(np.zeros((1, 3, size, size), np.float32)).shape[1:])
    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
    with _written(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        # Written, not mapped: on a full disk a write fails, a mapped page kills the process.
        with replaced_file(file, flush=False) as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for ready in _batches(look, count, batch):
                stream.write(forward(np.concatenate(ready)).astype("<f2").tobytes())
                advance(len(ready))


@contextmanager
def _written(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; free some space there") from error


def _batches(look: Callable[[int], Floats], count: int, size: int) -> Iterator[list[Floats]]:
    """Decodes one batch ahead of the one in use."""
    starts = range(0, count, size)
    with ThreadPoolExecutor(2) as pool:
        ahead = [pool.submit(look, i) for i in range(min(size, count))]
        for start in starts:
            ready, following = ahead, range(start + size, min(start + 2 * size, count))
            ahead = [pool.submit(look, i) for i in following]
            yield [future.result() for future in ready]
