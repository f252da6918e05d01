"""What described processing gives, against bare NumPy in float64.

Each section is a number that a pipeline of this format has been seen to get wrong; the result that
is asked for is that of the format's text, and of decision 004 where the text is silent.
"""

import hashlib
import multiprocessing
import operator
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import attrs
import numpy as np
import pytest
import toolz
from descriptions import (
    axis05,
    build,
    image04,
    image05,
    model04,
    model05,
    ref,
    sized,
    sized04,
    step,
    step04,
    tensor04,
    tensor05,
)

import bioimageio_fn as fn
from bioimageio_fn.errors import (
    CastWarning,
    DescriptionError,
    HashMismatchError,
    OperationError,
    UntrustedCodeError,
)
from bioimageio_fn.stats.fold import finalize, init, merge, update

EPS = 1e-6
FLOAT32 = step("ensure_dtype", dtype="float32")
IMAGE = ["channel", "y", "x"]


def identity(*arrays):
    return arrays


def pipeline(model, backend=identity, **options):
    return fn.create_prediction_pipeline(build(model), backend=backend, **options)


def predicted(model, image, backend=identity, **options):
    """The only output for an image y, x (or for a whole array), without batch and channel."""
    result = pipeline(model, backend, **options)(image)
    return np.asarray(result)[0, 0] if np.ndim(image) == 2 else np.asarray(result)


def in_blocks(p, image, **shape):
    sample = fn.as_sample(image, p.contract)
    plan = fn.default_plan(p, sample, block_shape=shape)
    assert plan.count > 1
    return fn.run(p, sample, plan)


def noise(shape=(16, 20), dtype="float32", loc=0.0, scale=1.0, seed=0):
    return np.random.default_rng(seed).normal(loc, scale, shape).astype(dtype)


def normalised(x, eps=EPS):
    x = np.asarray(x, "float64")
    return (x - x.mean()) / (x.std() + eps)


def ranged(x, low=0.0, high=100.0, eps=EPS, reference=None):
    x = np.asarray(x, "float64")
    a, b = np.percentile(x if reference is None else reference, [low, high])
    return (x - a) / (b - a + eps)


def close(ours, theirs, atol=1e-5):
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-5, atol=atol)


# ---------------------------------------------------------------- 1: statistics of the own place


@pytest.mark.parametrize("where", ["pre", "post"])
@pytest.mark.parametrize(
    "model",
    [
        lambda where: image05(
            **{
                where: [
                    step("scale_linear", gain=100, offset=5),
                    step("zero_mean_unit_variance", axes=["y", "x"]),
                ]
            }
        ),
        lambda where: image04(
            **{
                where: [
                    step04("scale_linear", gain=100, offset=5, axes="cyx"),
                    step04("zero_mean_unit_variance", mode="per_sample", axes="yx"),
                ]
            }
        ),
    ],
    ids=["0.5", "0.4"],
)
def test_a_step_measures_the_tensor_that_reaches_it(model, where):
    image = noise(loc=3)

    result = predicted(model(where), image)

    close(result, normalised(image * 100.0 + 5))


def test_percentiles_behind_a_clip_are_those_of_the_clipped():
    steps = [
        step("clip", min_percentile=5, max_percentile=95, axes=IMAGE),
        step("scale_range", axes=IMAGE),
    ]
    image = noise()
    low, high = np.quantile(image, [0.05, 0.95], method="inverted_cdf")

    result = predicted(image05(pre=steps), image)

    close(result, ranged(np.clip(image, low, high)))
    assert result.min() == 0
    assert result.max() == pytest.approx(1, abs=1e-5)


# ---------------------------------------------------------------- 2: statistics behind the network


def clipped(x, *_):
    return np.clip(x, *np.quantile(x, [0.05, 0.9], method="inverted_cdf"))


def matched(x, raw):
    return normalised(x) * (raw.std() + EPS) + raw.mean()


