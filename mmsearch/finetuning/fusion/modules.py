"""The trained fusions as torch modules; both start as late fusion, and decay pulls them back to it.

Each gives back a NumPy fusion that computes the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsearch.fusion import AttentionFusion, EarlyFusion, Fusion
from mmsearch.records import Floats, Modality

# Width of the attention's query and keys, and rank of its value path.
WIDTH = 32
RANK = 32


class FusionModule(nn.Module, ABC):
    """A module over tokens: float (2, n, dim), centred unit rows, zeros where missing, image first;
    present: bool (2, n) → float (n, dim), unit rows."""

    @abstractmethod
    def forward(self, tokens: Tensor, present: Tensor) -> Tensor: ...

    @abstractmethod
    def frozen(self, means: Mapping[Modality, Floats]) -> Fusion: ...


def _share(image_weight: float) -> float:
    """Where to start from: at 0 or 1 an item with the other modality alone would be nothing."""
    return min(max(image_weight, 0.05), 0.95)


class EarlyModule(FusionModule):
    """See EarlyFusion. What is trained is the projection's difference from late fusion's."""

    start: Tensor

    def __init__(self, dim: int, image_weight: float) -> None:
        super().__init__()
        same, share = torch.eye(dim), _share(image_weight)
        shares = (share * same, (1 - share) * same, torch.zeros(dim, 2))
        self.register_buffer("start", torch.cat(shares, dim=1))
        self.change = nn.Parameter(torch.zeros(dim, 2 * dim + 2))

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        joined = torch.cat([tokens[0], tokens[1], present.T.to(tokens.dtype)], dim=1)
        return F.normalize(joined @ (self.start + self.change).T, dim=1)

    def frozen(self, means: Mapping[Modality, Floats]) -> EarlyFusion:
        return EarlyFusion(means, _numpy(self.start + self.change))


class AttentionModule(FusionModule):
    """See AttentionFusion. It starts with the gate at late fusion's weight and no value path.

    absent: float (2, dim), what stands for a missing picture and a missing text at the start.
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
        absent = self.absent[:, None, :]
        seen = torch.where(present[:, :, None], tokens, absent)
        keys = seen @ self.keys.T + self.modality[:, None, :]
        gate = (keys @ self.query / WIDTH**0.5).softmax(dim=0)
        small = tokens @ self.down.transpose(1, 2) @ self.up.transpose(1, 2)
        values = torch.where(present[:, :, None], tokens + small, absent)
        return F.normalize((gate[:, :, None] * values).sum(dim=0), dim=1)

    def frozen(self, means: Mapping[Modality, Floats]) -> AttentionFusion:
        names = ("query", "keys", "modality", "down", "up", "absent")
        return AttentionFusion(means, *(_numpy(getattr(self, name)) for name in names))


def _numpy(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().float().cpu().numpy().copy()
    return array
