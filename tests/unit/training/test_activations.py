"""Activations are the same by either runtime."""

import numpy as np
import pytest
import timm
import torch

from mmsearch.training.activations import forward_of, torch_forward


def test_both_runtimes_give_the_same_features() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    images = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)
    torch.manual_seed(0)
    model: torch.nn.Module = timm.create_model("test_efficientnet", num_classes=0).eval()
    np.testing.assert_allclose(
        forward_of(model, 64)(images), torch_forward(model)(images), atol=1e-3
    )
