"""Features that no picture of ours has: stand-ins for photographs of ImageNet's classes.

There are no ImageNet photos to train on, but the classifier tells which features it takes for
each class. A stand-in is a real feature (of any picture) moved along a class's direction, measured
in the spread that real features have, until the classifier is about as sure as on a photograph.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Levels asked for, before clamping; they end with a median top probability of 0.6 and top logit of
# 8.5, near the 0.78 and 9.9 of real photos that the classifier is sure of.
TOP_LOGITS = (9.0, 14.0)


@dataclass(frozen=True, slots=True)
class Prototypes:
    """Draws stand-ins; every tensor is float32.

    weight (classes, width), bias (classes,): the classifier. directions (classes, width): how real
    features move when a class's logit rises by one.
    """

    weight: "torch.Tensor"
    bias: "torch.Tensor"
    directions: "torch.Tensor"

    mean: "torch.Tensor"

    def draw(self, features: "torch.Tensor", *, generator: "torch.Generator") -> "torch.Tensor":
        """One stand-in, of a random class, for each real feature: float32 (n, width).

        The real feature is first drawn towards the mean, as the photo's own class should lead; half
        of the stand-ins carry a second class at part of the first one's level, as scenes do.
        """
        import torch

        def uniform(low: float, high: float) -> torch.Tensor:
            return low + (high - low) * torch.rand(count, 1, generator=generator)

        count, classes = len(features), len(self.bias)
        partner = features[torch.randperm(count, generator=generator)]
        mix = uniform(0, 1)
        base = mix * features + (1 - mix) * partner
        base = self.mean + uniform(0.3, 1.0) * (base - self.mean)
        level = uniform(*TOP_LOGITS)
        second = uniform(0, 0.9) * (uniform(0, 1) < 0.5)
        for share in (torch.ones(count, 1), second):
            chosen = torch.randint(classes, (count,), generator=generator)
            now = (base * self.weight[chosen]).sum(dim=1, keepdim=True)
            push = (share * level - now - self.bias[chosen, None]).clamp(min=0)
            base = base + (share > 0) * push * self.directions[chosen]
        # The trunk's last activation is never negative.
        return base.clamp(min=0)


def fit_prototypes(classifier: "torch.nn.Linear", features: "torch.Tensor") -> Prototypes:
    """features: float32 (n, width), real ones. Directions are the covariance times the weights:
    the change of a feature that, given how real ones vary, best explains a higher logit."""
    import torch

    weight, bias = classifier.weight.detach(), classifier.bias.detach()
    covariance = torch.cov(features.T)
    # Shrunk towards a sphere: the bare covariance lifts every related class as much.
    covariance += covariance.diag().mean() * torch.eye(len(covariance))
    moves = weight @ covariance
    gains = (moves * weight).sum(dim=1, keepdim=True)
    return Prototypes(weight, bias, moves / gains, features.mean(dim=0))
