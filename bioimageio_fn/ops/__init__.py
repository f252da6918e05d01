"""Processing operations: array functions, their records, transforms of samples, chains of them."""
