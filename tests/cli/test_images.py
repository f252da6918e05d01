"""Which samples files, folders and globs stand for."""

import numpy as np
import pytest
from commands import MODEL, document, image, invoke
from descriptions import write
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.cli.images import Item, files_of, items_of, matched
from bioimageio_fn.errors import FileReadError, MissingFileError, MissingMemberError


def test_a_folder_stands_for_the_images_in_it(tmp_path):
    for name in ("b.tif", "a.NPY", "notes.txt", "._b.tif", "model.zip", "s.zarr.zip"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "z.zarr").mkdir()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c.tif").write_bytes(b"")

    found = files_of([str(tmp_path)])

    assert found == [str(tmp_path / n) for n in ("a.NPY", "b.tif", "s.zarr.zip", "z.zarr")]


def test_a_glob_stands_for_what_has_its_form_and_a_file_is_named_once(tmp_path):
    for name in ("a 1.npy", "a 2.npy", "b é.npy", "deeper/a 3.npy"):
        image(tmp_path / name)

    assert [len(files_of([str(tmp_path / g)])) for g in ("a*.npy", "**/*.npy")] == [2, 4]
    assert files_of([str(tmp_path / "a 1.npy")] * 2) == [str(tmp_path / "a 1.npy")]
    assert items_of([str(tmp_path / "*é.npy")], {}) == [Item("b é", str(tmp_path / "b é.npy"))]


def test_a_name_with_the_signs_of_a_glob_is_a_file_if_it_is_there(tmp_path):
    path = image(tmp_path / "a[1].npy")

    assert files_of([str(path)]) == [str(path)]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("gone.tif", MissingFileError, "no such file or folder: .*gone.tif"),
        ("gone.h5/raw", MissingFileError, "no such file or folder: .*gone.h5"),
        ("x*.tif", FileReadError, "no file has the form .*x\\*.tif"),
        ("empty", FileReadError, "there are no images in the folder .*; *|an empty folder"),
        ("texts", FileReadError, "got 2 .txt"),
    ],
)
def test_what_stands_for_no_image_is_an_error(tmp_path, name, error, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    for i in "ab":
        (tmp_path / "texts" / f"{i}.txt").touch()

    with pytest.raises(error, match=message):
        files_of([str(tmp_path / name)])


def test_images_of_one_name_are_refused_before_anything_runs(tmp_path):
    files = [image(tmp_path / folder / "a.npy") for folder in ("one", "two")]

    done = invoke("predict", MODEL, *files, "-o", tmp_path / "out")

    assert done.exit_code == 1
    assert "several images are named a, and their results would be, too" in done.stderr
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- several inputs


def test_one_file_for_each_input_is_a_sample_whatever_their_names():
    (item,) = matched({"raw": ["cells.tif"], "mask": ["where.npy"]})

    assert item == Item("cells", {"raw": "cells.tif", "mask": "where.npy"})


AROUND = st.sampled_from([("", ""), ("raw_", ""), ("", "_raw"), ("x_", "_2"), ("7", "7")])
WELLS = st.lists(
    st.builds("{}{:02}".format, st.sampled_from(["a", "b", "plate_a"]), st.integers(0, 20)),
    min_size=2,
    unique=True,
)


def pairs(names, around, random):
    """The pairs that are found if the names of one input are around those of the other."""
    before, behind = around
    masks = [f"{before}{name}{behind}.tif" for name in names]
    random.shuffle(masks)
    items = matched({"raw": [f"{name}.tif" for name in names], "mask": masks})
    return [(item.inputs["raw"], item.inputs["mask"]) for item in items], [
        (f"{name}.tif", f"{before}{name}{behind}.tif") for name in names
    ]


@given(WELLS, AROUND.filter(lambda around: around[0] != "7"), st.randoms())
def test_names_that_differ_by_what_all_of_an_input_share_belong_together(names, around, random):
    found, right = pairs(names, around, random)

    assert found == right


@given(
    st.lists(st.text("ab01_", min_size=1, max_size=5), min_size=2, unique=True),
    AROUND,
    st.randoms(),
)
def test_names_may_be_refused_but_are_never_paired_wrongly(names, around, random):
    try:
        found, right = pairs(names, around, random)
    except MissingMemberError:
        return

    assert found == right


@pytest.mark.parametrize(
    "masks",
    [["m1", "m3"], ["m1"], ["m1", "m2", "m3"], ["m10", "m20"], ["01", "02"]],
    ids=str,
)
def test_what_does_not_belong_together_by_name_is_refused(masks):
    files = {"raw": ["r1.tif", "r2.tif"], "mask": [f"{m}.tif" for m in masks]}

    with pytest.raises(MissingMemberError, match="do not belong together by their names"):
        matched(files)


def test_two_files_of_one_name_in_an_input_are_refused():
    with pytest.raises(FileReadError, match="several images of one input have the same name"):
        matched({"raw": ["a/1.tif", "b/1.tif"], "mask": ["1.tif", "2.tif"]})


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """A model that adds its two inputs."""
    from networks import described, network

    folder = tmp_path_factory.mktemp("two")
    inputs = ("raw", "aux")
    content, direct = network("onnx", folder / "n", inputs=inputs)
    return write(
        folder / "m", described("onnx", "0.5", inputs=inputs), weights={"onnx": content}
    ), direct


def test_several_inputs_are_predicted_together(of_two, tmp_path):
    model, direct = of_two
    arrays = {}
    for i, name in enumerate(("a", "b")):
        for j, kind in enumerate(("raw", "aux")):
            array = np.random.default_rng(2 * i + j).random((1, 1, 16, 16)).astype("float32")
            arrays[name, kind] = array
            (tmp_path / kind).mkdir(exist_ok=True)
            np.save(tmp_path / kind / f"{name}_{kind}.npy", array)

    said = document(
        *("predict", model, "--input", f"raw={tmp_path / 'raw'}"),
        *("--input", f"aux={tmp_path / 'aux' / '*.npy'}", "-o", tmp_path / "{sample_id}.npy"),
    )

    assert [s["id"] for s in said["samples"]] == ["a_raw", "b_raw"]
    for sample, name in zip(said["samples"], "ab", strict=True):
        (path,) = sample["outputs"].values()
        expected = direct(arrays[name, "raw"], arrays[name, "aux"])[0]
        np.testing.assert_allclose(np.load(path), expected, atol=1e-5)
