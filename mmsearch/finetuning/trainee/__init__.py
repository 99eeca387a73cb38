"""The trainee of the training loop: batches, losses, rehearsal and hard negatives."""
