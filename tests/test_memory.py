"""Memory is measured, and a limit is kept."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from descriptions import build, image05, step
from hypothesis import given
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.errors import BlockError, OutOfMemoryError
from bioimageio_fn.memory import bytes_of, kept_within, limit_of, measured_memory, metered

MB = 10**6


class Hungry:
    """A network that adds one, and holds so many bytes for each pixel while it runs."""

    def __init__(self, per_pixel=lambda pixels: 2000):
        self.per_pixel, self.pixels, self.closed = per_pixel, [], 0

    def __call__(self, x):
        held = np.ones(int(self.per_pixel(x.size)) * x.size, np.uint8)
        self.pixels.append(x.size)
        return (x + held[0],)

    def close(self):
        self.closed += 1


def pipeline_of(net, **fields):
    return fn.create_prediction_pipeline(build(image05(halo=2, **fields)), backend=net)


def image(side):
    return np.random.default_rng(0).normal(5, 2, (1, 1, side, side)).astype("float32")


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("1.5 g", 1.5e9), ("512MiB", 2**29), ("100", 100), (100, 100),
     ("8k", 8000), (" 3 tb ", 3 * 10**12)],
)  # fmt: skip
def test_an_amount_is_read_as_people_write_it(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-2GB", "2XB", "0", 0, -1, "1e9", True, None, "2 G B"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(BlockError, match="not an amount of memory.*such as 2GB"):
        bytes_of(text)


@given(st.integers(1, 10**15))
def test_bytes_are_read_exactly(number):
    assert bytes_of(number) == bytes_of(f"{number}") == bytes_of(f"{number} B") == number


def test_memory_that_is_freed_again_was_seen():
    with metered() as peak:
        before = peak()
        np.ones(200 * MB, np.uint8).sum()
        assert 200 * MB <= peak() - before < 300 * MB
        assert peak() - before < 100 * MB


def test_what_a_network_takes_for_each_pixel_is_measured():
    net = Hungry()
    pipeline = pipeline_of(net)
    limit = limit_of(pipeline, "4GB")
    model = measured_memory(pipeline, fn.as_sample(image(2000), pipeline.contract), limit)

    assert 1 <= len(net.pixels) <= 3
    assert max(net.pixels) <= 2**18
    # with a margin, and the arrays that wait before and behind the network
    assert 2000 <= model.per_pixel <= 4000
    assert net.closed == 1


def test_nothing_is_measured_that_would_not_be_within_the_limit():
    # so much for the first block that the system gives it anew, and nothing that was free
    net = Hungry(lambda pixels: 4000)
    pipeline = pipeline_of(net)
    limit = limit_of(pipeline, 120 * MB)
    measured_memory(pipeline, fn.as_sample(image(2000), pipeline.contract), limit)

    assert max(net.pixels) <= 2**14


def test_blocks_are_as_large_as_the_limit_allows():
    sizes = {}
    for limit in ("150MB", "400MB", "1GB"):
        net = Hungry()
        result = fn.predict(
            model=pipeline_of(net), inputs=image(900), memory_limit=limit, progressbar=False
        )
        np.testing.assert_array_equal(result, image(900) + 1)
        sizes[limit] = max(net.pixels) * 2000

    assert 30 * MB < sizes["150MB"] < 150 * MB
    assert 100 * MB < sizes["400MB"] < 400 * MB
    assert 200 * MB < sizes["1GB"] < 1000 * MB


def test_a9_blocks_get_smaller_if_they_take_more_than_small_ones_made_believe():
    net = Hungry(lambda pixels: 100 if pixels <= 2**18 else 2000)
    told = []
    result = fn.predict(
        model=pipeline_of(net),
        inputs=image(1500),
        memory_limit="350MB",
        on_progress=lambda *n: told.append(n),
        progressbar=False,
    )

    np.testing.assert_array_equal(result, image(1500) + 1)
    assert len({total for _, total in told}) > 1
    assert min(net.pixels[3:]) < max(net.pixels) > 2**18


def test_a9_a_limit_that_not_even_the_smallest_block_keeps_is_an_error():
    with pytest.raises((BlockError, OutOfMemoryError), match="memory"):
        fn.predict(
            model=pipeline_of(Hungry(lambda pixels: 10**6)),
            inputs=image(60),
            memory_limit="50MB",
            progressbar=False,
        )


def test_outputs_that_alone_are_too_large_are_refused_before_anything_runs():
    net = Hungry()
    with pytest.raises(BlockError, match=r"outputs alone take more.*save_output_path='out.zarr'"):
        fn.predict(model=pipeline_of(net), inputs=image(900), memory_limit="1MB")

    assert net.pixels == []


def test_a_block_shape_that_takes_more_than_the_limit_is_refused():
    with pytest.raises(BlockError, match="a block of this size takes more memory than it may"):
        fn.predict(
            model=pipeline_of(Hungry()),
            inputs=image(900),
            memory_limit="200MB",
            input_block_shape={"y": 800, "x": 800},
        )


def test_a_network_that_comes_near_the_limit_is_closed_and_named():
    net = Hungry()
    pipeline = pipeline_of(net)
    with kept_within(pipeline, limit_of(pipeline, 50 * MB)) as kept:
        assert kept.backend(np.ones((10, 10), "float32"))[0].max() == 2
        with pytest.raises(OutOfMemoryError, match="memory limit is as good as reached"):
            kept.backend(np.ones((300, 300), "float32"))
    assert net.closed == 1


KEPT = """
    import sys, tempfile, numpy as np, psutil, zarr
    import bioimageio_fn as fn
    from bioimageio_fn.memory import metered

    with tempfile.TemporaryDirectory() as folder:
        source = zarr.create_array(
            f"{folder}/in.zarr", shape=(1400, 1600), chunks=(512, 512), dtype="uint16"
        )
        source[...] = np.random.default_rng(0).integers(0, 4096, source.shape, dtype="uint16")
        with fn.create_prediction_pipeline(fn.demo_model(), weights_format=sys.argv[1]) as model:
            model(np.zeros((64, 64), "uint16"))  # so that nothing is left to be imported
            with metered() as peak:
                before = psutil.Process().memory_info().rss
                fn.predict(
                    model=model,
                    inputs=f"{folder}/in.zarr",
                    save_output_path=f"{folder}/out.zarr",
                    memory_limit=int(sys.argv[2]),
                )
                print(peak() - before)
