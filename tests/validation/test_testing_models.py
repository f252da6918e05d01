"""`test_model` on models whose weights and test tensors are made here, right and wrong."""

import io
import json

import numpy as np
import pytest
import torch
from bioimageio.spec import InvalidDescr
from descriptions import (
    axis05,
    image04,
    image05,
    model05,
    onnx_identity,
    ref,
    sized,
    step,
    tensor05,
    torchscript,
    write,
)
from networks import described, images, network

import bioimageio_fn as fn
from bioimageio_fn.validation.examining import examine

REPRODUCE = "Reproduce test outputs from test inputs (onnx)"
TORCHSCRIPT = "Reproduce test outputs from test inputs (torchscript)"
IMAGE = np.random.default_rng(0).random((1, 1, 16, 16), "float32")


def detail(summary, name=REPRODUCE):
    (found,) = [d for d in summary.details if d.name == name]
    return found


def why(summary, name=REPRODUCE):
    """Kinds and texts of the errors of a step."""
    return [(error.type, error.msg) for error in detail(summary, name).errors]


def model(folder, description=None, *, raw=IMAGE, out=None, **options):
    """A model, by default one that gives what it gets, with these test tensors."""
    tensors = {"raw": raw, "out": raw if out is None else out}
    return write(folder, image05() if description is None else description, tensors=tensors)


def changed(path, change):
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


# ---------------------------------------------------------------- models that are right


@pytest.mark.parametrize(
    ("kind", "version", "space"),
    [
        *(("onnx", "0.4", 2), ("onnx", "0.5", 3)),
        *(("torchscript", "0.4", 3), ("torchscript", "0.5", 2)),
        *(("keras_hdf5", "0.4", 2), ("keras_v3", "0.5", 3)),
        ("tensorflow_saved_model_bundle", "0.5", 2),
    ],
)
def test_a_model_of_the_real_frameworks_passes(tmp_path, kind, version, space):
    names = ("raw", "aux")
    content, direct = network(kind, tmp_path / "n", space=space, inputs=names)
    given = {n: images(kind, space=space, seed=i) for i, n in enumerate(names)}
    (out,) = direct(*given.values())
    source = write(
        tmp_path / "m",
        described(kind, version, space=space, inputs=names),
        weights={kind: content},
        tensors={**given, "out": out},
    )

    summary = fn.test_model(source)

    assert summary.status == "passed", summary.format()
    assert any(
        d.name == f"Reproduce test outputs from test inputs ({kind})" for d in summary.details
    )


def test_each_step_is_a_detail_that_says_what_it_was(tmp_path):
    summary = fn.test_model(model(tmp_path / "m"))

    names = [d.name for d in summary.details if d.loc == ("weights", "onnx")]
    assert names == [
        REPRODUCE,
        *(
            f"Run onnx inference for inputs with batch_size: {b} and size parameter n: {n}"
            for b in (1, 2)
            for n in (0, 1, 2)
        ),
        "Compare blocks with the whole (onnx)",
        "Measure how far the network sees (onnx)",
    ]
    assert (
        detail(summary).warnings[0].msg == "output 'out' is reproduced: all 256 elements are equal"
    )
    assert "onnxruntime" in detail(summary).recommended_env.dependencies
    packages = {package.name: package.version for package in summary.env}
    assert packages["bioimageio_fn"] == fn.__version__
    assert {"bioimageio.spec", "onnxruntime"} <= packages.keys()


@pytest.mark.parametrize("weights_format", ["onnx", "torchscript"])
@pytest.mark.parametrize("make", [image04, image05])
def test_every_format_is_tested_or_the_one_asked_for(tmp_path, make, weights_format):
    weights = {
        "onnx": onnx_identity(["raw"], ["out"]),
        "torchscript": torchscript(torch.nn.Identity()),
    }
    source = write(tmp_path / "m", make(), weights=weights, tensors={"raw": IMAGE, "out": IMAGE})

    every = fn.test_model(source, stop_early=True)
    one = fn.test_model(source, weights_format, stop_early=True)

    assert {d.loc[1] for d in every.details if d.loc[:1] == ("weights",)} == weights.keys()
    assert {d.loc[1] for d in one.details if d.loc[:1] == ("weights",)} == {weights_format}
    assert every.status == one.status == "passed"


