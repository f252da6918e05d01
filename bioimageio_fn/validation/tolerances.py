"""Which tolerance holds for an output: from the description, or what the format says without one.

What holds here: one rule for both format versions; outputs of integers and truth values have to be
the same, however large their numbers are, and only some of them may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from ..contract.records import TensorContract
from .records import Tolerance

__all__ = ["CONTINUOUS", "DISCRETE", "is_discrete", "tolerance_of"]

CONTINUOUS = Tolerance(relative=1e-3, absolute=1e-3, mismatched_per_million=100)
"""Of floats, if nothing is described: the newest text of the format."""
DISCRETE = Tolerance(relative=0, absolute=0, mismatched_per_million=1000)
"""Of integers and truth values, likewise."""


def is_discrete(output: TensorContract) -> bool:
    """Whether an output is described to hold integers or truth values."""
    return (output.dtype or "float32").startswith(("int", "uint", "bool"))


def tolerance_of(description: Any, output: TensorContract, weights_format: str) -> Tolerance:
    """The tolerance for an output that weights of some format give.

    The first entry of `config.bioimageio.reproducibility_tolerance` that names the format and the
    output counts (one that names none counts for all); then the older
    `config.bioimageio.test_kwargs`, which both versions of the format may have; then the defaults
    of the newest format. Whatever is described, integers and truth values have to be the same.

    Args:
        description: of a model, of either version.
        output: as described.
        weights_format: the format.

    Examples:
        >>> import bioimageio_fn as fn
        >>> model = fn.load_model(fn.demo_model(), perform_io_checks=False)
        >>> print(tolerance_of(model, fn.model_contract(model).outputs[0], "onnx"))
        0.001 + 0.001 * |expected|, 100 of a million elements may differ by more
    """
    found = _described(description, output, weights_format)
    if found is None:
        return DISCRETE if is_discrete(output) else CONTINUOUS
    return Tolerance(0, 0, found.mismatched_per_million) if is_discrete(output) else found


def _described(description: Any, output: TensorContract, weights_format: str) -> Tolerance | None:
    config = description.config
    if isinstance(config, Mapping):  # format 0.4
        older = config.get("bioimageio")
        return _older(older if isinstance(older, Mapping) else {}, output, weights_format)
    for entry in _own_entries(config.bioimageio):
        formats, outputs = entry.weights_formats, entry.output_ids
        if (not formats or weights_format in formats) and _names(outputs, output):
            return _figures(entry)
    return _older(config.bioimageio.model_extra or {}, output, weights_format)


def _own_entries(config: Any) -> list[Any]:
    """The entries that an author wrote.

    Defaults are written into files, too, when these are saved, and then without the outputs that
    they are for: the first would hide `test_kwargs`, and the second, which is for labels.
    """
    entries = list(config.reproducibility_tolerance)
    saved = [CONTINUOUS, DISCRETE]
    if [_figures(entry) for entry in entries] == saved and not any(map(_is_limited, entries)):
        return []
    return entries


def _figures(entry: Any) -> Tolerance:
    return Tolerance(
        entry.relative_tolerance,
        entry.absolute_tolerance,
        entry.mismatched_elements_per_million,
    )


def _is_limited(entry: Any) -> bool:
    return bool(entry.weights_formats) or not isinstance(entry.output_ids or "", str)


def _names(outputs: Any, output: TensorContract) -> bool:
    if outputs == "any_discrete_output":
        return is_discrete(output)
    if outputs == "any_continuous_output":
        return not is_discrete(output)
    return not outputs or output.id in outputs


def _older(
    config: Mapping[str, Any], output: TensorContract, weights_format: str
) -> Tolerance | None:
    """Keywords of the tests of `bioimageio.core`, by weights format; `decimal` is that of NumPy."""
    by_format = config.get("test_kwargs")
    given = by_format.get(weights_format) if isinstance(by_format, Mapping) else None
    if not isinstance(given, Mapping) or is_discrete(output):
        return None
    decimal = given.get("decimal")
    if _is_number(decimal):
        return Tolerance(0, 1.5 * 10.0**-decimal, 0)
    named = ("relative_tolerance", "absolute_tolerance")
    relative, absolute = (
        given[name] if _is_number(given.get(name)) else default
        for name, default in zip(named, (CONTINUOUS.relative, CONTINUOUS.absolute), strict=True)
    )
    return Tolerance(relative, absolute, CONTINUOUS.mismatched_per_million)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