POST = [
    (step("zero_mean_unit_variance", axes=IMAGE), lambda x, _: normalised(x)),
    (step("scale_range", axes=IMAGE, max_percentile=90), lambda x, _: ranged(x, 0, 90)),
    (step("clip", axes=IMAGE, min_percentile=5, max_percentile=90), clipped),
    (step("scale_mean_variance", axes=IMAGE, reference_tensor="raw"), matched),
    (
        step("scale_range", axes=IMAGE, reference_tensor="raw"),
        lambda x, raw: ranged(x, reference=raw),
    ),
]


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize(("post", "expected"), POST)
def test_postprocessing_measures_what_the_network_gave(post, expected, blocks):
    p = pipeline(image05(post=[post]), lambda a: (a * a + 7,))
    raw = noise()

    result = in_blocks(p, raw, x=8) if blocks else p(raw)

    raw = raw.astype("float64")
    close(np.asarray(result)[0, 0], expected(raw * raw + 7, raw))


@pytest.mark.parametrize("mode", ["per_sample", "per_dataset"])
@pytest.mark.parametrize(
    ("name", "expected"), [("scale_mean_variance", matched), ("scale_range", None)]
)
def test_postprocessing_of_0_4_may_refer_to_an_input(mode, name, expected):
    post = step04(name, mode=mode, axes="cyx", reference_tensor="raw")
    raw = noise(loc=5).astype("float32")

    result = predicted(image04(post=[post]), raw, lambda a: (a * a + 7,))

    x, raw = raw.astype("float64") ** 2 + 7, raw.astype("float64")
    close(result, ranged(x, reference=raw) if expected is None else expected(x, raw))


# ---------------------------------------------------------------- 3, 4: quantiles of a data set


SAMPLES = [noise(loc=loc, seed=loc) for loc in (0, 100, 200)]
ALL = np.concatenate(SAMPLES).astype("float64")


def as_samples(arrays):
    return [fn.Sample({"raw": fn.Tensor(a, "yx")}) for a in arrays]