@pytest.mark.parametrize("name", ["bioimageio.yaml", "parameterized.bioimageio.yaml"])
def test_a_published_model_passes(real_model, name):
    examined = examine(real_model / name)

    assert examined.summary.status == "passed", examined.summary.format()
    ran = {report.weights_format for report in examined.reports}
    assert ran == ({"onnx", "torchscript"} if name == "bioimageio.yaml" else {"torchscript"})
    for report in examined.reports:
        (result,) = report.reproductions
        assert result.agreement.largest_difference < 1e-4
    assert [reach.covered for reach in examined.reports[0].reaches] == [False, False]


# ---------------------------------------------------------------- spoiled models


TRUE = {
    "scaled": lambda a: a / 2,
    "shifted": lambda a: a + 3,
    "affine": lambda a: a * 3 + 1,
    "transposed": lambda a: a.swapaxes(2, 3),
    "flipped": lambda a: a[..., ::-1],
    "missing activation": lambda a: 1 / (1 + np.exp(-a)),
    "noise": lambda a: a + 0.005 * np.random.default_rng(2).normal(size=a.shape),
    "different": lambda a: np.random.default_rng(1).random(a.shape, "float32"),
}
"""What the test output is, if the model gives just what it gets: the fault by its name."""


@pytest.mark.parametrize(("cause", "true"), TRUE.items(), ids=TRUE)
def test_a_wrong_output_is_told_by_its_cause(tmp_path, cause, true):
    raw = 4 * IMAGE - 2
    source = model(tmp_path / "m", raw=raw, out=true(raw).astype("float32"))

    summary = fn.test_model(source, stop_early=True)

    assert summary.status == "failed"
    ((kind, text),) = why(summary)
    assert kind == cause, text
    assert "elements differ by more than 0.001 + 0.001 * |expected|" in text
    assert text.count("largest difference") == 1


def test_values_that_are_cut_off(tmp_path):
    cut = step("clip", min=0.2, max=0.6)
    source = model(tmp_path / "m", image05(post=[cut]), out=IMAGE)

    assert why(fn.test_model(source, stop_early=True))[0][0] == "clipped"


def test_values_that_were_cast(tmp_path):
    class Bytes(torch.nn.Module):
        def forward(self, raw: torch.Tensor):
            return raw.to(torch.int32).to(torch.uint8).to(torch.float32)

    raw = IMAGE * 1000
    source = write(
        tmp_path / "m",
        image05(),
        weights={"torchscript": torchscript(Bytes())},
        tensors={"raw": raw, "out": raw},
    )

    summary = fn.test_model(source, stop_early=True)

    ((kind, text),) = why(summary, TORCHSCRIPT)
    assert kind == "other dtype"
    assert "cast to uint8 (cut off, wrapped at 255)" in text


def test_statistics_of_the_raw_input_are_recognised(tmp_path):
    pre = [
        step("scale_linear", gain=2.0, offset=5.0),
        step("zero_mean_unit_variance", axes=["channel", "y", "x"]),
    ]
    scaled = 2 * IMAGE + 5
    right = (scaled - scaled.mean()) / (scaled.std() + 1e-6)
    as_the_reference = (scaled - IMAGE.mean()) / (IMAGE.std() + 1e-6)

    assert fn.test_model(model(tmp_path / "a", image05(pre=pre), out=right)).status == "passed"
    summary = fn.test_model(model(tmp_path / "b", image05(pre=pre), out=as_the_reference))
    assert why(summary)[0][0] == "raw statistics"


