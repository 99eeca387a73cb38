"""One read of a file gives its pixels, its hash and its facts, in any process."""

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from mmsearch.media import Preprocessing, content_hash, decode, prepare, read_image, thumbnail

Encode = Callable[..., bytes]
Distance = Callable[[Image.Image, Image.Image], float]

SPEC = Preprocessing(size=64)


def test_reads_everything_at_once(reference: Image.Image, encode: Encode, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encode(reference, "PNG"))
    picture = read_image(path, spec=SPEC)
    assert (picture.width, picture.height, picture.format) == (240, 160, "png")
    assert picture.bytes == path.stat().st_size
    assert picture.content_hash == content_hash(path) == content_hash(path.read_bytes())
    assert np.array_equal(picture.pixels, prepare(reference, SPEC))


def test_the_hash_is_blake2b_of_128_bits(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mmsearch" * 100_000)
    expected = hashlib.blake2b(b"mmsearch" * 100_000, digest_size=16).hexdigest()
    assert content_hash(tmp_path / "file") == expected
    # The published BLAKE2b-128 of nothing.
    assert content_hash(b"") == "cae66941d9efbd404e4d88758ea67670"


def test_large_jpegs_are_read_small_and_look_the_same(
    reference: Image.Image, encode: Encode, distance: Distance, tmp_path: Path
) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(encode(reference.resize((1920, 1280)), "JPEG", quality=92))
    picture = read_image(path, spec=SPEC)
    assert (picture.width, picture.height) == (1920, 1280)
    full = prepare(decode(path).image, SPEC)
    assert distance(Image.fromarray(picture.pixels), Image.fromarray(full)) <= 1.0


def test_works_in_worker_processes_and_threads(
    reference: Image.Image, encode: Encode, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}.tiff" for number in range(8)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(reference.rotate(number), "TIFF", compression="tiff_lzw"))
    read = partial(read_image, spec=SPEC)
    expected = [read(path).content_hash for path in paths]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        assert [picture.content_hash for picture in processes.map(read, paths)] == expected
    with ThreadPoolExecutor(4) as threads:
        assert [picture.content_hash for picture in threads.map(read, paths)] == expected


def test_imports_nothing_heavy() -> None:
    code = (
        "import sys, mmsearch.media\n"
        "heavy = {'torch', 'torchvision', 'open_clip', 'faiss', 'lancedb', 'pyarrow',"
        " 'imagecodecs', 'pillow_heif'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_thumbnails_fit_and_keep_the_picture(reference: Image.Image, distance: Distance) -> None:
    with Image.open(io.BytesIO(thumbnail(reference, 96))) as small:
        assert small.format == "WEBP"
        assert small.size == (96, 64)
        expected = reference.resize((96, 64), Image.Resampling.LANCZOS)
        assert distance(small.convert("RGB"), expected) <= 6.0
    with Image.open(io.BytesIO(thumbnail(reference, 1000))) as same:
        assert same.size == reference.size
    assert reference.size == (240, 160)