"""


@pytest.mark.parametrize("weights_format", ["onnx", "torchscript"])
def test_a_limit_is_kept_by_the_whole_process(weights_format):
    limit = 200 * MB
    code = [sys.executable, "-c", textwrap.dedent(KEPT), weights_format, str(limit)]
    done = subprocess.run(code, check=True, capture_output=True, text=True)

    assert 20 * MB < int(done.stdout) <= limit


def test_a_limit_is_kept_where_outputs_have_many_channels(tmp_path):
    def net(x):
        return (np.repeat(x, 64, axis=1),)

    pipeline = fn.create_prediction_pipeline(build(image05(halo=2, out_channels=64)), backend=net)
    fn.predict(model=pipeline, inputs=image(64), save_output_path=tmp_path / "small.npy")
    source = image(1000)
    with metered() as peak:
        before = peak()
        result = fn.predict(
            model=pipeline,
            inputs=source,
            save_output_path=tmp_path / "out.npy",
            memory_limit="150MB",
            progressbar=False,
        )
        taken = peak() - before

    assert taken < 150 * MB  # the output has 256 MB
    np.testing.assert_array_equal(result["out"].data[0, 63, 500:510], source[0, 0, 500:510])


def test_pages_of_a_memory_map_of_the_user_do_not_count(tmp_path):
    pre = [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}}]
    np.save(tmp_path / "in.npy", image(5000))
    mapped = np.load(tmp_path / "in.npy", mmap_mode="r")
    pipeline = pipeline_of(lambda x: (x,), pre=pre)
    with metered() as peak:
        before = peak()
        fn.predict(
            model=pipeline,
            inputs=mapped,
            save_output_path=tmp_path / "out.npy",
            memory_limit="80MB",
            progressbar=False,
        )
        assert peak() - before < 80 * MB  # the image has 100 MB


def test_a_network_of_another_library_is_measured_with_its_arrays():
    seen = []

    def net(x):
        seen.append(type(x))
        return (torch.sigmoid(x),)

    result = fn.predict(
        model=pipeline_of(net),
        inputs=torch.zeros((1, 1, 100, 100)),
        memory_limit="1GB",
        progressbar=False,
    )

    assert set(seen) == {torch.Tensor}
    assert float(result["out"].data.max()) == 0.5


def test_objects_are_found_in_memory_and_count(tmp_path):
    stars = step(
        "stardist_postprocessing",
        prob_threshold=0.5,
        nms_threshold=0.3,
        n_rays=8,
        grid=[1, 1],
        b=0,
    )
    model, net = image05(halo=2, out_dtype="int32", post=[stars]), Hungry()
    with pytest.raises(BlockError, match="outputs alone take more.*objects are found in memory"):
        fn.predict(
            model=fn.create_prediction_pipeline(build(model), backend=net),
            inputs=image(2000),
            save_output_path=tmp_path / "labels.tif",
            memory_limit="50MB",
        )
    assert net.pixels == []