def two_outputs(folder, first, second):
    axes = [axis05("b"), axis05("c", 1), axis05("y", sized(8, 4)), axis05("x", sized(8, 4))]
    like = [axis05("b"), axis05("c", 1), axis05("y", ref("raw", "y")), axis05("x", ref("raw", "x"))]

    class Both(torch.nn.Module):
        def forward(self, raw: torch.Tensor):
            return raw, raw * raw

    return write(
        folder,
        model05([tensor05("raw", axes)], [tensor05("a", like), tensor05("b", like)]),
        weights={"torchscript": torchscript(Both())},
        tensors={"raw": IMAGE, "a": first, "b": second},
    )


def test_outputs_in_the_place_of_each_other(tmp_path):
    right = fn.test_model(two_outputs(tmp_path / "a", IMAGE, IMAGE**2))
    swapped = fn.test_model(two_outputs(tmp_path / "b", IMAGE**2, IMAGE), stop_early=True)

    assert right.status == "passed", right.format()
    assert [kind for kind, _ in why(swapped, TORCHSCRIPT)] == ["swapped outputs"] * 2


def labels(seed=0):
    """Twelve squares, numbered at random."""
    numbers = np.random.default_rng(seed).permutation(12).reshape(1, 1, 3, 4) + 1
    squares = np.kron(numbers, np.pad(np.ones((6, 6), int), 1))
    return squares.astype("uint16")


def test_labels_are_compared_as_labels(tmp_path):
    description = image05(dtype="uint16", out_dtype="uint16")
    other, moved = labels(seed=1), np.roll(labels(), 4, axis=-1)
    cases = {"same": labels(), "labels permuted": other, "labels differ": moved}

    found = {}
    for cause, out in cases.items():
        source = model(tmp_path / cause, description, raw=labels(), out=out)
        found[cause] = [kind for kind, _ in why(fn.test_model(source, stop_early=True))]

    assert found == {c: [] if c == "same" else [c] for c in cases}


def test_an_output_out_of_its_described_range_fails(tmp_path):
    description = image05()
    description["outputs"][0]["data"] = {"type": "float32", "range": [0, 0.5]}

    ((kind, text),) = why(fn.test_model(model(tmp_path / "m", description), stop_early=True))

    assert kind == "OperationError"
    assert "values out of its described range (tensor 'out'): expected 0.0 to 0.5, got" in text


def test_an_output_of_another_kind_of_numbers_is_noted(tmp_path):
    raw = np.arange(256, dtype="float32").reshape(IMAGE.shape)
    source = model(tmp_path / "m", image05(out_dtype="uint8"), raw=raw, out=raw.astype("uint8"))

    summary = fn.test_model(source)

    assert summary.status == "passed"
    said = [w.msg for w in detail(summary).warnings]
    assert "output 'out' is described as uint8, the network gives float32" in said


class OnlyOf(torch.nn.Module):
    """A network that fails, or gives too much, unless its input has one size."""

    def __init__(self, size: int, batch: int, fault: str) -> None:
        super().__init__()
        self.size, self.batch, self.fault = size, batch, fault

    def forward(self, raw: torch.Tensor):
        if raw.shape[3] == self.size and raw.shape[0] == self.batch:
            return raw
        if self.fault == "fails":
            return raw.reshape(1, 1, 7, 7)
        if self.fault == "nan":
            return raw / 0 * 0
        return torch.nn.functional.pad(raw, [1, 1, 1, 1])


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("fails", "shape '[1, 1, 7, 7]' is invalid"),
        ("nan", "output 'out' has values that are not finite"),
        ("larger", "18"),
    ],
)
def test_weights_that_do_not_take_the_described_sizes_fail(tmp_path, fault, text):
    source = write(
        tmp_path / "m",
        image05(),
        weights={"torchscript": torchscript(OnlyOf(16, 1, fault))},
        tensors={"raw": IMAGE, "out": IMAGE},
    )

    summary = fn.test_model(source)

    names = {(b, n): f"Run torchscript inference for inputs with batch_size: {b} and size"
             f" parameter n: {n}" for b in (1, 2) for n in (0, 1, 2)}  # fmt: skip
    failed = [case for case, name in names.items() if detail(summary, name).status == "failed"]
    assert failed == [case for case in names if case != (1, 2)]
    assert text in why(summary, names[2, 2])[0][1]
    assert detail(summary, TORCHSCRIPT).status == "passed"
    assert summary.status == "failed"


