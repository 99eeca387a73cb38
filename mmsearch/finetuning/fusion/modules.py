"""Trainable fusions as torch modules, initialised as late fusion, to which weight decay pulls.

Each converts to a NumPy fusion that computes the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsearch.fusion import AttentionFusion, EarlyFusion, Fusion
from mmsearch.records import Floats, Modality

# Width of the attention's query and keys, and rank of its value projection.
WIDTH = 32
RANK = 32


class FusionModule(nn.Module, ABC):
    """A fusion of image and text embeddings."""

    @abstractmethod
    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Returns product vectors, float (n, dim), unit rows.

        tokens: float (2, n, dim), centred unit rows, image first, zeros where missing.
        present: bool (2, n).
        """

    @abstractmethod
    def frozen(self, means: Mapping[Modality, Floats]) -> Fusion:
        """Returns the NumPy fusion that computes the same."""


def _share(image_weight: float) -> float:
    """Keeps off 0 and 1, at which an item with only the other modality would have no vector."""
    return min(max(image_weight, 0.05), 0.95)


class EarlyModule(FusionModule):
    """Trainable EarlyFusion: the projection's difference from late fusion is trained."""

    start: Tensor

    def __init__(self, dim: int, image_weight: float) -> None:
        super().__init__()
        same, share = torch.eye(dim), _share(image_weight)
        shares = (share * same, (1 - share) * same, torch.zeros(dim, 2))
        self.register_buffer("start", torch.cat(shares, dim=1))
        self.change = nn.Parameter(torch.zeros(dim, 2 * dim + 2))

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """See FusionModule."""
        joined = torch.cat([tokens[0], tokens[1], present.T.to(tokens.dtype)], dim=1)
        return F.normalize(joined @ (self.start + self.change).T, dim=1)

    def frozen(self, means: Mapping[Modality, Floats]) -> EarlyFusion:
        """See FusionModule."""
        return EarlyFusion(means, _numpy(self.start + self.change))


class AttentionModule(FusionModule):
    """Trainable AttentionFusion: the gate starts at late fusion's weight, the value path at 0.

    absent: float (2, dim), initial stand-ins for a missing image and a missing text.
    """

    def __init__(self, image_weight: float, absent: Tensor, generator: torch.Generator) -> None:
        super().__init__()
        dim = absent.shape[1]
        self.query = nn.Parameter(torch.randn(WIDTH, generator=generator))
        self.keys = nn.Parameter(torch.randn(WIDTH, dim, generator=generator) / dim**0.5)
        share = _share(image_weight)
        shares = torch.tensor([share, 1 - share])
        along = self.query.detach() * WIDTH**0.5 / self.query.detach().square().sum()
        self.modality = nn.Parameter(shares.log()[:, None] * along)
        self.down = nn.Parameter(torch.randn(2, RANK, dim, generator=generator) / dim**0.5)
        self.up = nn.Parameter(torch.zeros(2, dim, RANK))
        self.absent = nn.Parameter(absent.clone())

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """See FusionModule."""
        absent = self.absent[:, None, :]
        seen = torch.where(present[:, :, None], tokens, absent)
        keys = seen @ self.keys.T + self.modality[:, None, :]
        gate = (keys @ self.query / WIDTH**0.5).softmax(dim=0)
        small = tokens @ self.down.transpose(1, 2) @ self.up.transpose(1, 2)
        values = torch.where(present[:, :, None], tokens + small, absent)
        return F.normalize((gate[:, :, None] * values).sum(dim=0), dim=1)

    def frozen(self, means: Mapping[Modality, Floats]) -> AttentionFusion:
        """See FusionModule."""
        names = ("query", "keys", "modality", "down", "up", "absent")
        return AttentionFusion(means, *(_numpy(getattr(self, name)) for name in names))


def _numpy(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().float().cpu().numpy().copy()
    return array