@pytest.mark.parametrize("q", [0.0, 0.01, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("once", [False, True])
def test_quantiles_of_a_data_set_are_those_of_all_its_pixels(q, once):
    wanted = fn.Measure("quantile", "raw", scope="dataset", q=q, method="linear")
    samples = as_samples(SAMPLES)

    found = fn.compute_dataset_measures([wanted], iter(samples) if once else samples)

    value = np.quantile(ALL, q)
    assert float(found[wanted].data) == pytest.approx(value, rel=2**-14 if once else 1e-12)


@pytest.mark.parametrize("where", ["pre", "post"])
@pytest.mark.parametrize(
    "model",
    [
        lambda where: image05(**{where: [step("scale_range", min_percentile=1)]}),
        lambda where: image04(
            **{where: [step04("scale_range", mode="per_dataset", axes="cyx", min_percentile=1)]}
        ),
    ],
    ids=["0.5", "0.4"],
)
def test_a_pipeline_takes_the_percentiles_of_its_whole_data_set(model, where):
    p = pipeline(model(where), dataset_for_initial_statistics=SAMPLES)

    result = np.asarray(p(SAMPLES[1]))[0, 0]

    low, high = np.percentile(ALL, [1, 100])
    close(result, (SAMPLES[1].astype("float64") - low) / (high - low + EPS))


@pytest.mark.parametrize("where", ["pre", "post"])
def test_a_pipeline_clips_to_the_percentiles_of_its_whole_data_set(where):
    steps = [step("clip", min_percentile=20, max_percentile=60)]
    p = pipeline(image05(**{where: steps}), dataset_for_initial_statistics=SAMPLES)

    results = np.concatenate([np.asarray(r)[0, 0] for r in map(p, SAMPLES)])

    np.testing.assert_array_equal(
        results, np.clip(ALL, *np.quantile(ALL, [0.2, 0.6], method="inverted_cdf"))
    )


# ---------------------------------------------------------------- 5: statistics that are given


def two_images(first, second):
    axes = [axis05("b"), axis05("c", 1), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))]
    out = [*axes[:2], axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    return model05(
        [tensor05("raw", axes, steps=first), tensor05("aux", axes, steps=second)],
        [tensor05("out", out), tensor05("out2", out)],
    )


def test_given_statistics_hold_also_where_another_input_is_measured():
    model = two_images(
        [step("zero_mean_unit_variance")], [step("zero_mean_unit_variance", axes=["y", "x"])]
    )
    mean, std = (fn.Measure(name, "raw", scope="dataset") for name in ("mean", "std"))
    p = pipeline(model, fixed_dataset_statistics={mean: 0.0, std: 1.0})
    raw, aux = noise(loc=9.97), noise(loc=50, seed=1)

    result = p({"raw": raw, "aux": aux})

    close(result["out"].data[0, 0], raw.astype("float64") / (1 + EPS))
    close(result["out2"].data[0, 0], normalised(aux))


@pytest.mark.parametrize("dataset", [(), SAMPLES])
def test_of_two_statistics_the_given_one_is_used_and_the_other_measured(dataset):
    mean = fn.Measure("mean", "raw", scope="dataset")
    p = pipeline(
        image05(pre=[step("zero_mean_unit_variance")]),
        fixed_dataset_statistics={mean: 4.0},
        dataset_for_initial_statistics=dataset,
    )
    image = noise(loc=10)

    result = np.asarray(p(image))[0, 0]

    std = (ALL if dataset else image.astype("float64")).std()
    close(result, (image.astype("float64") - 4) / (std + EPS))


# ---------------------------------------------------------------- 6, 7: running statistics


def test_running_statistics_begin_with_the_initial_data_set():
    image = noise()
    p = pipeline(
        image05(pre=[step("zero_mean_unit_variance")]),
        dataset_for_initial_statistics=[image],
        keep_updating_initial_dataset_statistics=True,
    )
    pooled = np.concatenate([image, image + np.float32(1000)]).astype("float64")

    alone = p(image + np.float32(1000))
    (of_many,) = fn.predict_many(model=p, inputs=[image + np.float32(1000)])

    expected = (image + np.float32(1000) - pooled.mean()) / (pooled.std() + EPS)
    close(np.asarray(alone)[0, 0], expected)
    assert np.asarray(of_many).mean() == pytest.approx(1, abs=1e-3)
    assert alone == attrs.evolve(of_many, id=None)


def test_running_statistics_go_on_in_postprocessing_too():
    p = pipeline(
        image05(post=[step("scale_range")]),
        lambda a: (a * 2,),
        dataset_for_initial_statistics=SAMPLES[:1],
        keep_updating_initial_dataset_statistics=True,
    )

    results = [np.asarray(r)[0, 0] for r in fn.predict_many(model=p, inputs=SAMPLES[1:])]

    for n, result in enumerate(results, start=2):
        seen = np.concatenate(SAMPLES[:n]).astype("float64") * 2
        expected = (SAMPLES[n - 1] * 2.0 - seen.min()) / (np.ptp(seen) + EPS)
        close(result, expected, atol=2e-4)


def test_a_data_set_given_up_front_holds_for_every_image():
    images = [noise(loc=loc, seed=loc, scale=0.01) for loc in (1, 2, 3)]
    p = pipeline(
        image05(pre=[step("zero_mean_unit_variance")]), dataset_for_initial_statistics=images
    )

    means = [np.asarray(r).mean() for r in fn.predict_many(model=p, inputs=images)]

    assert means == pytest.approx([-1.2247, 0, 1.2247], abs=2e-3)


def test_without_a_data_set_each_image_joins_those_before_it():
    p = pipeline(image05(pre=[step("zero_mean_unit_variance")]))

    results = [np.asarray(r)[0, 0] for r in fn.predict_many(model=p, inputs=SAMPLES)]

    for n, result in enumerate(results, start=1):
        seen = np.concatenate(SAMPLES[:n]).astype("float64")
        close(result, (SAMPLES[n - 1] - seen.mean()) / (seen.std() + EPS))


# ---------------------------------------------------------------- 8, 9, 10: nothing is shared


def test_a_sample_with_new_pixels_has_its_own_statistics():
    p = pipeline(image05(pre=[step("zero_mean_unit_variance", axes=["y", "x"])]))
    sample = fn.as_sample(noise(), p.contract)
    first = fn.predict(model=p, inputs=sample)
    again = attrs.evolve(sample, members={"raw": fn.Tensor(sample["raw"].data * 100 + 7, "bcyx")})

    second = fn.predict(model=p, inputs=again)

    assert not sample.stat
    close(second, np.asarray(first))


def test_the_prediction_does_not_share_the_statistics_of_the_sample():
    p = pipeline(image05(pre=[step("zero_mean_unit_variance", axes=["y", "x"])]))
    mean = fn.Measure("mean", "raw", "yx")
    stat = {mean: fn.Tensor(np.array([[3.0]]), "bc")}
    sample = attrs.evolve(fn.as_sample(noise(), p.contract), stat=stat)

    result = fn.predict(model=p, inputs=sample)

    assert not result.stat
    assert dict(sample.stat) == stat
    assert list(stat) == [mean]


def test_interleaved_predictions_do_not_know_of_one_another():
    p = pipeline(image05(pre=[step("zero_mean_unit_variance")]))
    a, b = ([image * factor for image in SAMPLES] for factor in (1, -50))

    both = list(zip(*(fn.predict_many(model=p, inputs=i) for i in (a, b)), strict=True))

    assert [x for x, _ in both] == list(fn.predict_many(model=p, inputs=a))
    assert [x for _, x in both] == list(fn.predict_many(model=p, inputs=b))


MANY = [noise((8, 8), loc=i, seed=i) for i in range(200)]


@pytest.mark.parametrize("keep_updating", [False, True])
def test_predictions_in_threads_are_those_one_after_the_other(keep_updating):
    p = pipeline(
        image05(pre=[step("zero_mean_unit_variance")], post=[step("scale_range")]),
        dataset_for_initial_statistics=SAMPLES,
        keep_updating_initial_dataset_statistics=keep_updating,
    )

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(p, MANY))

    assert results == [p(image) for image in MANY]


