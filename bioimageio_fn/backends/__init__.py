"""Backends: a network as a plain callable, `forward(*arrays) -> tuple of arrays`."""
