"""Where memory runs out, blocks get smaller, and what is finished is kept."""

import re

import numpy as np
import pytest
from descriptions import build, image05, turned_and_large05
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bioimageio_fn as fn
from bioimageio_fn.blocks.join import crop, gaussian, linear
from bioimageio_fn.errors import BackendError, OutOfMemoryError

SAID = {
    "Python": MemoryError("no room"),
    "PyTorch, CPU": RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't"
                                 " allocate memory: you tried to allocate 9 bytes."),
    "PyTorch, CUDA": type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."),
    "onnxruntime": RuntimeError("[ONNXRuntimeError] : 6 : bfc_arena.cc Failed to allocate memory"
                                " for requested buffer of size 9"),
    "TensorFlow": type("ResourceExhaustedError", (Exception,), {})("OOM when allocating"),
}  # fmt: skip


@pytest.fixture(autouse=True, params=["threads", "no threads"])
def threads(request, monkeypatch):
    """Blocks change hands alone, so that small images go through all threads; or they do not."""
    monkeypatch.setattr("bioimageio_fn.blocks.records.GROUP", request.param == "threads" or 2**30)


class Limited:
    """A network that adds one, has room for so many pixels, and counts what it ran."""

    def __init__(self, pixels, error=SAID["Python"], *, fails_from=0):
        self.pixels, self.error, self.fails_from = pixels, error, fails_from
        self.shapes, self.failed = [], 0

    def __call__(self, x):
        if x.size > self.pixels and len(self.shapes) >= self.fails_from:
            self.failed += 1
            raise self.error
        self.shapes.append(x.shape)
        return (x + 1,)


def noise(*shape):
    return np.random.default_rng(0).normal(5, 2, shape).astype("float32")


def pipeline_of(model, backend):
    return fn.create_prediction_pipeline(build(model), backend=backend)


@pytest.mark.parametrize("error", SAID.values(), ids=SAID)
def test_a9_blocks_shrink_until_they_fit_however_a_framework_says_it(error):
    net = Limited(1000, error)
    image = noise(1, 1, 100, 90)

    result = fn.run(pipeline_of(image05(halo=2), net), image)

    np.testing.assert_array_equal(result, image + 1)
    assert net.failed > 1
    assert 250 <= max(np.prod(s) for s in net.shapes) <= 1000


def test_a9_if_not_even_the_smallest_blocks_fit_the_error_says_so():
    with pytest.raises(OutOfMemoryError, match="also for the smallest blocks") as caught:
        fn.run(pipeline_of(image05(halo=2), Limited(10)), noise(1, 1, 100, 90))

    assert isinstance(caught.value, MemoryError)
    assert "no room" in str(caught.value)


def test_a_plan_that_was_given_is_kept():
    pipeline, image = pipeline_of(image05(halo=2), Limited(1000)), noise(1, 1, 100, 90)
    plan = fn.default_plan(pipeline, image, block_shape={"y": 64, "x": 64})

    with pytest.raises(OutOfMemoryError, match=r"shape \(1, 1, 64, 64\).*take smaller blocks"):
        fn.run(pipeline, image, plan)


def test_other_errors_stay_what_they_are():
    error = RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match=re.escape("shape mismatch")):
        fn.run(pipeline_of(image05(), Limited(10, error)), noise(1, 1, 40, 40))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.tuples(st.integers(20, 90), st.integers(20, 90)),
    first=st.integers(400, 3000),
    then=st.integers(150, 1500),
    after=st.integers(0, 12),
    post=st.sampled_from([[], [{"id": "sigmoid"}], [{"id": "softmax", "kwargs": {"axis": "y"}}]]),
    join=st.sampled_from([crop, crop, linear, gaussian]),
)
def test_what_is_finished_is_kept_and_the_result_is_that_of_the_whole(
    sizes, first, then, after, post, join
):
    net = Limited(then, fails_from=after)
    pipeline = pipeline_of(image05(halo=2, post=post), net)
    image = noise(1, 1, *sizes)
    told = []

    result = fn.run(
        pipeline,
        image,
        memory=fn.MemoryModel(fixed=0, per_pixel=1, limit=first),
        on_progress=lambda *n: told.append(n),
        join=join,
    )

    whole = pipeline_of(image05(halo=2, post=post), lambda x: (x + 1,))(image)
    np.testing.assert_allclose(result, whole, rtol=1e-5, atol=1e-6)
    assert told[-1][0] == told[-1][1]
    plans = [total for i, (_, total) in enumerate(told) if i == 0 or total != told[i - 1][1]]
    assert len(plans) == net.failed + 1
    # every block that ran was told as done, and none ran twice in one plan
    assert len(net.shapes) == len(told) - len(plans)


def test_finished_blocks_do_not_run_again():
    net = Limited(700, fails_from=6)
    image = noise(1, 1, 96, 96)
    pipeline = pipeline_of(image05(), net)
    told = []

    fn.run(
        pipeline,
        image,
        memory=fn.MemoryModel(fixed=0, per_pixel=1, limit=1024),
        on_progress=lambda *n: told.append(n),
    )

    resumed = next(n for i, n in enumerate(told) if n[1] != told[0][1])
    assert resumed[0] > 0
    before = 6 * net.shapes[0][2] * net.shapes[0][3]
    assert sum(np.prod(s) for s in net.shapes) < 96 * 96 + before / 2


def test_two_outputs_of_other_sizes_are_kept_alike():
    one = Limited(200, fails_from=3)

    def net(x):
        (y,) = one(x)
        return y.transpose(2, 0, 1), y.repeat(2, axis=1).repeat(2, axis=2)

    image = noise(1, 50, 41)
    memory = fn.MemoryModel(fixed=0, per_pixel=1, limit=500)
    result = fn.run(pipeline_of(turned_and_large05(), net), image, memory=memory)

    assert one.failed == 1
    np.testing.assert_array_equal(result["turned"], (image + 1).transpose(2, 0, 1))
    np.testing.assert_array_equal(result["large"], (image + 1).repeat(2, axis=1).repeat(2, axis=2))


def test_an_error_in_the_middle_of_a_wrong_network_is_not_taken_for_memory():
    pipeline = pipeline_of(image05(), lambda x: (x[..., :-1],))

    with pytest.raises(BackendError, match="of a size that its description does not say"):
        fn.run(pipeline, noise(1, 1, 40, 40))


@pytest.mark.parametrize(
    "memory",
    [fn.MemoryModel(fixed=0, per_pixel=0), fn.MemoryModel(fixed=10, per_pixel=1e-3, limit=100)],
    ids=str,
)
def test_blocks_get_smaller_whatever_is_known_of_memory(memory):
    with pytest.raises(OutOfMemoryError, match="also for the smallest blocks"):
        fn.run(pipeline_of(image05(), Limited(0)), noise(1, 1, 40, 40), memory=memory)


def test_an_output_for_which_there_is_no_memory_is_not_taken_for_too_large_blocks():
    net = Limited(10**9)

    def create(name, spec):
        raise MemoryError("Unable to allocate 37 GiB")

    with pytest.raises(OutOfMemoryError, match="the whole of an output.*37 GiB; let it be written"):
        fn.run(pipeline_of(image05(), net), noise(1, 1, 40, 40), create=create)
    assert len(net.shapes) == 1
