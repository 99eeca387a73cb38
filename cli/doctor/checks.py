"""The checks of mmsearch doctor: packages, devices, formats, models, disk and memory."""

import importlib
import importlib.metadata
import io
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmsearch.cli.parameters import with_options
from mmsearch.errors import InputError, MMSearchError
from mmsearch.report.titles import visible

# The module to import, and the distributions that may provide it.
PACKAGES = (
    ("torch", ("torch",)),
    ("torchvision", ("torchvision",)),
    ("open_clip", ("open_clip_torch",)),
    ("tokenizers", ("tokenizers",)),
    ("safetensors", ("safetensors",)),
    ("faiss", ("faiss-gpu", "faiss-cpu")),
    ("lancedb", ("lancedb",)),
    ("pyarrow", ("pyarrow",)),
    ("numpy", ("numpy",)),
    ("PIL", ("pillow",)),
    ("pillow_heif", ("pillow-heif",)),
)
# What the import of wheels raises that do not match each other or the machine.
IMPORT_FAULTS = (ImportError, OSError, RuntimeError, AttributeError, ValueError)
GIB = 2**30
# A catalog of a million items takes about 2 GiB of vectors and rows at 512 dimensions.
LITTLE_DISK, NO_DISK = 2 * GIB, GIB // 4
# The built-in model, FAISS and LanceDB together stay under 2 GiB while indexing.
LITTLE_MEMORY = 2 * GIB

NVIDIA_DEVICE = Path("/dev/nvidia0")

_SAMPLE_COLOUR = (200, 60, 30)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. advice: what to do about it; '' if it passed."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    advice: str = ""


def check_python() -> Check:
    """The version of Python, the system and its cores."""
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("Python", "ok", f"{detail}, {os.cpu_count()} cores")


def check_package(module: str, owners: Sequence[str]) -> Check:
    """Imports the module: a version alone does not show whether wheels match each other."""
    installed = next((owner for owner in owners if version_of(owner)), owners[0])
    try:
        importlib.import_module(module)
    except IMPORT_FAULTS as fault:
        advice = f"pip install --force-reinstall {installed}"
        return Check(installed, "fail", reason_of(fault), advice)
    return Check(installed, "ok", version_of(installed) or "installed without pip")