def test_an_onnx_graph_of_one_batch_is_not_what_is_described(tmp_path):
    from onnx import TensorProto, helper

    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, "y", "x"])
            for n in ("raw", "out")]  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("Identity", ["raw"], ["out"])], "g", *([i] for i in info)
    )
    opset = [helper.make_opsetid("", 17)]
    content = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    source = write(
        tmp_path / "m", image05(), weights={"onnx": content}, tensors={"raw": IMAGE, "out": IMAGE}
    )

    summary = fn.test_model(source)

    failed = [d.name for d in summary.details if d.status == "failed"]
    assert len(failed) == 3
    assert all("batch_size: 2" in name for name in failed)


# ---------------------------------------------------------------- with or without halo


class Mean(torch.nn.Module):
    """The mean of 9 x 9 pixels, with zeros beyond the border: it sees 4 pixels far."""

    def forward(self, raw: torch.Tensor):
        return torch.nn.functional.avg_pool2d(raw, 9, 1, 4)


def mean(image):
    with torch.no_grad():
        return Mean()(torch.from_numpy(np.ascontiguousarray(image))).numpy()


@pytest.mark.parametrize("size", [32, sized(16, 8)], ids=["fixed", "free"])
@pytest.mark.parametrize("convention", ["with", "without"])
def test_test_tensors_with_and_without_the_halo(tmp_path, size, convention):
    raw = np.random.default_rng(0).random((1, 1, 32, 32), "float32")
    out = mean(raw)
    if convention == "without":
        raw = raw[..., 4:-4, 4:-4]
        out = mean(np.pad(raw, [(0, 0)] * 2 + [(4, 4)] * 2, "symmetric"))[..., 4:-4, 4:-4]
    source = write(
        tmp_path / "m",
        image05(size=size, halo=4),
        weights={"torchscript": torchscript(Mean())},
        tensors={"raw": np.ascontiguousarray(raw), "out": np.ascontiguousarray(out)},
    )

    summary = fn.test_model(source, stop_early=True)

    assert summary.status == "passed", summary.format()


def test_in_format_0_4_outputs_may_be_cropped_alone(tmp_path):
    raw = np.random.default_rng(0).random((1, 1, 32, 32), "float32")
    source = write(
        tmp_path / "m",
        image04(smallest=16, by=8, halo=4),
        weights={"torchscript": torchscript(Mean())},
        tensors={"raw": raw, "out": np.ascontiguousarray(mean(raw)[..., 4:-4, 4:-4])},
    )

    summary = fn.test_model(source, stop_early=True)

    assert summary.status == "passed", summary.format()


@pytest.mark.parametrize(("halo", "covered"), [(4, True), (2, False)])
def test_a_halo_that_is_too_short_is_said(tmp_path, halo, covered):
    raw = np.random.default_rng(0).random((1, 1, 64, 64), "float32")
    source = write(
        tmp_path / "m",
        image05(size=sized(16, 1), halo=halo),
        weights={"torchscript": torchscript(Mean())},
        tensors={"raw": raw, "out": mean(raw)},
    )

    examined = examine(source)

    (report,) = examined.reports
    assert [reach.covered for reach in report.reaches] == [covered] * 2
    assert [seams.verdict for seams in report.seams] == ["equal" if covered else "seams"]
    said = detail(examined.summary, "Measure how far the network sees (torchscript)").warnings
    assert [w.severity_name for w in said] == ["info" if covered else "warning"] * 2
    assert ("halo 2 is too small: pixels up to 4 away" in said[0].msg) != covered
    assert examined.summary.status == "passed"