def test_statistics_gathered_in_threads_are_those_of_all():
    measures = [fn.Measure(name, "raw", scope="dataset") for name in ("mean", "std")]
    measures.append(fn.Measure("quantile", "raw", scope="dataset", q=0.5, method="linear"))

    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda sample: update(init(measures), sample), as_samples(MANY)))
    mean, std, median = (float(v.data) for v in finalize(reduce(merge, parts)).values())

    everything = np.concatenate(MANY).astype("float64")
    assert (mean, std) == pytest.approx((everything.mean(), everything.std()), rel=1e-12)
    assert median == pytest.approx(np.median(everything), rel=2**-14)


def test_running_statistics_of_many_images_are_those_of_all():
    p = pipeline(image05(pre=[step("zero_mean_unit_variance")]))

    *_, last = fn.predict_many(model=p, inputs=MANY)

    everything = np.concatenate(MANY).astype("float64")
    expected = (MANY[-1] - everything.mean()) / (everything.std() + EPS)
    close(np.asarray(last)[0, 0], expected)


# ---------------------------------------------------------------- 11, 12, 13: keywords that count


@pytest.mark.parametrize("width", [3, 5])
@pytest.mark.parametrize("where", ["pre", "post"])
def test_thresholds_lie_along_their_axis(width, where):
    steps = [step("binarize", threshold=[5, 10, 15], axis="channel")]
    model = image05(channels=3, size=sized(3, 1), **{where: steps})
    image = noise((1, 3, 4, width), loc=10, scale=5)

    result = predicted(model, image)

    thresholds = np.reshape([5, 10, 15], (1, 3, 1, 1))
    np.testing.assert_array_equal(result, image > thresholds)


@pytest.mark.parametrize("eps", [0.1, 0.05])
@pytest.mark.parametrize(
    ("name", "expected"), [("zero_mean_unit_variance", normalised), ("scale_range", ranged)]
)
@pytest.mark.parametrize(
    "model",
    [
        lambda name, eps: image05(pre=[step(name, axes=["y", "x"], eps=eps)]),
        lambda name, eps: image05(post=[step(name, eps=eps)]),
        lambda name, eps: image04(pre=[step04(name, mode="per_sample", axes="yx", eps=eps)]),
        lambda name, eps: image04(post=[step04(name, mode="per_dataset", axes="cyx", eps=eps)]),
    ],
    ids=["0.5", "0.5 dataset", "0.4", "0.4 dataset"],
)
def test_eps_counts(model, name, expected, eps):
    image = noise(scale=0.1)

    result = predicted(model(name, eps), image)

    close(result, expected(image, eps=eps))


def test_eps_counts_beside_a_reference_tensor():
    post = step("scale_mean_variance", axes=IMAGE, reference_tensor="raw", eps=0.1)
    raw = noise(scale=0.1)

    result = predicted(image05(post=[post]), raw, lambda a: (a * 3,))

    raw = raw.astype("float64")
    close(result, normalised(raw * 3, eps=0.1) * (raw.std() + 0.1) + raw.mean())


def test_a_fixed_std_is_the_divisor():
    steps = [step("fixed_zero_mean_unit_variance", mean=0, std=1e-6)]

    result = predicted(image05(pre=steps), np.ones((8, 8), "float32"))

    np.testing.assert_allclose(result, 1e6, rtol=1e-6)