def version_of(distribution: str) -> str:
    """Returns the installed version; '' if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def reason_of(fault: Exception) -> str:
    """Returns the first line of the error."""
    lines = str(fault).strip().splitlines()
    return visible(with_options(lines[0])) if lines else repr(fault)


def check_encoding_device() -> Check:
    """Warns about a GPU that the driver shows and torch cannot use; no GPU at all is fine."""
    from mmsearch.encoders.devices import choose_device

    name = "encoding device"
    try:
        choice = choose_device("auto")
    except IMPORT_FAULTS as fault:
        return Check(name, "fail", reason_of(fault), "fix torch first, see above")
    detail = f"{choice.name}: {choice.reason}"
    if choice.name == "cpu" and NVIDIA_DEVICE.exists():
        return Check(name, "warn", detail, "update the NVIDIA driver, or install a newer torch")
    return Check(name, "ok", detail)


def check_gpu_search() -> Check:
    """Warns about a GPU that fails the probe; no GPU at all is fine."""
    try:
        from mmsearch.indexes import probe_gpu

        probe = probe_gpu()
    except IMPORT_FAULTS as fault:
        return Check("GPU search", "fail", reason_of(fault), "fix faiss first, see above")
    if probe.available or not probe.devices:
        return Check("GPU search", "ok", probe.reason)
    advice = "searches run on the CPU; update the NVIDIA driver or reinstall faiss-gpu"
    return Check("GPU search", "warn", probe.reason, advice)


def check_format(name: str) -> Check:
    """Writes a small image in the format and decodes it as indexing would."""
    from PIL import ImageStat

    from mmsearch.media import decode

    label = f"{name} images"
    try:
        image = decode(sample_image(name)).image
    except (*IMPORT_FAULTS, InputError) as fault:
        missing = "pip install 'mmsearch[jxl]'" if name == "jxl" else "reinstall pillow"
        return Check(
            label, "warn", visible(str(fault)), f"{missing}; without it, such files are skipped"
        )
    colour = [round(levels.mean[0]) for levels in map(ImageStat.Stat, image.split())]
    if max(abs(got - meant) for got, meant in zip(colour, _SAMPLE_COLOUR, strict=True)) > 12:
        return Check(label, "fail", f"wrong colours: {colour}", "reinstall pillow")
    return Check(label, "ok", "encoded and decoded")


def sample_image(name: str) -> bytes:
    """Returns an image of one colour, encoded in this format."""
    from PIL import Image

    from mmsearch.media import FORMATS

    pillow_name, module = FORMATS[name]
    plugin = importlib.import_module(module)
    image = Image.new("RGB", (32, 32), _SAMPLE_COLOUR)
    if name == "jxl":
        import numpy as np

        return bytes(plugin.jpegxl_encode(np.asarray(image), level=95))
    if name == "heic":
        plugin.register_heif_opener()
    file = io.BytesIO()
    image.save(file, pillow_name)
    return file.getvalue()


def check_builtin_model() -> Check:
    """Encodes a text, which reads the weights and the vocabulary."""
    from mmsearch.encoders.registry import load_text_encoder

    name = "built-in model"
    try:
        vectors = load_text_encoder("builtin").encode_texts(["red apple"])
    except (*IMPORT_FAULTS, MMSearchError) as fault:
        return Check(name, "fail", reason_of(fault), "pip install --force-reinstall mmsearch")
    return Check(name, "ok", f"works, {vectors.shape[1]:,} dimensions")


def check_other_models() -> Check:
    """Lists the optional models, and those that would be downloaded on first use."""
    from mmsearch.encoders.registry import MODELS, is_here

    others = [model for model in MODELS if model.location]
    here = [model.name for model in others if is_here(model)]
    absent = [f"{m.name} ({m.download_mb:,} MB)" for m in others if m.name not in here]
    groups = (("here", here), ("downloaded on first use", absent))
    detail = "; ".join(f"{what}: {', '.join(names)}" for what, names in groups if names)
    return Check("other models", "ok", detail)


def check_store(folder: Path | None) -> Check:
    """Opens the store and reads every index file against its checksum."""
    from mmsearch.catalog import open_catalog
    from mmsearch.errors import StoreNotFound

    try:
        state = open_catalog(folder).verify()
    except StoreNotFound:
        return Check("store", "ok", "none yet", "")
    except MMSearchError as error:
        return Check("store", "fail", with_options(str(error)), "run 'mmsearch index --rebuild'")
    detail = f"{state.folder}: {state.counts['items']:,} items, indexes intact"
    if state.interrupted or state.index_behind:
        return Check(
            "store",
            "warn",
            f"{detail}; the last run was interrupted",
            "run 'mmsearch index' to resume it",
        )
    return Check("store", "ok", detail)


def check_disk(place: Path) -> Check:
    """The space left on the disk of the store."""
    existing = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / GIB:,.1f} GiB free at {visible(str(existing))}"
    if free < NO_DISK:
        return Check(
            "disk", "fail", detail, "free some space, or put the store on another disk with --store"
        )
    if free < LITTLE_DISK:
        return Check("disk", "warn", detail, "enough for a small catalog only")
    return Check("disk", "ok", detail)


def check_memory() -> Check:
    """The memory that is available to a new process."""
    available = available_memory()
    if available is None:
        return Check("memory", "ok", "unknown on this system")
    detail = f"{available / GIB:,.1f} GiB available"
    if available < LITTLE_MEMORY:
        return Check("memory", "warn", detail, "close other programs, or use --batch-size 8")
    return Check("memory", "ok", detail)


def available_memory() -> int | None:
    """Returns the bytes that a new process may use, within a container's limit; None if unknown."""
    free = Path("/proc/meminfo")
    if not free.exists():
        return None
    lines = dict(line.split(":", 1) for line in free.read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit.exists() and used.exists() and (bound := limit.read_text().strip()) != "max":
        available = min(available, int(bound) - int(used.read_text()))
    return available