@pytest.mark.parametrize(("size", "ran"), [(1, False), (8, True)])
def test_a_network_for_single_pixels_or_planes_has_no_blocks_to_fail_at(tmp_path, size, ran):
    raw = np.random.default_rng(0).random((1, 1, 1, size, size), "float32")
    axes = [axis05("b"), axis05("c", 1), axis05("z", 1), axis05("y", size), axis05("x", size)]
    tensors = [tensor05("raw", axes)], [tensor05("out", axes)]
    source = write(tmp_path / "m", model05(*tensors), tensors={"raw": raw, "out": raw})

    examined = examine(source)

    assert examined.summary.status == "passed", examined.summary.format()
    assert [reach.axis for reach in examined.reports[0].reaches] == ["y", "x"] * ran
    said = detail(examined.summary, "Measure how far the network sees (onnx)").warnings
    assert said[0].msg.startswith("not run: blocks of this model can not meet") != ran


# ---------------------------------------------------------------- values that no test may pass


@pytest.mark.parametrize("expected", ["numbers", "nan", "inf"])
def test_a_network_that_gives_nan_never_passes(tmp_path, expected):
    class Nan(torch.nn.Module):
        def forward(self, raw: torch.Tensor):
            return raw * float("nan")

    out = {"numbers": IMAGE, "nan": IMAGE * np.nan, "inf": IMAGE + np.inf}[expected]
    source = write(
        tmp_path / "m",
        image05(),
        weights={"torchscript": torchscript(Nan())},
        tensors={"raw": IMAGE, "out": out},
    )

    assert fn.test_model(source).status == "failed"


def test_one_nan_among_many_never_passes(tmp_path):
    """However many elements may differ."""

    class Holed(torch.nn.Module):
        def forward(self, raw: torch.Tensor):
            out = raw.clone()
            out[0, 0, 3, 3] = float("nan")
            return out

    raw = np.random.default_rng(0).random((1, 1, 128, 128), "float32")
    source = write(
        tmp_path / "m",
        image05(),
        weights={"torchscript": torchscript(Holed())},
        tensors={"raw": raw, "out": raw},
    )

    ((kind, text),) = why(fn.test_model(source, stop_early=True), TORCHSCRIPT)

    assert kind == "not finite"
    assert "1 of 16384 elements, the first at batch=0, channel=0, y=3, x=3: nan" in text


def test_expected_infinity_does_not_pass_for_anything(tmp_path):
    out = IMAGE.copy()
    out[0, 0, 3, 4] = np.inf
    source = model(tmp_path / "m", out=out)
    entry = {
        "relative_tolerance": 0.01,
        "absolute_tolerance": 0,
        "mismatched_elements_per_million": 0,
    }
    changed(
        source,
        lambda m: m.update(config={"bioimageio": {"reproducibility_tolerance": [entry]}}),
    )

    ((kind, text),) = why(fn.test_model(source, stop_early=True))

    assert kind == "not finite"
    assert "1 of 256 elements" in text


@pytest.mark.parametrize(("more", "status"), [(0, "passed"), (1, "failed")])
def test_labels_that_float32_can_not_tell_apart(tmp_path, more, status):
    class Labels(torch.nn.Module):
        def forward(self, raw: torch.Tensor):
            return (raw > 0.5).to(torch.int32) * 16777216

    source = write(
        tmp_path / "m",
        image05(out_dtype="int32"),
        weights={"torchscript": torchscript(Labels())},
        tensors={"raw": IMAGE, "out": ((IMAGE > 0.5) * (16777216 + more)).astype("int32")},
    )

    # the same labels with other numbers are still not what is expected
    assert fn.test_model(source, stop_early=True).status == status


@pytest.mark.parametrize(("wrong", "passes"), [(2, True), (20, False)])
def test_one_label_in_a_thousand_may_differ(tmp_path, wrong, passes):
    raw = np.arange(64 * 64, dtype="uint16").reshape(1, 1, 64, 64)
    out = raw.copy()
    out.flat[:wrong] += 1
    source = model(tmp_path / "m", image05(dtype="uint16", out_dtype="uint16"), raw=raw, out=out)

    assert (fn.test_model(source, stop_early=True).status == "passed") == passes


# ---------------------------------------------------------------- what can not be run


