"""Weights are added if they are proved, and only then; packages are written whole or not at all."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from converting import image, model, of_code
from descriptions import torchscript, write
from networks import described, network

import bioimageio_fn as fn
from bioimageio_fn.errors import (
    DescriptionError,
    FileWriteError,
    MissingDependencyError,
    MissingFileError,
    UntrustedCodeError,
    WeightsFormatError,
)
from bioimageio_fn.weights import graph, torch_onnx


def net(body, extra=""):
    """Code of a small network whose forward is some lines."""
    lines = "\n        ".join(body.strip().splitlines())
    return f"""
import numpy
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)
        {extra}

    def forward(self, raw):
        {lines}
"""


CONVOLUTION = net("return self.conv(raw)")
# NumPy can not be scripted, and a trace takes the size for a constant
FREEZES = net("return self.conv(raw) + float(numpy.prod(raw.shape[2:])) / 100")
# which way is known only with the numbers: torch.export refuses, a script holds both
WIDE = net(
    "return self.conv(self.wide(raw).sum(1, keepdim=True))",
    "self.wide = torch.nn.Conv2d(1, 99, 5, padding=2)",
)
DECIDES = net("""
if bool(raw.mean() > 0.5):
    return self.conv(raw)
else:
    return self.conv(raw) * 2
