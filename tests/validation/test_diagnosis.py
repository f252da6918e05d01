"""Every way to spoil an output gets its own name, and one that is not spoiled is the same."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from descriptions import axis05, contract_of, image05, model05, ref, sized, step, tensor05
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tampered import drawn

from bioimageio_fn.tensor import Tensor
from bioimageio_fn.validation.diagnosis import diagnose
from bioimageio_fn.validation.records import Tolerance
from bioimageio_fn.validation.tolerating import within

USUAL, STRICT = Tolerance(1e-3, 1e-3, 100), Tolerance(0, 0, 0)
SHAPES = {"yx": (13, 9), "bcyx": (1, 2, 12, 9), "bczyx": (2, 1, 5, 7, 6), "byxc": (1, 8, 8, 3)}


@st.composite
def outputs(draw, low=-3.0, high=3.0, forms=tuple(SHAPES), dtypes=("float32", "float64")):
    """An output of a network, without structure, and a tolerance."""
    axes = draw(st.sampled_from(forms))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    array = rng.uniform(low, high, SHAPES[axes]).astype(draw(st.sampled_from(dtypes)))
    return Tensor(array, axes), draw(st.sampled_from([USUAL, STRICT]))


def found(produced, case, **options):
    expected, tolerance = case
    return diagnose(Tensor(produced, expected.axes), expected, tolerance, **options)


def array_of(case):
    return np.asarray(case[0])


NUMBERS = st.floats(-100, 100).filter(lambda x: abs(x) > 0.05)


# ---------------------------------------------------------------- nothing is wrong


@given(outputs())
def test_an_unspoiled_output_is_the_same(case):
    diagnosis = found(array_of(case).copy(), case)

    assert diagnosis.cause == "same"
    assert diagnosis.text == f"all {array_of(case).size} elements are equal"


@given(outputs(), st.sampled_from([-1e-3, -1e-4, 1e-5, 1e-3]))
def test_what_is_within_the_tolerance_is_the_same(case, off):
    expected, _ = case

    diagnosis = found(array_of(case) + np.float32(0.99 * off), (expected, USUAL))

    assert diagnosis.cause == "same"
    assert "the largest difference is" in diagnosis.text


# ---------------------------------------------------------------- values


@given(outputs(), NUMBERS)
def test_scaled(case, factor):
    assume(abs(factor - 1) > 0.05)
    array = array_of(case)

    diagnosis = found((array * factor).astype(array.dtype), case)

    assert diagnosis.cause == "scaled"
    said = float(diagnosis.text.removeprefix("it is ").removesuffix(" times what is expected"))
    assert said == pytest.approx(factor, rel=1e-4)


def test_one_times_what_is_expected_explains_nothing():
    produced, expected = (Tensor(np.array([[n]], "uint64"), "yx") for n in (2**63, 2**63 + 1))

    assert diagnose(produced, expected, Tolerance(0, 0, 0)).cause != "scaled"


@given(outputs(), NUMBERS)
def test_shifted(case, offset):
    array = array_of(case)

    assert found((array + offset).astype(array.dtype), case).cause == "shifted"


@given(outputs(), NUMBERS, NUMBERS)
def test_affine(case, factor, offset):
    assume(abs(factor - 1) > 0.05)
    array = array_of(case)

    assert found((array * factor + offset).astype(array.dtype), case).cause == "affine"


@given(outputs(0, 1))
def test_background_for_foreground(case):
    diagnosis = found(1 - array_of(case), case)

    assert diagnosis.cause == "affine"
    assert diagnosis.text == "it is -1 times what is expected + 1: background for foreground"


@given(outputs(), st.floats(-2.5, -0.1), st.floats(0.1, 2.5), st.sampled_from(["both", "low"]))
def test_clipped(case, low, high, bounds):
    clipped = np.clip(array_of(case), low, high if bounds == "both" else None)

    diagnosis = found(clipped, case)

    assert diagnosis.cause == "clipped"
    assert diagnosis.text.startswith("values are cut off at -")


@given(outputs(), st.floats(-2.5, -0.1), st.floats(0.1, 2.5))
def test_not_clipped(case, low, high):
    expected, tolerance = case
    array = array_of(case)

    diagnosis = found(array, (Tensor(np.clip(array, low, high), expected.axes), tolerance))

    assert diagnosis.cause == "clipped"
    assert diagnosis.text.startswith("values are not cut off at -")


def sigmoid(array):
    return 1 / (1 + np.exp(-array.astype("float64")))


def softmax(array, axis):
    powers = np.exp(array.astype("float64"))
    return powers / powers.sum(axis, keepdims=True)


def activation(name, axes):
    functions = {"relu": lambda a: np.maximum(a, 0), "sigmoid": sigmoid}
    return functions.get(name, lambda a: softmax(a, axes.index("channel")))


@given(outputs(forms=("bcyx", "byxc")), st.sampled_from(["sigmoid", "softmax", "relu"]))
def test_a_missing_activation(case, name):
    logits, tolerance = case
    expected = activation(name, logits.axes)(array_of(case)).astype(logits.dtype)
    if name != "relu":
        tolerance = USUAL  # a float32 does not undo to the last bit

    diagnosis = found(array_of(case), (Tensor(expected, logits.axes), tolerance))

    assert diagnosis.cause == "missing activation"
    assert diagnosis.text == f"a {name} is missing at the end"


@given(outputs(forms=("bcyx", "byxc")), st.sampled_from(["sigmoid", "softmax", "relu"]))
def test_an_activation_too_many(case, name):
    expected, _ = case
    doubled = activation(name, expected.axes)(array_of(case)).astype(expected.dtype)

    diagnosis = found(doubled, (expected, USUAL))

    assert diagnosis.cause == "missing activation"
    assert diagnosis.text == f"a {name} is one too many at the end"


@given(
    outputs(-500, 500),
    st.sampled_from(["uint8", "int8", "uint16", "int16", "int32"]),
    st.booleans(),
)
def test_values_that_were_cast(case, dtype, as_float):
    array = array_of(case)
    cast = array.astype("int64").astype(dtype)

    diagnosis = found(cast.astype(array.dtype) if as_float else cast, case)

    assert diagnosis.cause == "other dtype"
    assert "the values were cast to" in diagnosis.text
    assert "(cut off" in diagnosis.text


@given(outputs(0, 1), st.sampled_from(["uint8", "int16"]))
def test_probabilities_that_were_cast_to_integers_are_gone(case, dtype):
    assert found(array_of(case).astype(dtype), case).cause == "other dtype"


@given(outputs())
def test_half_precision(case):
    expected, _ = case
    array = array_of(case)

    diagnosis = found(array.astype("float16").astype(array.dtype), (expected, STRICT))

    assert diagnosis.cause == "other dtype"
    assert diagnosis.text == "the values were cast to float16 (rounded)"


def test_right_values_of_another_type():
    expected = Tensor(np.eye(4, dtype="uint8"), "yx")
    (described,) = contract_of(image05(space="yx", out_dtype="uint8")).outputs

    diagnosis = found(np.eye(4, dtype="float32"), (expected, STRICT), described=described)

    assert diagnosis.cause == "other dtype"
    assert diagnosis.text == "the values are right, but float32 instead of uint8"
    assert found(np.eye(4, dtype="uint8"), (expected, STRICT), described=described).cause == "same"


@given(outputs(), st.integers(0, 2**32 - 1), st.floats(1e-3, 3e-3))
def test_noise(case, seed, width):
    expected, _ = case
    array = array_of(case)
    noise = np.random.default_rng(seed).normal(0, width * array.std(), array.shape)

    diagnosis = found((array + noise).astype(array.dtype), (expected, STRICT))

    assert diagnosis.cause == "noise"
    enough = float(diagnosis.text.split()[-1])
    again = found((array + noise).astype(array.dtype), (expected, Tolerance(0, enough, 0)))
    assert again.cause == "same"


@pytest.mark.parametrize(
    ("cause", "spoiled"),
    [
        ("scaled", lambda a: 3 * a),
        ("shifted", lambda a: a - 7),
        ("affine", lambda a: 2 * a + 1),
        ("clipped", lambda a: np.clip(a, -1, 0.5)),
        ("other dtype", np.trunc),
        ("missing activation", lambda a: softmax(a, 1).astype("float32")),
        ("noise", lambda a: a + np.float32(0.004) * np.sin(1e4 * a)),
        ("different", lambda a: a[::-1, ::-1] * a),
    ],
)
def test_large_tensors_are_told_as_small_ones_are(cause, spoiled):
    array = np.random.default_rng(0).uniform(-3, 3, (2, 3, 300, 400)).astype("float32")
    case = Tensor(array, "bcyx"), USUAL

    assert found(spoiled(array), case).cause == cause
    one = spoiled(array).copy()
    one[1, 2, 151, 233] += 1000  # what some of the elements do not tell
    if cause in ("scaled", "shifted", "affine", "clipped"):
        assert found(one, (case[0], STRICT)).cause != cause


# ---------------------------------------------------------------- places


@given(outputs(), st.data())
def test_transposed(case, data):
    array = array_of(case)
    order = data.draw(st.permutations(range(array.ndim)))
    long = [i for i in order if array.shape[i] > 1]
    assume(long != sorted(long))

    diagnosis = found(array.transpose(order), case)

    assert diagnosis.cause == "transposed"


@given(outputs(), st.data())
def test_flipped(case, data):
    array = array_of(case)
    long = [i for i, size in enumerate(array.shape) if size > 1]
    flips = data.draw(st.lists(st.sampled_from(long), unique=True, min_size=1))

    diagnosis = found(np.flip(array, flips), case)

    assert diagnosis.cause == "flipped"
    assert all(case[0].axes[i] in diagnosis.text for i in flips)


def test_what_is_said_of_turned_images():
    array = np.random.default_rng(0).random((1, 1, 6, 8)).astype("float32")
    case = Tensor(array, "bcyx"), USUAL

    swapped = found(array.transpose(0, 1, 3, 2), case)
    rotated = found(np.rot90(array, axes=(2, 3)), case)
    last = found(
        np.moveaxis(np.tile(array, (1, 2, 1, 1)) * [[[[1]], [[2]]]], 1, -1),
        (Tensor((np.tile(array, (1, 2, 1, 1)) * [[[[1]], [[2]]]]), "bcyx"), USUAL),
    )

    assert swapped.text == "axes x and y have changed places"
    assert rotated.cause == "transposed"
    assert rotated.text == "axes x and y have changed places; and it runs backwards along x"
    assert last.text == "what is described as batch, channel, y, x is batch, x, channel, y"


@given(outputs(), st.data())
def test_another_shape(case, data):
    array = array_of(case)
    axis = data.draw(st.sampled_from([i for i, s in enumerate(array.shape) if s > 2]))

    diagnosis = found(np.delete(array, 0, axis), case)

    assert diagnosis.cause == "shape"
    name, size = case[0].axes[axis], array.shape[axis]
    assert diagnosis.text == f"{name} is {size - 1} instead of {size}"


def test_a_halo_that_was_cut_off():
    array = np.random.default_rng(0).random((1, 20, 24))
    inner = array[:, 4:-4, 4:-4]

    cut = found(inner, (Tensor(array, "byx"), USUAL))
    kept = found(array, (Tensor(inner, "byx"), USUAL))
    other = found(array, (Tensor(inner + 1, "byx"), USUAL))
    fewer = found(array[0], (Tensor(inner[0], "yx"), USUAL))

    said = "y is 12 instead of 20, x is 16 instead of 24; the middle agrees, as if a halo had been"
    assert cut.text == f"{said} cut off"
    assert kept.text.startswith("y is 20 instead of 12, x is 24 instead of 16; the middle agrees")
    assert "the middle" not in other.text
    assert (fewer.cause, other.cause) == ("shape", "shape")


@given(outputs(), st.integers(0, 2**32 - 1))
def test_swapped_outputs(case, seed):
    other = np.random.default_rng(seed).random(array_of(case).shape)
    others = {"mask": case[0], "flow": Tensor(other, case[0].axes)}

    diagnosis = found(other.astype(case[0].dtype), case, others=others)

    assert diagnosis.cause == "swapped outputs"
    assert diagnosis.text == "this is what is expected of output 'flow'"


@given(outputs())
def test_statistics_of_the_raw_input(case):
    expected, _ = case
    produced = array_of(case) ** 3 + 0.5

    diagnosis = found(produced, case, from_raw_statistics=expected)
    neither = found(produced, case, from_raw_statistics=Tensor(produced, expected.axes))

    assert diagnosis.cause == "raw statistics"
    assert neither.cause != "raw statistics"


@given(outputs(), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 99))
def test_not_finite(case, value, where):
    expected, _ = case
    produced = array_of(case).copy()
    produced.flat[where] = value

    diagnosis = found(produced, (expected, Tolerance(1, 1, 1e6)))

    assert diagnosis.cause == "not finite"
    assert f"1 of {produced.size} elements, the first at " in diagnosis.text


@given(outputs(), st.integers(0, 2**32 - 1))
def test_something_else(case, seed):
    other = np.random.default_rng([seed, 1]).uniform(-3, 3, array_of(case).shape)

    diagnosis = found(other, case)

    assert diagnosis.cause == "different"
    assert "(correlation " in diagnosis.text
    assert "the largest difference is" in diagnosis.text


def test_what_is_said_of_a_network_that_is_dead():
    case = Tensor(np.random.default_rng(0).random((8, 8)), "yx"), USUAL

    assert found(np.zeros((8, 8)), case).text.startswith("it is 0 everywhere; the largest")


def test_what_differs_near_borders_only_is_said_to():
    array = np.random.default_rng(0).random((1, 1, 60, 80)).astype("float32")
    produced = array.copy()
    produced[..., :3, :] = produced[..., -2:] = 0

    diagnosis = found(produced, (Tensor(array, "bcyx"), USUAL))

    assert diagnosis.cause == "different"
    assert diagnosis.text.endswith("90 % of what differs lies within 3 pixels of a border")


# ---------------------------------------------------------------- labels


def labels_case(*fates, new=0, numbers=range(1, 30), dtype="int32"):
    # without a line, so that objects in rows are not what they are backwards
    expected, produced = (array[1:, 1:].astype(dtype) for array in drawn(fates, new, numbers))
    return produced, (Tensor(expected, "yx"), Tolerance(0, 0, 1000))


@given(st.permutations(range(1, 7)), st.sampled_from(["int32", "uint16", "int64"]))
def test_labels_with_other_numbers(numbers, dtype):
    assume(list(numbers) != sorted(numbers))
    produced, case = labels_case(*["same"] * 6, numbers=numbers, dtype=dtype)

    diagnosis = found(produced, case)

    assert diagnosis.cause == "labels permuted"
    assert diagnosis.text == "all 6 objects are the same; the numbers are others"


@given(st.lists(st.sampled_from(["same", "split", "merged", "missing", "changed"]), min_size=2))
@settings(max_examples=30)
def test_labels_of_other_objects(fates):
    fates = [*fates[:6], "same", "same"]
    assume(set(fates) != {"same"})
    produced, case = labels_case(*fates)

    diagnosis = found(produced, case)

    assert diagnosis.cause == "labels differ"
    assert diagnosis.text.startswith(f"of {len(np.unique(case[0])) - 1} objects: ")


def test_borders_of_labels_within_the_tolerance():
    expected = np.kron(np.arange(1, 26).reshape(5, 5), np.pad(np.ones((60, 60), int), 5))
    produced = expected.copy()
    produced[5, 5:65] = 0
    case = Tensor(expected, "yx"), Tolerance(0, 0, 1000)

    diagnosis = found(produced, case)

    assert diagnosis.cause == "same"
    assert diagnosis.text == (
        "labels equal except borders: 0 objects changed; 60 of 122500 pixels differ"
    )


def test_one_object_with_another_number_is_scaled_unless_labels_are_described():
    axes = [axis05("b"), axis05("y", sized(16, 8)), axis05("x", sized(16, 8))]
    objects = step(
        "stardist_postprocessing",
        prob_threshold=0.5, nms_threshold=0.3, n_rays=8, grid=[1, 1], b=0,
    )  # fmt: skip
    out = [axis05("b"), axis05("c", 1), axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]
    model = model05([tensor05("raw", axes)], [tensor05("out", out, dtype="int32", steps=[objects])])
    (described,) = contract_of(model).outputs
    image = np.zeros((1, 1, 16, 16), "int32")
    image[..., 4:9, 4:9] = 1
    case = Tensor(image, "bcyx"), STRICT

    assert found(3 * image, case).cause == "scaled"
    assert found(3 * image, case, described=described).cause == "labels permuted"


@pytest.mark.parametrize("spoiled", [lambda a: a[::-1], lambda a: 2 * a, lambda a: a + 1])
def test_labels_that_are_spoiled_otherwise_are_not_called_other_labels(spoiled):
    _, case = labels_case("same", "same", "missing", "same", "changed", "missing")

    diagnosis = found(spoiled(array_of(case)), case)

    assert diagnosis.cause in ("flipped", "scaled", "shifted")


# ---------------------------------------------------------------- anything


DTYPES = ("bool", "uint8", "int16", "uint64", "int64", "float16", "float32", "float64")


@st.composite
def anything(draw):
    """Two tensors of any types and values, of the same shape or not."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    shapes = st.just(shape) | hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
    arrays = [
        draw(hnp.arrays(draw(st.sampled_from(DTYPES)), form)) for form in (shape, draw(shapes))
    ]
    return [Tensor(a, ["batch", "channel", "y", "x"][-a.ndim :]) for a in arrays]


@settings(max_examples=150)
@given(anything(), st.sampled_from([USUAL, STRICT, Tolerance(0, 0, 1e6)]))
def test_everything_has_a_diagnosis_and_only_what_agrees_is_the_same(tensors, tolerance):
    produced, expected = tensors

    diagnosis = diagnose(produced, expected, tolerance)

    assert diagnosis.text
    assert diagnosis.text != "it is 1 times what is expected"
    if diagnosis.cause == "same":
        assert within(np.asarray(produced), np.asarray(expected), tolerance)
    assert diagnose(expected, expected, tolerance).cause == "same"