def test_weights_whose_framework_is_missing(tmp_path, monkeypatch):
    source = model(tmp_path / "m")
    monkeypatch.setattr("bioimageio_fn.backends.formats.find_spec", lambda name: None)

    summary = fn.test_model(source)

    assert summary.status == "failed"
    ((kind, text),) = why(summary)
    assert kind == "MissingDependencyError"
    assert "onnxruntime is not installed; pip install 'bioimageio_fn[onnx]'" in text


@pytest.mark.parametrize("kind", ["onnx", "torchscript", "keras_v3"])
def test_corrupt_weights(tmp_path, kind):
    source = write(
        tmp_path / "m",
        image05(),
        weights={kind: b"no weights"},
        tensors={"raw": IMAGE, "out": IMAGE},
    )

    summary = fn.test_model(source)

    ((_, text),) = why(summary, f"Reproduce test outputs from test inputs ({kind})")
    assert "weights" in text
    assert not any(error.traceback_md for error in summary.errors)
    assert [d.loc for d in summary.details if d.status == "failed"] == [("weights", kind)]


@pytest.mark.parametrize("missing", ["inputs", "outputs"])
def test_a_model_without_test_tensors(tmp_path, missing):
    source = changed(model(tmp_path / "m"), lambda m: m[missing][0].pop("test_tensor"))

    summary = fn.test_model(source)

    assert summary.status == "failed"
    name = REPRODUCE if missing == "outputs" else "Read the files of the model"
    ((kind, text),) = why(summary, name)
    assert kind == "MissingFileError"
    assert "the model has no test tensors: expected one for each input that is required" in text


@pytest.mark.parametrize("size", [13, 4])
def test_a_test_tensor_of_a_size_that_is_not_described(tmp_path, size):
    """The format library says of it: No functions provided to try."""
    raw = np.random.default_rng(0).random((1, 1, size, 16), "float32")

    summary = fn.test_model(model(tmp_path / "m", raw=raw))

    assert summary.status == "failed"
    ((kind, text),) = why(summary, "Read the files of the model")
    assert kind == "SizeError"
    assert "tensor 'raw', axis 'y'" in text
    assert f"got {size}" in text


def test_a_test_tensor_whose_file_is_missing(tmp_path):
    source = model(tmp_path / "m")
    (tmp_path / "m" / "out.npy").unlink()

    summary = fn.test_model(source)

    assert summary.status == "failed"
    ((kind, text),) = why(summary, "Read the files of the model")
    assert kind == "MissingFileError"
    assert text.startswith("the package has no file out.npy: got ")


def test_weights_that_the_model_does_not_have(tmp_path):
    source = model(tmp_path / "m")

    for asked in ("torchscript", "tensorflow_js", "no such format"):
        summary = fn.test_model(source, asked)

        assert summary.status == "failed"
        (text,) = [e.msg for e in summary.errors]
        assert f"no weights of this format: expected one of onnx, got {asked}" in text


def test_tensorflow_js_is_not_run_and_said_not_to_be(tmp_path):
    both = {"onnx": onnx_identity(["raw"], ["out"]), "tensorflow_js": b"PK"}
    tensors = {"raw": IMAGE, "out": IMAGE}
    source = write(tmp_path / "m", image05(), weights=both, tensors=tensors)
    alone = write(tmp_path / "a", image05(), weights={"tensorflow_js": b"PK"}, tensors=tensors)

    summary = fn.test_model(source)

    assert summary.status == "passed", summary.format()
    (said,) = detail(summary, "Weights of the format tensorflow_js").warnings
    assert said.msg == "not run: weights of the format tensorflow_js can not be run in Python"
    for nothing in (fn.test_model(alone), fn.test_model(source, "tensorflow_js")):
        assert nothing.status == "failed"


