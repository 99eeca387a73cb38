"""The parts of every training: loop, losses, checkpoints, schedule, averages, activations."""
