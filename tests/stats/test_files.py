"""Statistics in files: round trips, and what bioimageio.core writes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.errors import FileReadError, MissingFileError
from bioimageio_fn.stats.files import dump_stat, load_stat, parse_stat, save_stat
from bioimageio_fn.stats.measure import Measure
from bioimageio_fn.tensor import Tensor

numbers = st.floats(allow_nan=True, allow_infinity=True)
scopes = st.sampled_from(["sample", "dataset"])
axes = st.none() | st.lists(st.sampled_from(["batch", "channel", "y", "x"]), unique=True)
measures = st.one_of(
    st.builds(Measure, st.sampled_from(["mean", "std", "var"]), st.just("raw"), axes, scopes),
    st.builds(
        Measure,
        st.just("quantile"),
        st.sampled_from(["raw", "aux"]),
        axes,
        scopes,
        q=st.floats(0, 1),
        method=st.sampled_from(["linear", "inverted_cdf"]),
    ),
)
values = st.one_of(
    numbers.map(lambda v: Tensor(np.asarray(v), "")),
    st.lists(numbers, max_size=3).map(lambda v: Tensor(np.asarray(v, "float64"), "c")),
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=2).map(
        lambda v: Tensor(np.asarray(v), "zc")
    ),
)


@given(st.dictionaries(measures, values, max_size=4))
def test_what_is_written_is_read(stat):
    assert parse_stat(dump_stat(stat)) == stat


def test_files_are_replaced_whole(tmp_path):
    path = tmp_path / "stat.json"
    for value in (1.0, 2.0):
        stat = {Measure("mean", "raw", "yx"): value}
        save_stat(stat, path)
        assert {m: float(v.data) for m, v in load_stat(path).items()} == stat
    assert [p.name for p in tmp_path.iterdir()] == ["stat.json"]


# as bioimageio.core 0.11.0 writes it
THEIRS = """
[
  {"measure": {"member_id": "raw", "scope": "dataset", "name": "mean", "axes": null},
   "value": 3.5},
  {"measure": {"member_id": "raw", "scope": "sample", "name": "std", "axes": ["y", "x"]},
   "value": {"data": [[1.0, null]], "dims": ["batch", "channel"]}},
  {"measure": {"member_id": "raw", "scope": "sample", "name": "quantile", "q": 0.5,
               "axes": ["x", "y"], "method": "inverted_cdf"},
   "value": {"data": 3.0, "dims": []}},
  {"measure": {"member_id": "raw", "scope": "dataset", "name": "quantile", "q": 0.25, "axes": null},
   "value": NaN}
]
"""


def test_what_the_other_library_writes_is_read():
    nan = Tensor(np.asarray(np.nan), "")
    assert parse_stat(THEIRS) == {
        Measure("mean", "raw", scope="dataset"): Tensor(np.asarray(3.5), ""),
        Measure("std", "raw", "yx"): Tensor(np.array([[1, np.nan]]), "bc"),
        Measure("quantile", "raw", "yx", q=0.5, method="inverted_cdf"): Tensor(np.asarray(3.0), ""),
        # it knows no method: the value is for either
        Measure("quantile", "raw", scope="dataset", q=0.25, method="linear"): nan,
        Measure("quantile", "raw", scope="dataset", q=0.25, method="inverted_cdf"): nan,
    }


@pytest.mark.parametrize("content", [b"{", b"{}", b"[1]", b"\xff\xfe\x00", b'[{"measure": {}}]'])
def test_other_files_are_told_of(content, tmp_path):
    path = tmp_path / "stat.json"
    path.write_bytes(content)
    with pytest.raises(FileReadError, match="these are not statistics"):
        load_stat(path)
    with pytest.raises(MissingFileError):
        load_stat(tmp_path / "none.json")
