"""Weights in other formats than they were trained in: converted, proved, and described."""