def test_code_that_is_not_trusted(tmp_path):
    buffer = io.BytesIO()
    torch.save(torch.nn.Conv2d(1, 1, 1).state_dict(), buffer)
    source = model(tmp_path / "m")
    (tmp_path / "m" / "w.pt").write_bytes(buffer.getvalue())
    architecture = {"import_from": "torch.nn", "callable": "Conv2d",
                    "kwargs": {"in_channels": 1, "out_channels": 1, "kernel_size": 1}}  # fmt: skip
    entry = {"source": "w.pt", "architecture": architecture, "pytorch_version": "2.0"}
    changed(source, lambda m: m.update(weights={"pytorch_state_dict": entry}))
    name = "Reproduce test outputs from test inputs (pytorch_state_dict)"

    refused, run = (fn.test_model(source, trust_code=trust) for trust in (False, True))

    assert [kind for kind, _ in why(refused, name)] == ["UntrustedCodeError"]
    assert (
        detail(run, name).errors[0].type != "UntrustedCodeError"
    )  # it ran, and gives other values


def test_an_optional_input_without_a_test_tensor(tmp_path):
    content, direct = network("onnx", tmp_path / "n", inputs=("raw", "aux"), optional=True)
    raw = images("onnx")
    source = write(
        tmp_path / "m",
        described("onnx", "0.5", inputs=("raw", "aux"), optional=True),
        weights={"onnx": content},
        tensors={"raw": raw, "out": direct(raw, None)[0]},
    )
    changed(source, lambda m: m["inputs"][1].pop("test_tensor"))

    summary = fn.test_model(source)

    assert summary.status == "passed", summary.format()


# ---------------------------------------------------------------- other descriptions


def test_a_description_that_is_invalid(tmp_path):
    source = changed(model(tmp_path / "m"), lambda m: m.pop("name"))

    given = fn.load_description(source, perform_io_checks=False)
    before = given.validation_summary.model_dump(exclude={"saved_conda_list"})

    for invalid in (source, given):
        summary = fn.test_description(invalid, expected_type="dataset")

        assert summary.status == "failed"
        assert summary.errors
    assert given.validation_summary.model_dump(exclude={"saved_conda_list"}) == before
    assert isinstance(fn.load_description_and_test(source), InvalidDescr)


OTHER = {
    "dataset": {"format_version": "0.3.0", "source": "https://example.com/data.zip"},
    "notebook": {"format_version": "0.3.0", "source": "book.ipynb"},
    "generic": {"format_version": "0.3.0"},
}


