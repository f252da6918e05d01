"""The command `test`: what it says of good and bad models, and its exit codes."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from commands import MODEL, document, invoke
from descriptions import axis05, image05, model05, ref, sized, tensor05, write

import bioimageio_fn as fn

# bioimageio.spec leaves the files open that it looks at
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

IMAGE = np.random.default_rng(0).random((1, 1, 16, 16), "float32")
REPRODUCE = "Reproduce test outputs from test inputs (onnx)"


def model(folder, description=None, *, out=IMAGE, **options):
    """A model that gives what it gets, by default what is expected of it."""
    tensors = {"raw": IMAGE, "out": out}
    return write(
        folder, image05() if description is None else description, tensors=tensors, **options
    )


@pytest.fixture
def good(tmp_path):
    return model(tmp_path / "good")


@pytest.fixture
def bad(tmp_path):
    return model(tmp_path / "bad", out=IMAGE / 2)


# ---------------------------------------------------------------- what is said


def test_people_see_what_was_tested_of_each_weights_format():
    done = invoke("test", MODEL, "--determinism", "full")

    lines = done.stdout.splitlines()
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line for line in lines if not line.startswith(" ")] == [
        *("description", "onnx", "torchscript"),
        f"{MODEL}: passed (model of format 0.5.14)",
    ]
    onnx = [line.strip() for line in lines[lines.index("onnx") : lines.index("torchscript")]]
    assert f"passed   {REPRODUCE}" in onnx
    assert any(line.startswith("output 'probability' is reproduced: equal") for line in onnx)
    assert "passed   Run onnx inference for inputs of 6 sizes" in onnx
    assert "probability: blocks equal the whole" in onnx
    assert any("axis x: halo 28 is enough: pixels up to 26 away" in line for line in onnx)


def test_programs_get_the_summary_of_the_format_library(good):
    done = invoke("test", good, "--json")

    summary = fn.ValidationSummary.model_validate_json(done.stdout)
    assert (done.exit_code, summary.status) == (0, "passed")
    assert "bioimageio_fn" in {package.name for package in summary.env}
    tested = fn.test_description(good)
    assert [d.name for d in summary.details] == [d.name for d in tested.details]


def test_what_is_wrong_is_said_with_its_cause_and_the_worst_place(bad):
    done = invoke("test", bad)

    lines = [line.strip() for line in done.stdout.splitlines()]
    (why,) = [line for line in lines if line.startswith("scaled: ")]
    assert done.exit_code == 1
    assert lines[lines.index(why) - 1] == f"failed   {REPRODUCE}"
    assert "the largest difference is" in why
    assert lines[-1] == f"{bad}: failed (model of format 0.5.14)"
    assert (done.stderr, document("test", bad)["status"]) == ("", "failed")


def test_a_size_that_fails_is_not_counted_with_those_that_pass(tmp_path):
    graph = _that_fails_for_two_samples()
    raw = tensor05("raw", [axis05("b"), axis05("c", 1), axis05("x", sized(16, 4))])
    out = tensor05("out", [axis05("b"), axis05("c", 1), axis05("x", ref("raw", "x"))])
    line = IMAGE[..., 0, :]
    source = write(
        tmp_path, model05([raw], [out]), weights={"onnx": graph}, tensors={"raw": line, "out": line}
    )

    text = invoke("test", source).stdout

    assert "passed   Run onnx inference for inputs of 3 sizes" in text
    assert text.count("failed   Run onnx inference for inputs with batch_size: 2") == 3


def _that_fails_for_two_samples():
    """An ONNX graph that gives what it gets, of one sample."""
    from onnx import TensorProto, helper

    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, "x"])
        for name in ("raw", "out")
    ]
    node = helper.make_node("Identity", ["raw"], ["out"])
    graph = helper.make_graph([node], "one", ports[:1], ports[1:])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def test_a_description_that_is_not_valid_fails_field_by_field(good):
    fields = json.loads(good.read_text())
    good.write_text(json.dumps({**fields, "license": ["none"]}))

    done = invoke("test", good)

    assert done.exit_code == 1
    assert "license" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{good}: failed")


def test_what_could_not_be_run_is_not_said_to_have_passed(tmp_path):
    done = invoke("test", model(tmp_path, image05(size=16)))

    lines = [line.strip() for line in done.stdout.splitlines()]
    at = lines.index("not run  Compare blocks with the whole (onnx)")
    assert lines[at + 1].startswith("not run: ")
    assert done.exit_code == 0


# ---------------------------------------------------------------- reports and tensors


def test_reports_are_written_beside_what_is_said(bad, tmp_path):
    files = [tmp_path / "new" / f"report{suffix}" for suffix in (".html", ".md", ".json")]

    done = invoke("test", bad, *(arg for file in files for arg in ("--summary", file)))

    page, markdown, summary = (file.read_text(encoding="utf-8") for file in files)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-4:-1] == [f"report: {file}" for file in files]
    assert "data:image/png" in page
    assert "scaled" in page
    assert "scaled" in markdown or "times" in markdown
    assert fn.ValidationSummary.model_validate_json(summary).status == "failed"


@pytest.mark.parametrize("name", ["report.pdf", "good/README.md/report.html"])
def test_a_report_that_could_not_be_written_is_refused_before_the_test(good, tmp_path, name):
    done = invoke("test", good, "--summary", tmp_path / name, "--working-dir", tmp_path / "kept")

    assert (done.exit_code, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert not (tmp_path / "kept").exists()


def test_tensors_are_kept_where_that_is_wanted(good, tmp_path):
    invoke("test", good, "--working-dir", tmp_path / "kept")

    np.testing.assert_array_equal(np.load(tmp_path / "kept" / "onnx" / "output_out.npy"), IMAGE)


# ---------------------------------------------------------------- what is asked for


def test_the_type_and_the_hash_may_be_asked_for(good):
    digest = hashlib.sha256(good.read_bytes()).hexdigest()
    right = [*("--expected-type", "model"), *("--sha256", digest), "--stop-early"]

    wrong_type = invoke("test", good, "--expected-type", "dataset")
    wrong_hash = invoke("test", good, "--sha256", "0" * 64)

    assert invoke("test", good, *right).exit_code == 0
    assert wrong_type.exit_code == 1
    assert "type: expected a dataset, got a model" in wrong_type.stdout
    assert (wrong_hash.exit_code, wrong_hash.stdout) == (1, "")
    assert wrong_hash.stderr.startswith("error: ")
    assert len(wrong_hash.stderr.splitlines()) == 1


def test_another_version_of_the_format_may_be_asked_for(good):
    assert "model of format 0.5.14)" in invoke("test", good, "--format-version", "latest").stdout


def test_weights_may_be_asked_for_that_are_not_there(good):
    done = invoke("test", good, "--weights-format", "torchscript")

    assert done.exit_code == 1
    assert "WeightsFormatError: the model has no weights of this format" in done.stdout


def test_each_device_is_tested(good):
    done = invoke("test", good, "--device", "cpu", "--device", "cuda:99")

    assert done.exit_code == 1
    assert "passed   Reproduce test outputs from test inputs (onnx, cpu)" in done.stdout
    assert "failed   Reproduce test outputs from test inputs (onnx, cuda:99)" in done.stdout


def test_stop_early_stops_behind_the_first_step_that_fails(bad):
    assert invoke("test", bad, "--stop-early").stdout.count("\n  failed") == 1
    assert "Compare blocks" not in invoke("test", bad, "--stop-early").stdout


def test_code_of_a_model_runs_only_if_it_is_trusted(tmp_path):
    (tmp_path / "m").mkdir()
    code = tmp_path / "m" / "step.py"
    code.write_text("def same():\n    return lambda x: x\n", encoding="utf-8")
    digest = hashlib.sha256(code.read_bytes()).hexdigest()
    custom = {"id": "custom", "callable": "same", "source": "step.py", "sha256": digest}
    source = model(tmp_path / "m", image05(post=[custom]))

    refused, done = invoke("test", source), invoke("test", source, "--trust-code")

    assert refused.exit_code == 1
    assert "UntrustedCodeError: " in refused.stdout
    assert "pass trust_code=True (--trust-code)" in refused.stdout
    assert done.exit_code == 0, done.output


def test_a_model_that_is_not_there_is_one_line():
    done = invoke("test", "nowhere/model.zip")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no such file or folder: nowhere/model.zip")
    assert len(done.stderr.splitlines()) == 1


# ---------------------------------------------------------------- other environments


def command(*args, path):
    """The command in a process of its own, that finds programs at a path."""
    return subprocess.run(
        [sys.executable, "-m", "bioimageio_fn", "test", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": str(path)},
    )


def test_without_a_tool_an_environment_can_not_be_made(good, tmp_path):
    done = command(good, "--runtime-env", "as-described", path=tmp_path / "nothing")

    assert done.returncode == 1, done.stderr
    assert "failed   Prepare an environment (onnx)" in done.stdout
    assert "conda or mamba or micromamba" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="the tool of this test is a shell script")
def test_a_test_in_another_environment_says_nothing_but_its_result(good, tmp_path):
    tool = tmp_path / "bin" / "conda"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\necho this is conda\n"
        f'[ "$1" != run ] || {{ shift 4; exec {sys.executable} "$@"; }}'
    )
    tool.chmod(0o755)
    env = tmp_path / "env.yaml"
    env.write_text("dependencies: [python, onnxruntime]")

    done = command(good, "--runtime-env", env, "--json", path=f"{tool.parent}:{os.defpath}")

    summary = fn.ValidationSummary.model_validate_json(done.stdout)
    assert (done.returncode, summary.status) == (0, "passed"), done.stderr
    assert "this is conda" in done.stderr
    assert {"Test in another environment (onnx)", REPRODUCE} <= {d.name for d in summary.details}