def test_in_0_4_eps_is_added_to_a_fixed_std():
    steps = [step04("zero_mean_unit_variance", mode="fixed", axes="cyx", mean=1, std=1, eps=0.1)]

    result = predicted(image04(pre=steps), np.full((8, 8), 12, "float32"))

    np.testing.assert_allclose(result, 10, rtol=1e-6)


# ---------------------------------------------------------------- 14, 15: constant images, NaN


@pytest.mark.parametrize("value", [1000.1, 60000.3, 0.1, 1e-30, -3e7])
@pytest.mark.parametrize("name", ["zero_mean_unit_variance", "scale_range"])
@pytest.mark.parametrize("axes", [IMAGE, ["batch", *IMAGE]], ids=["sample", "dataset"])
def test_a_constant_image_becomes_0(value, name, axes):
    image = np.full((40, 40), value, "float32")

    result = predicted(image05(pre=[step(name, axes=axes)]), image)

    assert not result.any()


@pytest.mark.parametrize("scope", [["y", "x"], ["batch", "channel", "y", "x"]])
@pytest.mark.parametrize(
    ("name", "expected"), [("zero_mean_unit_variance", normalised), ("scale_range", ranged)]
)
def test_a_missing_pixel_stays_one_and_changes_no_other(name, expected, scope):
    image = noise((40, 40))
    image[3, 4] = np.nan
    there = ~np.isnan(image)

    result = predicted(image05(pre=[step(name, axes=scope)]), image)

    close(result[there], expected(image[there]))
    assert np.isnan(result[3, 4])


def test_a_percentile_clip_lets_a_missing_pixel_through():
    image = noise((40, 40))
    image[3, 4] = np.nan
    there = ~np.isnan(image)
    low, high = np.quantile(image[there], [0.1, 0.9], method="inverted_cdf")

    result = predicted(
        image05(pre=[step("clip", min_percentile=10, max_percentile=90, axes=["y", "x"])]), image
    )

    np.testing.assert_array_equal(result, np.clip(image, low, high))


# ---------------------------------------------------------------- 16, 17, 18: types that go in


def as_uint8(*values):
    return np.full((8, 8), 7, "uint8") if not values else np.resize(values, (8, 8)).astype("uint8")


def test_sigmoid_of_integers_is_not_that_of_wrapped_ones():
    result = predicted(image05(dtype="uint8", pre=[step("sigmoid"), FLOAT32]), as_uint8(250, 10))

    np.testing.assert_allclose(result[0, :2], 1, atol=1e-4)


def test_sigmoid_and_scale_range_of_truth_values():
    image = noise()
    truth = (image > 0).astype("float64")
    binary = step("binarize", threshold=0)

    close(predicted(image05(post=[binary, step("sigmoid")]), image), 1 / (1 + np.exp(-truth)))
    close(predicted(image05(post=[binary, step("scale_range")]), image), truth)


def test_sigmoid_of_far_values_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = predicted(image05(post=[step("sigmoid")]), np.full((8, 8), -1000, "float32"))

    assert not result.any()


@pytest.mark.parametrize(
    "first", [step("ensure_dtype", dtype="uint8"), step("binarize", threshold=4)]
)
def test_softmax_of_integers_and_of_truth_values_sums_to_1(first):
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8)).astype("float32")

    result = predicted(image05(channels=3, post=[first, step("softmax")]), image)

    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-6)
    assert (result >= 0).all()


def test_a_cast_saturates_and_says_so_once():
    image = np.zeros((8, 8), "float32")
    image[0, :3] = -3, 300, np.nan

    with pytest.warns(CastWarning) as caught:
        result = predicted(image05(post=[step("ensure_dtype", dtype="uint8")]), image)

    assert result[0, :4].tolist() == [0, 255, 0, 0]
    assert len(caught) == 1


@pytest.mark.parametrize("where", ["dtype", "out_dtype"])
@pytest.mark.parametrize("image", [image05, image04])
def test_the_casts_of_the_format_saturate_too(image, where):
    pixels = np.full((8, 8), 65535, "uint16" if where == "dtype" else "float32")

    with pytest.warns(CastWarning):
        result = predicted(image(**{where: "uint8"}), pixels)

    assert (result == 255).all()


# ---------------------------------------------------------------- 19: types and memory that go out


