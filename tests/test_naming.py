"""Outputs are named by a pattern; what can not be written is refused before the network runs."""

from pathlib import Path

import numpy as np
import pytest
from descriptions import build, contract_of, image05, turned_and_large05
from hypothesis import example, given
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.axes import MemberId
from bioimageio_fn.errors import FileWriteError
from bioimageio_fn.naming import check_paths, check_places, check_sizes, output_path
from bioimageio_fn.sample import Sample


def never(*_):
    raise AssertionError("the network was run")


def pipeline_of(net=never, **fields):
    return fn.create_prediction_pipeline(build(image05(**fields)), backend=net)


@given(*[st.text(max_size=20)] * 3)
@example("..", "../mask", "C:\\model")
@example("{output_id}", "{sample_id}", "{model_id}")
@example("", ".", "a/b")
def test_no_name_leads_out_of_the_folder(sample_id, output_id, model_id):
    pattern = "/out/{sample_id}/{model_id}-{output_id}.tif"

    path = output_path(pattern, sample_id=sample_id, output_id=output_id, model_id=model_id)

    assert path.parts[:2] == ("/", "out")
    assert ".." not in path.parts
    assert len(path.parts) == (4 if sample_id else 3)


@pytest.mark.parametrize("name", ["~", "~root", "~temporary"])
def test_a_name_that_begins_as_a_home_folder_is_none(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    sample = Sample({"mask": fn.Tensor([[1, 2]], "yx")}, id=name)

    (path,) = fn.save_sample(sample, "{sample_id}/{output_id}.npy")

    assert path == tmp_path / name / "mask.npy"
    assert fn.read_image(path).tolist() == [[1, 2]]


def test_a_name_that_is_longer_than_any_file_has_is_refused_before_the_network_runs(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    image = fn.write_image("x" * 250 + ".npy", fn.Tensor(np.zeros((20, 20)), "yx"))

    with pytest.raises(FileWriteError, match="xxx_out.*name too long"):
        fn.predict(model=pipeline_of(), inputs=image, save_output_path="{sample_id}_{output_id}.h5")
    with pytest.raises(FileWriteError, match="no file has such a name"):
        fn.predict(model=pipeline_of(), inputs=image, save_output_path="a\0b.h5")


def test_fields_are_filled_in_and_other_braces_stay():
    pattern = "{model_id}/{sample_id} {output_id} {member_id} {other} {0}.ome.tif"

    path = output_path(pattern, sample_id="Zelle µ 1", output_id="mask", model_id="cool-cat")

    assert path == Path("cool-cat/Zelle µ 1 mask mask {other} {0}.ome.tif")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "Nuclei 2D"}, "Nuclei 2D"),
        ({"id": "my-model"}, "my-model"),
        ({"id": "i", "config": {"bioimageio": {"nickname": "cool-cat"}}}, "cool-cat"),
    ],
)
def test_a_model_is_called_by_nickname_id_or_name(fields, expected, tmp_path):
    model = {**image05(), **fields}
    pipeline = fn.create_prediction_pipeline(build(model), backend=lambda x: (x,))

    assert pipeline.contract.id == expected
    fn.predict(
        model=pipeline,
        inputs=np.ones((32, 32), "float32"),
        save_output_path=tmp_path / "{model_id}_{output_id}.npy",
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"{expected}_out.npy"]


def test_an_output_has_no_input():
    with pytest.raises(FileWriteError, match="not one of an input.*{output_id}"):
        check_paths("{input_id}.tif", pipeline_of().contract)


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("a.ome.tif", {"out_dtype": "int64"}, "TIFF can not hold.*int64; write a .ome.zarr"),
        ("a.tif", {"out_dtype": "uint64"}, "TIFF can not hold.*uint64; write a .ome.zarr"),
        ("a.png", {"out_dtype": "float32"}, "PNG can not hold these values.*float32"),
    ],
)
def test_a_type_that_a_format_lacks_is_refused_by_the_description_alone(name, fields, reason):
    with pytest.raises(FileWriteError, match=reason):
        check_paths(name, pipeline_of(**fields).contract)


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif", "a.ome.zarr", "a.png"])
def test_several_images_of_a_batch_are_refused_before_the_network_runs(tmp_path, name):
    pipeline = pipeline_of(out_dtype="uint8")

    with pytest.raises(FileWriteError, match="batch.*3"):
        fn.predict(
            model=pipeline,
            inputs=np.ones((3, 1, 32, 32), "float32"),
            save_output_path=tmp_path / name,
        )

    assert list(tmp_path.iterdir()) == []


