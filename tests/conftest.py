"""Tiny OpenCLIP models, made on the spot: real architectures and tokenizers, random weights.

At the end of a run the skipped tests are listed by what they need.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Before torch and FAISS are loaded, here and in every command that a test runs. Pytest's workers
# fill the cores already, and threads that spin for one another on a busy core slow all of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell has what it starts in the background ignore Ctrl-C, and so would the commands under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Two small layers a tower; the vocabulary is that of OpenCLIP's own BPE.
TINY_MODEL: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 32,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
    },
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
}
TINY_PREPROCESSING = {
    "mean": [0.5, 0.45, 0.4],
    "std": [0.25, 0.3, 0.35],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}

MakeModel = Callable[..., Path]


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """make_model(**changes): the folder of a tiny model; a change of None takes a key away.

    Changes to `vision_cfg` and `text_cfg` are merged into the tiny model's, others replace.
    """

    def make(**changes: Any) -> Path:
        import torch
        from open_clip import CLIP, CustomTextCLIP
        from safetensors.torch import save_file

        config = {**TINY_MODEL, **changes}
        for tower in ("vision_cfg", "text_cfg"):
            merged = {**TINY_MODEL[tower], **changes.get(tower, {})}
            config[tower] = {key: value for key, value in merged.items() if value is not None}
        arguments = {key: value for key, value in config.items() if key != "custom_text"}
        with torch.random.fork_rng():
            torch.manual_seed(7)
            model = (CustomTextCLIP if config.get("custom_text") else CLIP)(**arguments)
        folder = tmp_path_factory.mktemp("model")
        about = {"model_cfg": config, "preprocess_cfg": TINY_PREPROCESSING}
        (folder / "open_clip_config.json").write_text(json.dumps(about), encoding="utf-8")
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: MakeModel) -> Path:
    """A folder with open_clip_config.json and open_clip_model.safetensors, 32-pixel images."""
    return make_model()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[-1]).removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section("skipped tests and what they need")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:4}  {reason}")
