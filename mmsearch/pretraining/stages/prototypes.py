"""Synthetic features of ImageNet's classes, in place of photographs, which are not available.

The classifier tells which features it takes for each class. A synthetic feature is a real one, of
any image, moved along a class's direction in proportion to the spread of real features until the
classifier is about as sure as on a photograph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Range of top logits before clamping; the median top probability is then 0.6 and the top logit 8.5,
# near the 0.78 and 9.9 of photographs that the classifier is sure of.
TOP_LOGITS = (9.0, 14.0)


@dataclass(frozen=True, slots=True)
class Prototypes:
    """Draws synthetic features; all tensors are float32.

    weight (classes, width), bias (classes,): the classifier's. directions (classes, width): how
    real features change when a class's logit rises by one. mean (width,): of real features.
    """

    weight: Tensor
    bias: Tensor
    directions: Tensor
    mean: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Returns the classifier's answers: float32 (n, classes)."""
        return features @ self.weight.T + self.bias

    def draw(self, features: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draws a synthetic feature of a random class for each real one: float32 (n, width).

        Real features are first shrunk towards the mean, so that the class dominates; half of them
        get a second class at part of the first one's level, as in scenes.
        """

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, 1, generator=generator)

        count, classes = len(features), len(self.bias)
        partner = features[torch.randperm(count, generator=generator)]
        share = uniform(0, 1)
        base = share * features + (1 - share) * partner
        base = self.mean + uniform(0.3, 1.0) * (base - self.mean)
        level = uniform(*TOP_LOGITS)
        second = uniform(0, 0.9) * (uniform(0, 1) < 0.5)
        for share in (torch.ones(count, 1), second):
            chosen = torch.randint(classes, (count,), generator=generator)
            logit = (base * self.weight[chosen]).sum(dim=1, keepdim=True) + self.bias[chosen, None]
            rise = (share * level - logit).clamp(min=0)
            base = base + (share > 0) * rise * self.directions[chosen]
        # The trunk's last activation is never negative.
        return base.clamp(min=0)


def fit_prototypes(classifier: torch.nn.Linear, features: Tensor) -> Prototypes:
    """Fits the directions to real features, float32 (n, width).

    A direction is the covariance times the class's weights: the change of a feature that best
    explains a higher logit, given how real ones vary.
    """
    weight, bias = classifier.weight.detach(), classifier.bias.detach()
    covariance = torch.cov(features.T)
    # Shrunk towards a sphere: the bare covariance raises every related class as much.
    covariance += covariance.diag().mean() * torch.eye(len(covariance))
    moves = weight @ covariance
    gains = (moves * weight).sum(dim=1, keepdim=True)
    return Prototypes(weight, bias, moves / gains, features.mean(dim=0))