def test_an_axis_that_is_looped_over_is_one_of_the_file():
    contract = pipeline_of(out_dtype="uint8").contract
    sizes = {"batch": 1, "channel": 1, "y": 32, "x": 32}

    for name, extra, refused in [
        ("a.ome.tif", {"time": 9, "z": 5}, False),
        ("a.png", {"z": 5}, True),
        ("a.png", {"z": 1}, False),
        ("a.npy", {"index": 5}, False),
        ("a.ome.zarr", {"index": 5}, True),
    ]:
        known = {MemberId("out"): {**extra, **sizes}}
        if refused:
            with pytest.raises(FileWriteError, match=f"{next(iter(extra))}"):
                check_sizes(name, contract, known)
        else:
            check_sizes(name, contract, known)


@pytest.mark.parametrize("name", ["a.npy", "a.ome.tif", "a.ome.zarr", "a.zarr", "a.h5", "a.png"])
def test_what_is_there_is_replaced_only_if_that_is_allowed(tmp_path, name):
    contract = pipeline_of(out_dtype="uint8").contract
    path = tmp_path / name
    check_places(path, Sample({}), contract, overwrite=False)
    fn.write_image(path, fn.Tensor(np.zeros((4, 5), "uint8"), "yx"))

    check_places(path, Sample({}), contract, overwrite=True)
    with pytest.raises(FileWriteError, match=f"{name} is there already; write to another file"):
        check_places(path, Sample({}), contract, overwrite=False)


@pytest.mark.parametrize("pattern", ["new/../a.npy", "{output_id}/../{sample_id}.npy", "./a.npy"])
def test_an_image_is_safe_by_whatever_way_a_path_leads_to_it(tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tmp_path)
    fn.write_image("a.npy", fn.Tensor(np.zeros((20, 20)), "yx"))

    with pytest.raises(FileWriteError, match="this would overwrite the image"):
        fn.predict(model=pipeline_of(), inputs="a.npy", save_output_path=pattern, overwrite=True)


def test_outputs_are_two_by_whatever_way_their_paths_lead_to_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    contract = contract_of(turned_and_large05())

    with pytest.raises(FileWriteError, match="several outputs would be written to the same file"):
        check_paths("{output_id}/../a.npy", contract)


def test_labels_may_join_the_image_that_is_read_and_the_image_is_safe(tmp_path):
    pixels = np.random.default_rng(0).random((40, 50)).astype("float32")
    path = fn.write_image(tmp_path / "cells.ome.zarr", fn.Tensor(pixels, "yx"))
    post = [{"id": "binarize", "kwargs": {"threshold": 0.5}}]
    model = image05(post=post, out_dtype="bool")
    model["outputs"][0]["data"] = {"type": "bool", "values": [False, True]}
    pipeline = fn.create_prediction_pipeline(build(model), backend=lambda x: (x,))

    result = fn.predict(
        model=pipeline,
        inputs=path,
        save_output_path=path / "labels" / "{output_id}",
    )
    for source, place in [("", ""), ("0", ""), ("labels/out", "labels/out"), ("labels/out", "")]:
        with pytest.raises(FileWriteError, match="this would overwrite the image"):
            fn.predict(model=pipeline, inputs=path / source, save_output_path=path / place)

    labels = fn.read_image(path / "labels" / "out")
    np.testing.assert_array_equal(labels, np.asarray(result)[0, 0])
    np.testing.assert_array_equal(fn.read_image(path), pixels)
