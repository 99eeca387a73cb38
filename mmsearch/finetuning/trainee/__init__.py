"""What the training loop trains: batches, losses, mixup, rehearsal and hard negatives."""
