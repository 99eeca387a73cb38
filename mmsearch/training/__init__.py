"""Training toolkit: loop, losses, checkpoints, EMA, activations, augmentation, weights, cards."""
