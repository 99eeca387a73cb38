"""The start model's towers: their inputs, which part is trained, and how they are saved."""