MIB = 2**20
FLOAT_STEPS = [
    step("scale_range", axes=IMAGE),
    step("scale_range"),
    step("fixed_zero_mean_unit_variance", mean=1, std=2),
    step("scale_linear", gain=[2.0], offset=[1.0], axis="channel"),
    step("zero_mean_unit_variance"),
    step("zero_mean_unit_variance", axes=IMAGE),
    step("clip", min_percentile=1, max_percentile=99),
]


def is_quantile(given):
    return given["id"] in ("scale_range", "clip")


def room(given):
    """What may be held beside images: work in pieces; of quantiles of floats a fixed table."""
    return (62 if is_quantile(given) else 4) * MIB


def peak_of(function, *args):
    tracemalloc.start()
    result = function(*args)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak


@pytest.mark.parametrize("given", FLOAT_STEPS, ids=lambda s: s["id"])
@pytest.mark.parametrize("where", ["pre", "post"])
def test_float32_stays_float32_and_no_copy_is_made_but_the_result(given, where):
    chain = getattr(pipeline(image05(**{where: [given]})), f"{where}process")
    member = "raw" if where == "pre" else "out"
    side = 4096 if is_quantile(given) else 1024  # a copy has to be larger than the table
    image = np.zeros((1, 1, side, side), "float32")
    image[..., :64, :64] = noise((64, 64))
    sample = fn.Sample({member: fn.Tensor(image, "bcyx")})

    result, peak = peak_of(lambda: fn.apply(fn.fit(chain, sample), sample))

    assert result[member].dtype == "float32"
    assert peak < image.nbytes + room(given)


@pytest.mark.parametrize("given", FLOAT_STEPS, ids=lambda s: s["id"])
def test_a_prediction_holds_the_input_of_the_network_and_the_result(given):
    p = pipeline(image05(pre=[given]))
    image = noise((1, 1, 1024, 1024))
    p(image)

    result, peak = peak_of(p, image)

    assert result["out"].dtype == "float32"
    assert peak < 2 * image.nbytes + room(given)


def test_integers_clipped_to_percentiles_stay_integers():
    chain = pipeline(
        image05(
            dtype="uint8",
            pre=[step("clip", min_percentile=5, max_percentile=95, axes=IMAGE)],
        )
    ).preprocess
    pixels = np.random.default_rng(0).integers(0, 256, (1, 1, 16, 16)).astype("uint8")
    sample = fn.Sample({"raw": fn.Tensor(pixels, "bcyx")})

    result = fn.apply(fn.fit(chain[:2], sample), sample)["raw"]

    assert result.dtype == "uint8"
    np.testing.assert_array_equal(result.data, clipped_5_95(pixels))


def clipped_5_95(x):
    return np.clip(x, *np.quantile(x, [0.05, 0.95], method="inverted_cdf"))


# ---------------------------------------------------------------- 20: lone measures


@pytest.mark.parametrize("name", ["mean", "std", "var"])
@pytest.mark.parametrize("axes", [None, "yx", "x"])
@pytest.mark.parametrize("scope", ["sample", "dataset"])
def test_a_lone_measure_is_computed(name, axes, scope):
    wanted = fn.Measure(name, "raw", axes, scope)
    samples = as_samples([noise(loc=4)])
    compute = {"sample": fn.compute_sample_measures, "dataset": fn.compute_dataset_measures}[scope]

    found = compute([wanted], samples[0] if scope == "sample" else samples)

    over = 1 if axes == "x" else None
    expected = getattr(np, name)(noise(loc=4).astype("float64"), axis=over)
    assert list(found) == [wanted]
    np.testing.assert_allclose(found[wanted].data, expected, rtol=1e-12)
    assert fn.compute_measures([wanted], samples) == found


# ---------------------------------------------------------------- 21 to 24: casts of the format


def test_an_output_of_0_4_is_cast_behind_its_steps():
    mask = step04("binarize", threshold=0.5), step("binarize", threshold=0.5)
    image = np.random.default_rng(0).random((16, 16)).astype("float32")

    old = predicted(image04(post=[mask[0]], out_dtype="uint8"), image)
    new = predicted(image05(post=[mask[1]], out_dtype="uint8"), image)

    assert old.dtype == new.dtype == "uint8"
    np.testing.assert_array_equal(old, image > 0.5)
    np.testing.assert_array_equal(new, image > 0.5)


