"""Measures of tensors (mean, standard deviation, variance, quantiles) and how they are taken."""
