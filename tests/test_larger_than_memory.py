"""From file to file, block by block: what is in files, what is read, and what is left behind."""

import subprocess
import sys
import textwrap
import threading
import time

import attrs
import h5py
import numpy as np
import pytest
import tifffile
import zarr
from descriptions import axis05, build, image05, model05, ref, sized, step, tensor05
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import Recording

import bioimageio_fn as fn
from bioimageio_fn.arrays import is_lazy
from bioimageio_fn.errors import AxesError, FileWriteError
from bioimageio_fn.io.stores import scratch

BLOCKS = {"y": 32, "x": 32}
COUNT = 24
"""Blocks of that shape in the image below."""
PIXELS = np.random.default_rng(0).integers(0, 4096, (150, 101), dtype="uint16")
MEASURED = [step("zero_mean_unit_variance", axes=["y", "x"])]
CHAINS = {
    "nothing": ([], []),
    "on blocks": (MEASURED, [step("sigmoid")]),
    "measured behind the network": (MEASURED, MEASURED),
    "whole along y": ([], [step("softmax", axis="y"), *MEASURED]),
    "masks": (MEASURED, [step("binarize", threshold=0.5)]),
    "quantiles": ([], [step("scale_range", axes=["y", "x"], min_percentile=5, max_percentile=90)]),
}


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Each block changes hands alone, so that small images go through all threads."""
    monkeypatch.setattr("bioimageio_fn.blocks.records.GROUP", 1)
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("bioimageio_fn")]


class Counting:
    """A network that adds one, and counts the pixels that it was given."""

    def __init__(self):
        self.calls, self.pixels = 0, 0

    def __call__(self, x):
        self.calls += 1
        self.pixels += x.size
        return (x + 1,)


def pipeline_of(pre=(), post=(), net=None, **fields):
    model = image05(halo=2, pre=pre, post=post, **fields)
    if fields.get("out_dtype") == "bool":
        model["outputs"][0]["data"] = {"type": "bool", "values": [False, True]}
    return fn.create_prediction_pipeline(build(model), backend=net or Counting())


def write_zarr(path, version):
    array = zarr.create_array(
        path, shape=PIXELS.shape, chunks=(40, 30), dtype="uint16", zarr_format=version
    )
    array[...] = PIXELS
    return path


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("raw/0", data=PIXELS, chunks=(40, 30))
    return path / "raw" / "0"


def write_npy(path):
    np.save(path, PIXELS)
    return path


def write_tiff(path):
    tifffile.imwrite(path, PIXELS)
    return path


SOURCES = {
    "Zarr 2": lambda folder: write_zarr(folder / "in.zarr", 2),
    "Zarr 3": lambda folder: write_zarr(folder / "in.zarr", 3),
    "HDF5": lambda folder: write_hdf5(folder / "in.h5"),
    "NPY": lambda folder: write_npy(folder / "in.npy"),
    "TIFF": lambda folder: write_tiff(folder / "in.tif"),
}
NAMES = ("out.zarr", "out.h5", "out.h5/a/b", "out.npy", "out.tif", "out.ome.tif", "out.ome.zarr")


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("name", NAMES)
def test_from_file_to_file_it_is_the_same_as_in_memory(source, name, tmp_path):
    net = Counting()
    pipeline = pipeline_of(*CHAINS["on blocks"], net)
    expected = fn.run(pipeline, PIXELS)["out"]
    net.calls = 0

    result = fn.predict(
        model=pipeline,
        inputs=source(tmp_path),
        save_output_path=tmp_path / name,
        input_block_shape=BLOCKS,
    )

    assert net.calls == COUNT
    np.testing.assert_allclose(result["out"], expected, rtol=1e-6)
    assert result["out"].axes == expected.axes
    assert result["out"].dtype == "float32"
    stored = fn.read_image(tmp_path / name)
    np.testing.assert_array_equal(stored, np.asarray(result["out"]).reshape(stored.shape))


@pytest.mark.parametrize("name", NAMES[:2] + NAMES[3:])
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_steps_that_need_the_whole_are_run_part_by_part_behind_it(chain, name, tmp_path):
    net = Counting()
    pipeline = pipeline_of(*chain, net)
    expected = fn.run(pipeline, PIXELS)["out"]
    net.calls = 0

    result = fn.predict(
        model=pipeline,
        inputs=PIXELS,
        save_output_path=tmp_path / name,
        input_block_shape=BLOCKS,
    )

    assert net.calls == COUNT  # once for each block, and never again to measure
    assert result["out"].dtype == expected.dtype
    np.testing.assert_allclose(
        np.asarray(result["out"], "float64"), np.asarray(expected, "float64"), atol=1e-5
    )
    assert [p.name for p in tmp_path.iterdir()] == [name]  # no scratch space is left


def test_what_comes_back_reads_its_file_where_it_is_asked_for(tmp_path):
    path = tmp_path / "out.zarr"
    result = fn.predict(
        model=pipeline_of(), inputs=PIXELS, save_output_path=path, input_block_shape=BLOCKS
    )
    array = zarr.open_array(path, mode="r+")
    array[0, 0, 3, 4] = -1

    assert is_lazy(result["out"].data)
    assert np.asarray(result["out"].data[0, 0, 3, 4:6]).tolist() == [-1, PIXELS[3, 5] + 1]


def test_truth_values_come_back_as_such_from_a_format_that_has_none(tmp_path):
    pipeline = pipeline_of(post=[step("binarize", threshold=2000)], out_dtype="bool")
    result = fn.predict(
        model=pipeline,
        inputs=PIXELS,
        save_output_path=tmp_path / "out.tif",
        input_block_shape=BLOCKS,
    )

    assert result["out"].dtype == "bool"
    np.testing.assert_array_equal(np.asarray(result)[0, 0], PIXELS + 1 > 2000)
    assert tifffile.imread(tmp_path / "out.tif").dtype == np.uint8


@pytest.mark.parametrize("name", [*NAMES, "out.png"])
def test_one_block_is_in_memory_and_in_the_file(name, tmp_path):
    post = [step("sigmoid"), step("binarize", threshold=0.5)]
    pipeline = pipeline_of(post=post, out_dtype="bool")
    result = fn.predict(model=pipeline, inputs=PIXELS, save_output_path=tmp_path / name)

    assert isinstance(result["out"].data, np.ndarray)
    stored = fn.read_image(tmp_path / name)
    np.testing.assert_array_equal(stored != 0, np.asarray(result).reshape(stored.shape))


@pytest.mark.parametrize(("chain", "passes"), [("nothing", 1), ("on blocks", 2),
                                               ("measured behind the network", 2)])  # fmt: skip
def test_each_pixel_is_read_once_for_each_pass_and_again_only_in_halos(chain, passes, tmp_path):
    source = Recording(PIXELS[None, None])
    pipeline = pipeline_of(*CHAINS[chain])
    plan = fn.default_plan(pipeline, source, block_shape=BLOCKS)
    assert source.reads.sum() == 0

    fn.predict(
        model=pipeline,
        inputs=source,
        save_output_path=tmp_path / "out.zarr",
        input_block_shape=BLOCKS,
    )

    assert source.reads.min() == passes
    assert source.reads.mean() <= passes + plan.waste


# ---------------------------------------------------------------- when it goes wrong


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("chain", ["on blocks", "measured behind the network"])
def test_what_is_stopped_leaves_nothing_and_what_stood_there_remains(name, error, chain, tmp_path):
    pipeline = pipeline_of(*CHAINS[chain])
    path = tmp_path / name
    fn.predict(model=pipeline, inputs=PIXELS, save_output_path=path)
    before = fn.read_image(path)

    def stop(done, total):
        if done == 20:
            raise error("stop")

    with pytest.raises(error, match="stop"):
        fn.predict(
            model=pipeline,
            inputs=PIXELS[::-1],
            save_output_path=path,
            overwrite=True,
            input_block_shape=BLOCKS,
            on_progress=stop,
        )

    np.testing.assert_array_equal(fn.read_image(path), before)
    assert [p.name for p in tmp_path.iterdir()] == [name.partition("/")[0]]


def test_nothing_is_written_to_what_a_user_made_once_an_error_is_out():
    target, pipeline = np.zeros((1, 1, *PIXELS.shape), "float32"), pipeline_of()
    plan = fn.default_plan(pipeline, PIXELS, block_shape=BLOCKS)

    def stop(done, total):
        if done == 3:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fn.run(pipeline, PIXELS, plan, create=lambda name, spec: target, on_progress=stop)
    before = target.copy()
    time.sleep(0.05)

    assert np.array_equal(target, before)
    assert (target == 0).mean() > 0.4


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("opened", [str, fn.open_image, "elsewhere", "linked"])
def test_an_image_is_not_overwritten_by_what_is_made_of_it(source, opened, tmp_path):
    path = source(tmp_path)
    folder = next(tmp_path.iterdir())
    inputs = opened(path) if callable(opened) else path
    if opened == "elsewhere":
        (tmp_path / "sub").mkdir()
        inputs = tmp_path / "sub" / ".." / path.relative_to(tmp_path)
    if opened == "linked":
        link = tmp_path / f"link{folder.suffix}"
        link.symlink_to(folder)
        inputs = link / path.relative_to(folder)

    with pytest.raises(FileWriteError, match="would overwrite the image|other datasets"):
        fn.predict(model=pipeline_of(), inputs=inputs, save_output_path=folder)
    np.testing.assert_array_equal(fn.read_image(path), PIXELS)


@pytest.mark.parametrize("source", ["Zarr 2", "Zarr 3", "NPY", "TIFF"])
def test_none_of_many_images_is_overwritten(source, tmp_path):
    path = SOURCES[source](tmp_path)
    pattern = tmp_path / f"{{sample_id}}{path.suffix}"

    with pytest.raises(FileWriteError, match="would overwrite the image"):
        list(fn.predict_many(model=pipeline_of(), inputs=[path], save_output_path=pattern))
    np.testing.assert_array_equal(fn.read_image(path), PIXELS)


def test_arrays_of_other_libraries_and_memory_maps_are_not_overwritten(tmp_path):
    paths = {name: SOURCES[name](tmp_path) for name in ("Zarr 3", "HDF5", "NPY")}
    with h5py.File(tmp_path / "in.h5") as file:
        arrays = {
            "Zarr 3": zarr.open_array(paths["Zarr 3"], mode="r"),
            "HDF5": file["raw/0"],
            "NPY": np.load(paths["NPY"], mmap_mode="r"),
        }
        for name, array in arrays.items():
            place = tmp_path / "in.h5" / "raw" / "0" if name == "HDF5" else paths[name]
            with pytest.raises(FileWriteError, match="would overwrite the image"):
                fn.predict(model=pipeline_of(), inputs=array, save_output_path=place)


def test_of_several_outputs_either_all_are_there_or_none(tmp_path):
    follow = [axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    raw = tensor05("raw", [axis05("y", sized(8, 4)), axis05("x", sized(8, 4))])
    model = build(model05([raw], [tensor05("a", follow), tensor05("b", follow)]))
    net = Counting()
    pipeline = fn.create_prediction_pipeline(model, backend=lambda x: (net(x)[0], x))
    (tmp_path / "a.npy").mkdir()

    with pytest.raises(FileWriteError, match="a folder stands there"):
        fn.predict(
            model=pipeline,
            inputs=PIXELS,
            save_output_path=tmp_path / "{output_id}.npy",
            input_block_shape=BLOCKS,
        )
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]
    assert net.calls == 0


def test_code_that_is_no_transform_gets_arrays_not_files(tmp_path):
    def doubled(sample):
        return fn.Sample({n: fn.Tensor(t.data * 2, t.axes) for n, t in sample.members.items()})

    pipeline = pipeline_of()
    pipeline = attrs.evolve(pipeline, preprocess=(doubled,), postprocess=(doubled,))
    result = fn.predict(
        model=pipeline,
        inputs=write_npy(tmp_path / "in.npy"),
        save_output_path=tmp_path / "out.npy",
        input_block_shape=BLOCKS,
    )

    np.testing.assert_array_equal(np.asarray(result)[0, 0], (PIXELS * 2 + 1.0) * 2)


def test_scratch_space_lies_beside_the_result_also_where_its_folder_is_named_by_the_output(
    tmp_path,
):
    pipeline = pipeline_of(*CHAINS["measured behind the network"])
    seen = []
    fn.predict(
        model=pipeline,
        inputs=PIXELS,
        save_output_path=tmp_path / "{output_id}" / "res.zarr",
        input_block_shape=BLOCKS,
        on_progress=lambda *n: seen.append([p.parent.name for p in tmp_path.rglob("*.npy")]),
    )

    assert any(seen)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["res.zarr"]


def test_arrays_in_one_file_have_names_of_their_own(tmp_path):
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        file["a/raw"] = PIXELS
        file["b/raw"] = PIXELS + 1
    inputs = [tmp_path / "cells.h5" / name / "raw" for name in "ab"]
    results = fn.predict_many(
        model=pipeline_of(), inputs=inputs, save_output_path=tmp_path / "{sample_id}.npy"
    )

    assert [result.id for result in results] == ["cells_a_raw", "cells_b_raw"]
    assert (tmp_path / "cells_a_raw.npy").exists()


def test_several_paths_are_for_predict_many(tmp_path):
    with pytest.raises(AxesError, match="several images are several samples.*call predict_many"):
        fn.predict(model=pipeline_of(), inputs=[write_npy(tmp_path / "in.npy")])


def test_outputs_in_one_file_are_refused(tmp_path):
    follow = [axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    raw = tensor05("raw", [axis05("y", sized(8, 4)), axis05("x", sized(8, 4))])
    model = build(model05([raw], [tensor05("a", follow), tensor05("b", follow)]))
    pipeline = fn.create_prediction_pipeline(model, backend=lambda x: (x, x + 1))

    with pytest.raises(FileWriteError, match="several outputs would be written to the same file"):
        fn.predict(
            model=pipeline, inputs=PIXELS, save_output_path=tmp_path / "out.h5" / "{output_id}"
        )

    result = fn.predict(
        model=pipeline,
        inputs=PIXELS,
        save_output_path=tmp_path / "{output_id}.zarr",
        input_block_shape=BLOCKS,
    )
    np.testing.assert_array_equal(result["b"], PIXELS + 1)
    assert {p.name for p in tmp_path.iterdir()} == {"a.zarr", "b.zarr"}


def test_many_samples_are_written_while_they_are_made(tmp_path):
    post = [step("zero_mean_unit_variance", axes=["batch", "channel", "y", "x"])]
    pipeline = pipeline_of(pre=post)
    images = [PIXELS, PIXELS[::-1] // 2]
    expected = list(fn.predict_many(model=pipeline, inputs=images))

    written = fn.predict_many(
        model=pipeline,
        inputs=images,
        save_output_path=tmp_path / "{sample_id}.zarr",
        input_block_shape=BLOCKS,
    )

    for mine, theirs in zip(written, expected, strict=True):
        assert is_lazy(mine["out"].data)
        np.testing.assert_allclose(mine["out"], theirs["out"], atol=1e-5)


# ---------------------------------------------------------------- any chain, any blocks


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chain=st.sampled_from(list(CHAINS)),
    sizes=st.tuples(st.integers(20, 60), st.integers(20, 60)),
    blocks=st.tuples(st.sampled_from([12, 16, 24]), st.sampled_from([12, 20, 64])),
)
def test_what_is_created_holds_what_would_be_in_memory(chain, sizes, blocks):
    pipeline = pipeline_of(*CHAINS[chain])
    image = PIXELS[: sizes[0], : sizes[1]]
    plan = fn.default_plan(pipeline, image, block_shape=dict(zip("yx", blocks, strict=True)))
    with scratch() as create:
        made = fn.run(pipeline, image, plan, create=create, scratch=create)["out"]
        held = fn.run(pipeline, image, plan)["out"]

        assert (made.axes, made.shape, made.dtype) == (held.axes, held.shape, held.dtype)
        np.testing.assert_allclose(
            np.asarray(made, "float64"), np.asarray(held, "float64"), atol=1e-6
        )


# ---------------------------------------------------------------- memory

LARGE = """
    import tempfile, numpy as np, psutil, zarr
    import bioimageio_fn as fn
    from bioimageio_fn.memory import metered
    from descriptions import build, image05, step

    post = [step("zero_mean_unit_variance", axes=["y", "x"]), step("ensure_dtype", dtype="float32")]
    model = build(image05(halo=2, pre=post, post=post))
    with tempfile.TemporaryDirectory() as folder:
        source = zarr.create_array(
            f"{folder}/in.zarr", shape=(8192, 6144), chunks=(1024, 1024), dtype="uint16"
        )
        for y in range(0, 8192, 1024):
            source[y : y + 1024] = np.arange(1024 * 6144, dtype="uint16").reshape(1024, 6144) + y
        pipeline = fn.create_prediction_pipeline(model, backend=lambda x: (x,))
        fn.predict(
            model=pipeline, inputs=source[:64, :64], save_output_path=f"{folder}/small.zarr"
        )
        with metered() as peak:
            before = psutil.Process().memory_info().rss
            fn.predict(
                model=pipeline,
                inputs=f"{folder}/in.zarr",
                save_output_path=f"{folder}/out.zarr",
                input_block_shape={"y": 1024, "x": 1024},
            )
            print((peak() - before) / 1e6)
"""


def test_an_image_of_100_mb_and_two_times_200_mb_of_outputs_take_little_of_that():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LARGE)],
        check=True,
        capture_output=True,
        text=True,
        cwd=__file__.rpartition("/")[0],
    )

    assert float(done.stdout) < 150