@pytest.mark.parametrize("steps", [[], [step04("sigmoid")]])
def test_every_input_of_0_4_reaches_the_network_as_float32(steps):
    seen = []

    def watch(*arrays):
        seen.extend(str(a.dtype) for a in arrays)
        return arrays

    shape = sized04([1, 1, 8, 8], [0, 0, 4, 4])
    model = model04(
        [
            tensor04("raw", "bcyx", shape, dtype="uint8", steps=steps),
            tensor04("aux", "bcyx", shape, dtype="uint8"),
        ],
        [tensor04(name, "bcyx", [1, 1, 8, 8]) for name in ("out", "out2")],
    )

    pipeline(model, watch)({"raw": as_uint8(), "aux": as_uint8()})

    assert seen == ["float32", "float32"]


@pytest.mark.parametrize("where", ["pre", "post"])
@pytest.mark.parametrize(
    ("gain", "offset"), [([2.0, 3.0], [1.0, 0.0]), ([2.0, 3.0], 5.0), (4.0, [7.0, 8.0])]
)
def test_scale_linear_of_0_4_goes_along_the_axis_that_is_left(where, gain, offset):
    steps = [step04("scale_linear", axes="yx", gain=gain, offset=offset)]
    image = noise((1, 2, 8, 12))

    result = predicted(image04(channels=2, **{where: steps}), image)

    along = [np.reshape(v, (1, -1, 1, 1)) for v in (gain, offset)]
    close(result, image.astype("float64") * along[0] + along[1])


def test_behind_a_last_binarize_the_described_type_holds():
    seen = []

    def watch(array):
        seen.append(str(array.dtype))
        return (array,)

    binary = [step("binarize", threshold=0)]
    result = predicted(image05(pre=binary, post=binary, out_dtype="uint8"), noise(), watch)

    assert seen == ["float32"]
    assert result.dtype == "uint8"
    np.testing.assert_array_equal(result, noise() > 0)


# ---------------------------------------------------------------- 25: custom code


CODE = b"""
import numpy as np

CALLS = []


class Mixed:
    def __init__(self, weights, offset=0):
        self.weights, self.offset = weights, offset
        assert isinstance(weights, list), weights

    def __call__(self, *arrays):
        CALLS.append([a.shape for a in arrays])
        return sum(w * a for w, a in zip(self.weights, arrays, strict=True)) + self.offset


def normalise():
    def run(array):
        array -= array.mean()
        return array
    return run


def count():
    return lambda array: np.asarray(len(np.unique(array)))


not_code = 3
"""


@pytest.fixture
def code(tmp_path):
    path = tmp_path / "post.py"
    path.write_bytes(CODE)
    return path


def custom(path, name, *, sha256=None, **kwargs):
    return {
        "id": "custom",
        "callable": name,
        "source": str(path),
        "sha256": sha256 or hashlib.sha256(CODE).hexdigest(),
        "kwargs": kwargs,
    }


