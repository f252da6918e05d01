"""Hypothesis strategies: test data for whoever writes or embeds processing operations.

A test states what holds for every tensor, and Hypothesis looks for one for which it does not:

    from hypothesis import given
    from bioimageio_fn import strategies

    @given(strategies.tensors(nan=True))
    def test_my_function_keeps_axes(tensor):
        assert my_function(tensor).axes == tensor.axes

What holds here: everything that is drawn is valid and small, and shrinks to what is simplest (few
axes, short sides, no special layout, round numbers); whatever is legal but easily forgotten occurs
(big-endian arrays, arrays without axes, axes in any order, keywords left to their defaults).

Hypothesis is imported by this package only. It comes with the extra `strategies`.
"""

from ..errors import MissingDependencyError

try:
    import hypothesis as _  # noqa: F401
except ImportError as error:
    raise MissingDependencyError(
        "property-based testing needs the package hypothesis",
        remedy="pip install 'bioimageio_fn[strategies]'",
    ) from error

from .data import IDS, LAYOUTS, arrays, axes, samples, tensors
from .described import DESCRIBED, descriptions
from .steps import OPERATIONS, chains, measures, operations

__all__ = [
    "DESCRIBED",
    "IDS",
    "LAYOUTS",
    "OPERATIONS",
    "arrays",
    "axes",
    "chains",
    "descriptions",
    "measures",
    "operations",
    "samples",
    "tensors",
]
