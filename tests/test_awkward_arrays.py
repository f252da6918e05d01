"""Arrays that break array libraries, each in a fresh process with warnings as errors."""

import subprocess
import sys
import textwrap

import pytest

ARRAYS = {
    "upside down": "image[::-1]",
    "mirrored": "image[:, ::-1]",
    "Fortran order": "np.asfortranarray(image)",
    "big-endian": "image.astype('>u2')",
    "big-endian float": "image.astype('>f4')",
    "read-only": "read_only(image)",
    "channel last": "image[..., None]",
    "channel-last view": "np.moveaxis(image[None], 0, -1)",
    "strided": "np.repeat(image, 2, axis=1)[:, ::2]",
    "float16": "(image / 4).astype('float16')",
    "int64": "image.astype('int64')",
    "bool": "image > 500",
    "list": "image.tolist()",
}
HEAD = """
import numpy as np
import bioimageio_fn as fn

def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array

rng = np.random.default_rng(0)
image = rng.integers(0, 1000, (40, 50)).astype("uint16")
"""


def run_fresh(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("weights_format", ["onnx", "torchscript"])
def test_awkward_arrays_give_what_their_plain_copies_give(weights_format):
    code = f"""
    pipeline = fn.create_prediction_pipeline(fn.demo_model(), weights_format={weights_format!r})
    for name, array in {{{", ".join(f"{k!r}: {v}" for k, v in ARRAYS.items())}}}.items():
        plain = np.array(array, order="C")
        plain = plain.astype(plain.dtype.newbyteorder("=")).reshape(40, 50)
        before = np.array(array, copy=True)
        assert pipeline(array)["probability"] == pipeline(plain)["probability"], name
        assert np.array_equal(array, before), name
    """
    run_fresh(code)


def test_an_array_of_size_0_is_an_error_not_a_crash():
    code = """
    pipeline = fn.create_prediction_pipeline(fn.demo_model())
    for array in (image[:0], image[:, :0], image[None, :0], fn.Tensor(image[:0], "yx")):
        try:
            pipeline(array)
        except ValueError as error:
            assert "raw" in str(error), error
        else:
            raise SystemExit("accepted")
    """
    run_fresh(code)


def test_an_image_of_nothing_but_nan_is_a_warning_and_gives_nan():
    code = """
    import warnings
    pipeline = fn.create_prediction_pipeline(fn.demo_model())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = pipeline(np.full((40, 50), np.nan, "float32"))
    kinds = {w.category.__name__ for w in caught}
    assert kinds == {"DataWarning"}, kinds
    assert np.isnan(np.asarray(result)).all()
    """
    run_fresh(code)


def test_a_pipeline_sent_to_a_spawned_process_gives_the_same_there():
    code = """
    import multiprocessing

    def main():
        for weights_format in ("onnx", "torchscript"):
            pipeline = fn.create_prediction_pipeline(
                fn.demo_model(), weights_format=weights_format
            )
            here = pipeline(image)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                there = pool.apply(pipeline, (image,))
            assert there == here

    if __name__ == "__main__":
        main()
    """
    run_fresh(code)