def two_outputs(*, post):
    axes = [axis05("b"), axis05("c", 1), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))]
    out = [*axes[:2], axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    return model05(
        [tensor05("raw", axes)],
        [tensor05("first", out), tensor05("second", out, steps=post)],
    )


def pair(array):
    return array + 1, array * 10


def test_custom_code_gets_every_output_in_order_once_for_each_image(code):
    post = [custom(code, "Mixed", weights=[1, -2], offset=0.5)]
    p = pipeline(two_outputs(post=post), pair, trust_code=True)
    batch = noise((3, 1, 8, 12))
    calls = p.postprocess[1].load().__call__.__globals__["CALLS"]
    calls.clear()

    result = p(batch)

    assert calls == [[(1, 1, 8, 12)] * 2] * 3
    close(result["first"], batch + 1)
    close(result["second"], (batch + 1) - 20 * batch + 0.5)


def test_custom_code_runs_once_for_an_image_in_blocks_and_sees_all_of_it(code):
    p = pipeline(image05(post=[custom(code, "normalise")]), trust_code=True)
    image = noise((20, 28), loc=4)

    blocks, whole = in_blocks(p, image, y=8, x=8), p(image)

    close(np.asarray(blocks)[0, 0], image - image.mean(dtype="float64"))
    assert blocks == whole


@pytest.mark.parametrize("halo", [0, 2])
@pytest.mark.parametrize("shape", [(20, 28), (21, 17)])
def test_custom_code_sees_the_image_without_its_padding(code, shape, halo):
    p = pipeline(image05(halo=halo, post=[custom(code, "normalise")]), trust_code=True)
    image = noise(shape, loc=4)

    close(np.asarray(p(image))[0, 0], image - image.mean(dtype="float64"))


def test_custom_code_that_writes_to_what_it_gets_changes_no_other_tensor(code):
    kept = []

    def net(array):
        kept.append(array)
        return (array,)

    p = pipeline(image05(post=[custom(code, "normalise")]), net, trust_code=True)
    image = noise(loc=4)
    p(image)

    np.testing.assert_array_equal(kept[0][0, 0], noise(loc=4))


def test_custom_code_stands_among_other_steps(code):
    steps = [step("scale_linear", gain=2.0), custom(code, "normalise"), step("sigmoid")]

    result = predicted(image05(post=steps), noise(), trust_code=True)

    x = noise().astype("float64") * 2
    close(result, 1 / (1 + np.exp(x.mean() - x)))


def test_custom_code_does_not_run_without_consent(code):
    code.write_bytes(b"raise SystemExit('was run')")
    sha256 = hashlib.sha256(code.read_bytes()).hexdigest()
    model = build(image05(post=[custom(code, "normalise", sha256=sha256)]))

    with pytest.raises(UntrustedCodeError, match="trust_code=True"):
        fn.create_prediction_pipeline(model, backend=identity)
    with pytest.raises(UntrustedCodeError, match="trust_code=True"):
        fn.predict(model=model, inputs=noise())
    with pytest.raises(UntrustedCodeError, match="trust_code=True"):
        fn.predict_many(model=model, inputs=[noise()])


def test_custom_code_that_is_not_the_described_does_not_run(code):
    code.write_bytes(b"raise SystemExit('was run')")

    with pytest.raises(HashMismatchError):
        pipeline(image05(post=[custom(code, "normalise")]), trust_code=True)


def test_custom_code_that_was_changed_later_does_not_run(code):
    model = image05(post=[custom(code, "normalise")])
    p = pipeline(model, trust_code=True)
    before = p(noise())
    code.write_bytes(CODE + b"raise SystemExit('was run')")

    assert p(noise()) == before  # by the copy that was consented to
    with pytest.raises(HashMismatchError):
        pipeline(model, trust_code=True)


@pytest.mark.parametrize("name", ["absent", "not_code"])
def test_custom_code_that_is_not_defined_is_named(code, name):
    with pytest.raises(DescriptionError, match=rf"post.py.*expected a class or function {name}"):
        pipeline(image05(post=[custom(code, name)]), trust_code=True)


def test_custom_code_that_gives_another_shape_is_named(code):
    p = pipeline(image05(post=[custom(code, "count")]), trust_code=True)

    with pytest.raises(OperationError, match=r"tensor 'out', step 'count'.*got shape \(\)"):
        p(noise())


def test_a_pipeline_with_custom_code_runs_in_another_process(code):
    identity_ = toolz.juxt([toolz.identity])
    p = pipeline(image05(post=[custom(code, "normalise")]), identity_, trust_code=True)

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply(operator.call, (p, noise()))

    assert result == p(noise())


# ---------------------------------------------------------------- 26: softmax along a cut axis


@pytest.mark.parametrize("where", ["pre", "post"])
def test_softmax_along_a_blocked_axis_sums_over_all_of_it(where):
    p = pipeline(image05(**{where: [step("softmax", axis="y")]}))
    image = noise((24, 16))

    blocks, whole = in_blocks(p, image, y=8), p(image)

    np.testing.assert_allclose(np.asarray(blocks).sum(axis=2), 1, rtol=1e-5)
    close(blocks, np.asarray(whole), atol=1e-7)


@pytest.mark.parametrize("axis", ["y", "x"])
@pytest.mark.parametrize("halo", [0, 2])
@pytest.mark.parametrize("where", ["pre", "post"])
@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("shape", [(24, 16), (21, 17)])
def test_softmax_sums_over_the_image_without_halo_and_padding(axis, halo, where, blocks, shape):
    p = pipeline(image05(halo=halo, **{where: [step("softmax", axis=axis)]}))
    image = noise(shape)

    result = in_blocks(p, image, y=12) if blocks else p(image)

    exact = np.exp(image.astype("float64"))
    exact /= exact.sum(axis="yx".index(axis), keepdims=True)
    close(np.asarray(result)[0, 0], exact)