""")


def converted_by(result):
    return [(a.converter.target, a.converter.how, a.passed) for a in result.attempts]


def test_all_that_can_be_made_is_added_at_once_and_runs_from_a_zip_elsewhere(tmp_path, monkeypatch):
    path, direct = model("pytorch_state_dict", tmp_path)
    before = path.read_bytes(), sorted(f.name for f in path.parent.iterdir())

    result = fn.add_weights(path, tmp_path / "out", trust_code=True)

    assert result.added == ("torchscript", "onnx"), str(result)
    assert (path.read_bytes(), sorted(f.name for f in path.parent.iterdir())) == before
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    archive = fn.save_bioimageio_package(result.folder, output_path=tmp_path / "elsewhere.zip")
    shutil.rmtree(result.folder)
    shutil.rmtree(path.parent)
    raw = image("pytorch_state_dict", shape=(20, 12), batch=2)
    for weights_format in result.added:
        found = fn.predict(model=archive, inputs=raw, weights_format=weights_format)
        np.testing.assert_allclose(np.asarray(found), direct(raw)[0], atol=1e-5)
    loaded = fn.load_model(archive)
    assert loaded.validation_summary.status == "valid-format"
    assert str(loaded.weights.torchscript.pytorch_version) == torch.__version__.partition("+")[0]


def test_dropout_is_off_and_batch_norm_keeps_what_it_knows(tmp_path):
    path, direct = model("pytorch_state_dict", tmp_path)
    state = torch.load(path.parent / "state.pt", weights_only=True)

    result = fn.add_weights(path, tmp_path / "out", trust_code=True)

    with pytest.deprecated_call():
        script = torch.jit.load(str(result.folder / "weights_torchscript.pt"))
    assert not any(module.training for module in script.modules())
    raw = image("pytorch_state_dict", batch=2)
    with torch.no_grad():
        first, second = script(torch.tensor(raw)), script(torch.tensor(raw))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, direct(raw)[0], atol=1e-5)
    for name, kept in script.state_dict().items():
        assert torch.equal(kept, state[name])
    nodes = onnx.load(result.folder / "weights.onnx").graph.node
    assert {"Dropout", "RandomNormal", "RandomUniform"}.isdisjoint(n.op_type for n in nodes)


def test_what_holds_for_one_size_only_is_not_added_and_it_is_said_by_how_much(tmp_path):
    path = of_code(tmp_path / "m", FREEZES)

    result = fn.add_weights(path, tmp_path / "out", target_format="torchscript", trust_code=True)

    assert result.added == ()
    assert result.folder is None
    assert not (tmp_path / "out").exists()
    assert list(result.description.weights.available_formats) == ["pytorch_state_dict"]
    scripted, traced = result.attempts
    assert scripted.problem is not None
    (miss,) = traced.misses
    # traced at the largest of the sizes, 10 x 14: at 8 x 10 it adds 1.4 in place of 0.8
    assert str(miss).startswith("out is not that of pytorch_state_dict at raw 1x1x8x10: ")
    assert miss.figures.startswith("it is 0.6 more than expected everywhere (80 of 80 elements")
    assert "the largest difference is 0.6 at batch=0, channel=0" in str(result)


def test_a_size_at_which_the_source_itself_fails_is_named(tmp_path):
    """A trace that holds for one sample, described to take any number of them."""

    class One(torch.nn.Module):
        def forward(self, raw):
            return raw.reshape(1, 1, 10, 12) * 2

    raw = image("torchscript")
    path = write(
        tmp_path / "m",
        described("torchscript", "0.5"),
        weights={"torchscript": torchscript(One())},
        tensors={"raw": raw, "out": raw * 2},
    )

    result = fn.add_weights(path, tmp_path / "out")

    (attempt,) = result.attempts
    assert attempt.problem.startswith("the source weights (torchscript) fail at raw 2x1x")


def test_test_tensors_of_nan_prove_nothing(tmp_path):
    raw = image("torchscript") * np.nan
    path = write(
        tmp_path / "m",
        described("torchscript", "0.5"),
        weights={"torchscript": torchscript(torch.nn.Identity())},
        tensors={"raw": raw, "out": raw},
    )

    with pytest.raises(DescriptionError, match="no finite value, so that it proves nothing"):
        fn.add_weights(path, tmp_path / "out")


def test_where_one_converter_fails_the_next_way_is_taken(tmp_path):
    path = of_code(tmp_path / "m", DECIDES)

    result = fn.add_weights(path, tmp_path / "out", target_format="onnx", trust_code=True)

    assert converted_by(result) == [
        ("onnx", "torch.export", False),
        ("torchscript", "scripted", True),
        ("onnx", "traced", True),
    ]
    weights = result.description.weights
    assert (weights.onnx.parent, weights.torchscript.parent) == (
        "torchscript",
        "pytorch_state_dict",
    )
    large = image("pytorch_state_dict", shape=(6, 6)) + 3  # the other way than that of the tests
    small = fn.predict(model=result.folder, inputs=large, weights_format="onnx")
    same = fn.predict(
        model=path, inputs=large, weights_format="pytorch_state_dict", trust_code=True
    )
    np.testing.assert_allclose(np.asarray(small), np.asarray(same), atol=1e-5)


def test_weights_that_do_not_give_the_test_tensors_are_not_added(tmp_path):
    out = np.ones((1, 1, 8, 10), "float32")
    path = of_code(tmp_path / "m", CONVOLUTION, tensors={"out": out})

    result = fn.add_weights(path, tmp_path / "out", target_format="torchscript", trust_code=True)

    assert result.added == ()
    assert "out is not that of the test tensor at the test inputs: " in str(result)
    assert "80 of 80 elements differ by more than 0.001 + 0.001 * |expected|" in str(result)


@pytest.mark.parametrize("formats", [[], ["torchscript"], ["onnx"]])
def test_test_tensors_are_reproduced_within_the_described_tolerance(tmp_path, formats):
    out = np.load(of_code(tmp_path / "exact", CONVOLUTION).parent / "out.npy") + np.float32(0.05)
    path = of_code(tmp_path / "m", CONVOLUTION, tensors={"out": out})
    tolerance = {"absolute_tolerance": 0.1, "weights_formats": formats}
    config = {"bioimageio": {"reproducibility_tolerance": [tolerance]}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "config": config}))

    result = fn.add_weights(path, tmp_path / "out", target_format="torchscript", trust_code=True)

    assert bool(result.added) == (formats != ["onnx"]), str(result)
    if formats == ["onnx"]:
        assert "it is 0.05 less than expected everywhere" in str(result)


def test_a_model_of_one_size_is_proved_at_that(tmp_path):
    path = of_code(tmp_path / "m", CONVOLUTION, fixed=True)

    result = fn.add_weights(path, tmp_path / "out", target_format="onnx", trust_code=True)

    assert result.attempts[0].proven == ("raw 1x1x8x10",)
    (tensor,) = onnx.load(result.folder / "weights.onnx").graph.input
    assert [d.dim_value for d in tensor.type.tensor_type.shape.dim] == [1, 1, 8, 10]
    assert result.description.weights.onnx.comment.endswith("at raw 1x1x8x10.")


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_numbers_lie_beside_a_graph_that_can_not_hold_them(tmp_path, monkeypatch, version):
    monkeypatch.setattr(torch_onnx, "LARGEST", 0)
    path = of_code(tmp_path / "m", WIDE, version=version)

    result = fn.add_weights(path, tmp_path / "out", target_format="onnx", trust_code=True)

    exported = result.attempts[0]
    if version == "0.4":
        assert "format 0.4 can not describe onnx whose numbers lie in another file" in str(exported)
        return
    assert exported.passed
    data = result.description.weights.onnx.external_data
    assert str(data.source) == "weights.onnx.data"
    assert (result.folder / "weights.onnx.data").stat().st_size > 0
    raw = image("pytorch_state_dict")
    archive = fn.save_bioimageio_package(
        result.folder, output_path=tmp_path / "a.zip", weights_priority_order=["onnx"]
    )
    shutil.rmtree(result.folder)
    assert fn.predict(model=archive, inputs=raw)["out"].shape == raw.shape


def test_an_input_that_may_be_left_out_still_may(tmp_path):
    both = ("raw", "aux")
    content, direct = network("torchscript", tmp_path / "n", inputs=both, optional=True)
    given = {name: image("torchscript", seed=i) for i, name in enumerate(both)}
    path = write(
        tmp_path / "m",
        described("torchscript", "0.5", inputs=both, optional=True),
        weights={"torchscript": content},
        tensors=given | {"out": direct(*given.values())[0]},
    )

    result = fn.add_weights(path, tmp_path / "out")

    assert result.added == ()
    assert "at raw 1x1x12x8 + aux absent" in str(result)


def test_code_does_not_run_without_consent(tmp_path):
    path = of_code(tmp_path / "m", CONVOLUTION)
    (tmp_path / "m" / "net.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    fn.update_hashes(path, output=path)

    with pytest.raises(UntrustedCodeError, match="trust_code=True"):
        fn.add_weights(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_that_need_no_code_are_converted_without_consent_to_that_of_others(tmp_path):
    path = of_code(tmp_path / "m", CONVOLUTION)
    fn.add_weights(path, tmp_path / "both", target_format="torchscript", trust_code=True)

    result = fn.add_weights(tmp_path / "both", tmp_path / "out", target_format="onnx")

    assert converted_by(result) == [("onnx", "torch.export", False), ("onnx", "traced", True)]
    assert "trust_code=True" in str(result.attempts[0])
    assert result.description.weights.onnx.parent == "torchscript"


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(FileWriteError, match="is there already: expected a new or empty folder"):
        fn.add_weights("no-such-model/at-all", tmp_path / "out")
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_format": "keras_v3"}, "no weights of this format: expected one of torchscript"),
        ({"target_format": "torchscript"}, "the model has weights of this format: got torchscript"),
        ({"target_format": "keras_v3"}, "there is no way to keras_v3: expected keras_hdf5 -> onnx"),
        ({"target_format": "jpeg"}, "there is no way to jpeg"),
    ],
    ids=str,
)
def test_what_can_not_be_done_is_said_before_anything_is(tmp_path, options, message):
    path, _ = model("torchscript", tmp_path)

    with pytest.raises(WeightsFormatError, match=message):
        fn.add_weights(path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_missing_is_named_with_what_to_do(tmp_path, monkeypatch):
    path, _ = model("torchscript", tmp_path)
    find = graph.find_spec
    monkeypatch.setattr(graph, "find_spec", lambda name: None if name == "onnx" else find(name))

    with pytest.raises(
        MissingDependencyError, match=r"onnx.*pip install 'bioimageio_fn\[convert\]"
    ):
        fn.add_weights(path, tmp_path / "out")


def test_where_some_converters_lack_a_package_the_others_are_used(tmp_path, monkeypatch):
    path = of_code(tmp_path / "m", CONVOLUTION)
    find = graph.find_spec
    monkeypatch.setattr(graph, "find_spec", lambda name: None if name == "onnx" else find(name))

    result = fn.add_weights(path, tmp_path / "out", trust_code=True)

    assert result.added == ("torchscript",)
    assert "pytorch_state_dict -> onnx (torch.export): failed" in str(result)
    assert "pip install 'bioimageio_fn[convert]'" in str(result)


def test_without_test_tensors_nothing_can_be_proved(tmp_path):
    path, _ = model("torchscript", tmp_path)
    (path.parent / "raw.npy").unlink()

    with pytest.raises(MissingFileError, match=r"raw\.npy"):
        fn.add_weights(path, tmp_path / "out")

    fields = json.loads(path.read_text(encoding="utf-8"))
    np.save(path.parent / "raw.npy", image("torchscript"))
    del fields["outputs"][0]["test_tensor"], fields["inputs"][0]["test_tensor"]["sha256"]
    path.write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(DescriptionError):
        fn.add_weights(path, tmp_path / "out")


def test_a_package_that_can_not_be_written_whole_is_not_written(tmp_path):
    path, _ = model("torchscript", tmp_path)
    (path.parent / "README.md").unlink()

    with pytest.raises((FileWriteError, ValueError, OSError)):
        fn.add_weights(path, tmp_path / "out")
    assert [f.name for f in tmp_path.iterdir() if "out" in f.name] == []


def test_weights_that_can_not_be_opened_are_named(tmp_path):
    path, _ = model("torchscript", tmp_path)
    (path.parent / "weights.pt").write_bytes(b"no weights")
    fn.update_hashes(path, output=path)

    result = fn.add_weights(path, tmp_path / "out")

    assert "failed: torch can not open weights.pt" in str(result)
    assert not (tmp_path / "out").exists()


def test_published_weights_are_converted(real_model, tmp_path):
    path = real_model / "parameterized.bioimageio.yaml"
    assert set(fn.load_model(path).weights.available_formats) == {"torchscript"}

    result = fn.add_weights(path, tmp_path / "out")

    assert result.added == ("onnx",)
    assert len(result.attempts[0].proven) == 3  # a batch of one is described
