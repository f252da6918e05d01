"""Statistics as JSON, in the form that `bioimageio.core` writes and reads.

What holds here: what is written and read again is the same, NaN and infinite values included; a
file is written whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileReadError
from ..files import existing_path, written_whole
from ..tensor import Tensor
from .measure import Measure, QuantileMethod

__all__ = ["dump_stat", "load_stat", "parse_stat", "save_stat"]


def save_stat(stat: Mapping[Measure, Any], path: str | os.PathLike[str]) -> None:
    """Write values of measures to a JSON file, for `fixed_dataset_statistics` at another time.

    Args:
        stat: as `compute_dataset_measures` gives it.
        path: the file; it is replaced if it exists.

    Raises:
        FileWriteError: if it can not be written.

    Examples:
        >>> import tempfile
        >>> stat = {Measure("mean", "raw", scope="dataset"): 3.0}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_stat(stat, f"{folder}/stat.json")
        ...     load_stat(f"{folder}/stat.json") == {m: Tensor(v, "") for m, v in stat.items()}
        True
    """
    with written_whole(Path(path)) as temporary:
        temporary.write_text(dump_stat(stat), encoding="utf-8")


def load_stat(path: str | os.PathLike[str]) -> dict[Measure, Tensor]:
    """Read values of measures from a JSON file of this package or of `bioimageio.core`.

    Raises:
        MissingFileError: if there is no such file.
        FileReadError: if it is not one of statistics.
    """
    # what is no text has bytes that no JSON text has
    return parse_stat(existing_path(path).read_text(encoding="utf-8", errors="replace"))


def dump_stat(stat: Mapping[Measure, Any]) -> str:
    """The JSON text of values of measures.

    Examples:
        >>> dump_stat({Measure("mean", "raw"): 3.0})  # doctest: +ELLIPSIS
        '[{"measure": {"scope": "sample", "name": "mean", "member_id": "raw", ...'
    """
    return json.dumps([{"measure": _measure(m), "value": _value(v)} for m, v in stat.items()])


def parse_stat(text: str) -> dict[Measure, Tensor]:
    """The values of measures in a JSON text.

    Raises:
        FileReadError: if the text is not one of statistics.
    """
    try:
        entries = _listed(json.loads(text))
        return {m: _read_value(e["value"]) for e in entries for m in _read(e["measure"])}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileReadError(
            "these are not statistics",
            expected='a JSON list of {"measure": ..., "value": ...}',
            got=f"{type(error).__name__}: {error}",
        ) from error


def _listed(entries: Any) -> list[Any]:
    if not isinstance(entries, list):
        raise TypeError(type(entries).__name__)
    return entries


def _measure(measure: Measure) -> dict[str, Any]:
    described: dict[str, Any] = {
        "scope": measure.scope,
        "name": measure.name,
        "member_id": str(measure.member),
        "axes": None if measure.axes is None else list(map(str, measure.axes)),
    }
    if measure.name != "quantile":
        return described
    # of a data set's quantiles the other library knows no method; it passes over this one
    return described | {"q": measure.q, "method": measure.method}


def _read(described: Mapping[str, Any]) -> list[Measure]:
    """The measure of that description; of a quantile without a method, one for each method."""
    axes = described.get("axes")
    member, scope = described["member_id"], described["scope"]
    if described["name"] != "quantile":
        return [Measure(described["name"], member, axes, scope)]
    methods: list[QuantileMethod] = ["linear", "inverted_cdf"]
    method = described.get("method")
    return [
        Measure("quantile", member, axes, scope, q=described["q"], method=m)
        for m in (methods if method is None else [method])
    ]


def _value(value: Any) -> Any:
    tensor = value if isinstance(value, Tensor) else Tensor(np.asarray(value, np.float64), ())
    array = np.asarray(tensor, np.float64)
    if not tensor.axes:
        return float(array)
    return {"data": array.tolist(), "dims": list(map(str, tensor.axes))}


def _read_value(value: Any) -> Tensor:
    if not isinstance(value, Mapping):
        return Tensor(np.asarray(value, np.float64), ())
    # the other library writes null for NaN within lists
    array = np.asarray(np.array(value["data"], object), np.float64)
    return Tensor(array, value["dims"])
