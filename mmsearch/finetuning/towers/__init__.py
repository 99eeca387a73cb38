"""The towers of the start model: their inputs, what is trained of them, and saving."""