@pytest.mark.parametrize("kind", OTHER)
def test_other_resources_have_nothing_to_run(tmp_path, kind):
    fields = {
        "type": kind, "name": "resource", "description": "for a test", "license": "MIT",
        "authors": [{"name": "tester"}], "cite": [{"text": "none", "url": "https://example.com"}],
        **OTHER[kind],
    }  # fmt: skip
    (tmp_path / "book.ipynb").write_text(
        json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    source = tmp_path / "bioimageio.yaml"
    source.write_text(json.dumps(fields), encoding="utf-8")

    summary = fn.test_description(source)

    assert summary.status in {"passed", "failed"}, summary.format()
    assert fn.test_model(source).status == "failed"  # it is no model


@pytest.mark.parametrize("expected", ["model", str(b"model", "ascii")])
def test_the_expected_type_is_compared_by_value(tmp_path, expected):
    summary = fn.test_description(model(tmp_path / "m"), expected_type=expected, stop_early=True)

    assert summary.status == "passed"
    assert detail(summary, "Has expected resource type").status == "passed"


def test_another_type_than_expected(tmp_path):
    summary = fn.test_description(model(tmp_path / "m"), expected_type="dataset")

    assert summary.status == "failed"
    assert summary.errors[0].msg == "expected a dataset, got a model"


def test_fields_and_descriptions_are_tested_as_files_are(tmp_path):
    source = model(tmp_path / "m")
    given = fn.load_model(source, perform_io_checks=False)
    before = len(given.validation_summary.details)

    for _ in range(2):
        summary = fn.test_model(given)
        assert summary.status == "passed"
        assert len(summary.details) == 2 + 1 + 1 + 6 + 2

    assert len(given.validation_summary.details) == before
    assert given.validation_summary.status == "valid-format"
    nothing_there = fn.test_description(json.loads(source.read_text(encoding="utf-8")))
    assert nothing_there.status == "failed"  # their files do not lie here


def test_load_description_and_test_gives_the_description_with_its_summary(tmp_path):
    description = fn.load_description_and_test(model(tmp_path / "m"), weight_format="onnx")

    assert description.type == "model"
    assert description.validation_summary.status == "passed"
    assert detail(description.validation_summary).status == "passed"


@pytest.mark.filterwarnings("ignore:Conversion of channel size:UserWarning")
def test_a_description_of_an_older_format_can_be_updated_first(tmp_path):
    source = model(tmp_path / "m", image04())

    as_it_is, updated = (
        fn.test_description(source, format_version=version) for version in ("discover", "latest")
    )

    assert as_it_is.format_version.startswith("0.4")
    assert updated.format_version.startswith("0.5")
    assert as_it_is.status == updated.status == "passed", updated.format()


# ---------------------------------------------------------------- options


def test_stop_early_stops_behind_the_first_step_that_fails(tmp_path):
    tensors = {"raw": IMAGE, "out": IMAGE + 1}
    weights = {
        "onnx": onnx_identity(["raw"], ["out"]),
        "torchscript": torchscript(torch.nn.Identity()),
    }
    source = write(tmp_path / "m", image05(), weights=weights, tensors=tensors)

    def about_weights(**options):
        return [d for d in fn.test_model(source, **options).details if d.loc[:1] == ("weights",)]

    (only,) = about_weights(stop_early=True)
    assert (only.name, only.status) == (REPRODUCE, "failed")
    assert len(about_weights()) == 2 * 7 + 2


def test_stop_early_runs_everything_that_passes(tmp_path):
    source = model(tmp_path / "m")

    assert len(fn.test_model(source, stop_early=True).details) == len(fn.test_model(source).details)


def test_tensors_are_kept_where_that_is_wanted(tmp_path):
    pre = [step("scale_linear", gain=2.0, offset=0.0)]
    post = [step("scale_linear", gain=3.0, offset=0.0)]
    source = model(tmp_path / "m", image05(pre=pre, post=post), out=6 * IMAGE)
    kept = tmp_path / "kept"

    fn.test_model(source, working_dir=kept)

    found = {p.name: np.load(p) for p in (kept / "onnx").iterdir()}
    factors = {
        "input_raw": 1, "network_input_raw": 2, "network_output_out": 2, "output_out": 6,
        "expected_out": 6,
    }  # fmt: skip
    assert found.keys() == {f"{name}.npy" for name in factors}
    for name, factor in factors.items():
        np.testing.assert_allclose(found[f"{name}.npy"], factor * IMAGE, rtol=1e-6)


def test_devices_are_tested_one_after_the_other(tmp_path):
    source = model(tmp_path / "m")

    summary = fn.test_model(source, devices=["cpu", "cuda:7"])

    first, second = (
        f"Reproduce test outputs from test inputs (onnx, {device})" for device in ("cpu", "cuda:7")
    )
    assert detail(summary, first).status == "passed"
    assert [kind for kind, _ in why(summary, second)] == ["DeviceError"]


def test_a_hash_that_is_not_that_of_the_description(tmp_path):
    with pytest.raises(fn.errors.HashMismatchError):
        fn.test_model(model(tmp_path / "m"), sha256="0" * 64)


def test_what_is_no_description_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        fn.test_model(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"determinism": "some"}, ValueError),
        ({"trust_code": "yes"}, PermissionError),
        ({"working_dir": __file__}, OSError),
        ({"runtime_env": "as-described", "working_dir": __file__}, OSError),
    ],
)
def test_options_that_make_no_sense(tmp_path, option, error):
    with pytest.raises(error):
        fn.test_description(tmp_path / "not even looked at", **option)


@pytest.mark.parametrize("name", ["test_model", "test_description", "test_resource"])
def test_pytest_does_not_take_them_for_tests(name):
    assert getattr(fn, name).__test__ is False


def test_test_resource_is_test_description():
    assert fn.test_resource is fn.test_description
