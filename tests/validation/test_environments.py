"""Tests in environments that are made of descriptions.

No tool that makes environments is needed: commands are recorded, and what would run in an
environment runs in this process, or once in another one of the Python that runs this.
"""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bioimageio.spec.conda_env import BioimageioCondaEnv, CondaEnv
from descriptions import image04, image05, onnx_identity, torchscript, write

import bioimageio_fn as fn
from bioimageio_fn.validation.__main__ import main
from bioimageio_fn.validation.environments import env_from_file

IMAGE = np.random.default_rng(0).random((1, 1, 16, 16), "float32")
ONNX = "Reproduce test outputs from test inputs (onnx)"


class Tool:
    """Commands as conda and its kin take them; only these tools are there."""

    def __init__(self, *tools, fails=(), run=None):
        self.tools, self.fails, self.run = tools, fails, run or here
        self.commands, self.files, self.there = [], [], set()

    def __call__(self, args):
        tool, *rest = args
        self.commands.append(list(args))
        if tool not in self.tools:
            raise FileNotFoundError(tool)
        if any(word in args for word in self.fails):
            raise subprocess.CalledProcessError(1, list(args))
        if rest[:2] == ["env", "create"]:
            options = dict(option.removeprefix("--").split("=") for option in rest[3:])
            self.files.append(json.loads(Path(options["file"]).read_text(encoding="utf-8")))
            self.there.add(options["name"])
        if rest[:1] == ["run"]:
            _, _, name, python, *arguments = rest
            if name not in self.there or python != "python":
                raise subprocess.CalledProcessError(1, list(args))
            if arguments != ["--version"]:
                self.run(arguments)


def here(arguments):
    flag, module, path = arguments
    assert (flag, module) == ("-m", "bioimageio_fn.validation")
    main(Path(path))


def elsewhere(arguments):
    subprocess.run([sys.executable, *arguments], check=True)


def model(folder, description=None, **options):
    tensors = {"raw": IMAGE, "out": IMAGE}
    return write(
        folder, image05() if description is None else description, tensors=tensors, **options
    )


def about(summary, weights_format="onnx"):
    return {d.name: d.status for d in summary.details if d.loc[:2] == ("weights", weights_format)}


@pytest.mark.parametrize("tools", [("conda", "mamba"), ("mamba",), ("micromamba",)])
def test_the_environment_is_made_by_what_is_there_and_only_once(tmp_path, tools):
    tool, source = Tool(*tools), model(tmp_path / "m")
    options = {"runtime_env": "as-described", "run_command": tool, "stop_early": True}

    first, second = (fn.test_description(source, **options) for _ in range(2))

    assert {"conda-forge", "nodefaults"} <= set(tool.files[0]["channels"])
    assert len(tool.files) == 1
    assert "onnxruntime" in tool.files[0]["dependencies"]
    assert {"pip": [f"bioimageio_fn=={fn.__version__}"]} in tool.files[0]["dependencies"]
    assert not any("bioimageio.core" in str(d) for d in tool.files[0]["dependencies"])
    for summary in (first, second):
        assert summary.status == "passed", summary.format()
        assert about(summary)[ONNX] == "passed"
        assert about(summary)["Test in another environment (onnx)"] == "passed"
    assert {command[0] for command in tool.commands[-2:]} == {tools[0]}


def test_each_weights_format_has_an_environment_of_its_own(tmp_path):
    weights = {
        "onnx": onnx_identity(["raw"], ["out"]),
        "torchscript": torchscript(torch.nn.Identity()),
    }
    tool, source = Tool("conda"), model(tmp_path / "m", weights=weights)

    summary = fn.test_description(source, runtime_env="as-described", run_command=tool)

    assert len(tool.there) == 2
    assert "pytorch==2.0.0" in tool.files[1]["dependencies"]
    for name in weights:
        assert about(summary, name)[f"Reproduce test outputs from test inputs ({name})"] == "passed"
        assert all(n.endswith(f"({name})") or f" {name} " in n for n in about(summary, name))


def test_what_fails_there_fails_here(tmp_path):
    source = write(tmp_path / "m", image05(), tensors={"raw": IMAGE, "out": IMAGE * 2})
    tool = Tool("conda", run=elsewhere)

    summary = fn.test_description(
        source, runtime_env="as-described", run_command=tool, expected_type="model", stop_early=True
    )

    assert summary.status == "failed"
    assert about(summary)[ONNX] == "failed"
    assert [error.type for error in summary.errors] == ["scaled"]


def test_options_reach_the_other_side(tmp_path):
    kept = tmp_path / "kept"

    summary = fn.test_description(
        model(tmp_path / "m"),
        runtime_env="as-described",
        run_command=Tool("conda"),
        devices="cpu",
        determinism="full",
        expected_type="model",
        weight_format="onnx",
        working_dir=kept,
    )

    assert summary.status == "passed", summary.format()
    name = "Reproduce test outputs from test inputs (onnx, cpu)"
    assert about(summary)[name] == "passed"
    asked = json.loads((kept / "onnx" / "test.json").read_text(encoding="utf-8"))
    assert (asked["devices"], asked["determinism"]) == (["cpu"], "full")
    np.testing.assert_array_equal(np.load(kept / "onnx" / "onnx_cpu" / "output_out.npy"), IMAGE)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of the format library
def test_what_exists_only_here_is_packaged(tmp_path):
    source = model(tmp_path / "m")
    given = fn.load_model(source, perform_io_checks=False)

    summary = fn.test_description(given, runtime_env="as-described", run_command=Tool("mamba"))

    assert summary.status == "passed", summary.format()
    assert about(summary)[ONNX] == "passed"
    assert given.validation_summary.status == "valid-format"


@pytest.mark.parametrize("as_path", [True, False])
def test_the_environment_of_a_file(tmp_path, as_path):
    content = {
        "name": "mine",
        "channels": ["conda-forge"],
        "dependencies": ["python=3.11", "onnxruntime=1.20"],
    }
    file = tmp_path / "environment.yaml"
    file.write_text(json.dumps(content), encoding="utf-8")
    tool = Tool("conda")

    summary = fn.test_description(
        model(tmp_path / "m"),
        runtime_env=file if as_path else BioimageioCondaEnv.model_validate(content),
        run_command=tool,
        stop_early=True,
    )

    assert summary.status == "passed", summary.format()
    (made,) = tool.files
    assert {"python=3.11", "onnxruntime=1.20"} <= {
        d for d in made["dependencies"] if isinstance(d, str)
    }
    assert "name" not in made
    assert "pip" in made["dependencies"]


def test_an_environment_without_pip_gets_it(tmp_path):
    tool = Tool("micromamba")

    for dependencies in (["python"], ["python", "conda-forge::pip>=24"]):
        env = CondaEnv(dependencies=dependencies)
        options = {"runtime_env": env, "run_command": tool, "stop_early": True}
        assert fn.test_description(model(tmp_path / "m"), **options).status == "passed"

    pips = [[d for d in file["dependencies"] if "pip" in d] for file in tool.files]
    ours = {"pip": [f"bioimageio_fn=={fn.__version__}"]}
    assert pips == [["pip", ours], ["conda-forge::pip>=24", ours]]


def test_an_environment_file_that_is_none(tmp_path):
    file = tmp_path / "environment.yaml"
    file.write_text("dependencies: 3", encoding="utf-8")

    with pytest.raises(
        fn.errors.DescriptionError, match=r"environment.yaml is no conda environment"
    ):
        env_from_file(file)
    with pytest.raises(FileNotFoundError, match="no such file of an environment"):
        fn.test_description(model(tmp_path / "m"), runtime_env=tmp_path / "none.yaml")


def test_no_tool_is_there(tmp_path):
    summary = fn.test_description(
        model(tmp_path / "m"), runtime_env="as-described", run_command=Tool()
    )

    assert summary.status == "failed"
    ((kind, text),) = [(e.type, e.msg) for e in summary.errors]
    assert kind == "MissingDependencyError"
    assert "expected conda or mamba or micromamba; install one of them" in text


@pytest.mark.parametrize("word", ["create", "-m"])
def test_a_command_that_fails(tmp_path, word):
    tool = Tool("conda", fails=[word])

    summary = fn.test_description(
        model(tmp_path / "m"), runtime_env="as-described", run_command=tool
    )

    assert summary.status == "failed"
    assert [e.type for e in summary.errors] == ["CalledProcessError"]


def test_a_run_command_that_tells_no_failure_is_refused(tmp_path):
    with pytest.raises(fn.errors.OperationError, match="run_command has to raise where a command"):
        fn.test_description(
            model(tmp_path / "m"), runtime_env="as-described", run_command=lambda args: None
        )


def with_environment(folder, make):
    """A model that brings the file of its environment."""
    buffer = io.BytesIO()
    torch.save(torch.nn.Conv2d(1, 1, 1).state_dict(), buffer)
    env = b"dependencies: [python=3.11, {pip: [evil]}]"
    path = model(folder, make())
    (folder / "w.pt").write_bytes(buffer.getvalue())
    (folder / "env.yaml").write_bytes(env)
    (folder / "net.py").write_text("import torch\n", encoding="utf-8")
    digest = hashlib.sha256((folder / "net.py").read_bytes()).hexdigest()
    entry = {"source": "w.pt"}
    if make is image04:
        entry |= {"architecture": "net.py:Net", "architecture_sha256": digest}
        entry |= {"dependencies": "conda:env.yaml"}
    else:
        entry |= {"architecture": {"source": "net.py", "sha256": digest, "callable": "Net"}}
        entry |= {"dependencies": {"source": "env.yaml"}, "pytorch_version": "2.0"}
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["weights"] = {"pytorch_state_dict": entry}
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path, hashlib.sha256(env).hexdigest()


@pytest.mark.parametrize("make", [image04, image05])
def test_an_environment_that_a_model_brings_is_trusted_like_code(tmp_path, make):
    source, digest = with_environment(tmp_path / "m", make)
    tool, other = Tool("conda"), Tool("conda")
    options = {"runtime_env": "as-described", "stop_early": True}

    refused = fn.test_description(source, run_command=tool, **options)
    trusted = fn.test_description(source, run_command=other, trust_code={digest}, **options)

    assert [e.type for e in refused.errors] == ["UntrustedCodeError"]
    assert f"env.yaml, sha256 {digest}" in refused.errors[0].msg
    assert (tool.files, tool.there) == ([], set())
    (made,) = other.files
    assert {"pip": [f"bioimageio_fn=={fn.__version__}", "evil"]} in made["dependencies"]
    assert [e.type for e in trusted.errors] == ["UntrustedCodeError"]  # its network is not trusted


@pytest.mark.parametrize("asked", ["torchscript", "no such format"])
def test_weights_that_the_model_does_not_have_need_no_environment(tmp_path, asked):
    tool = Tool("conda")

    summary = fn.test_description(
        model(tmp_path / "m"), runtime_env="as-described", run_command=tool, weight_format=asked
    )

    (error,) = summary.errors
    assert f"no weights of this format: expected one of onnx, got {asked}" in error.msg
    assert (summary.status, tool.files) == ("failed", [])


def test_tensorflow_js_is_no_more_run_there_than_here(tmp_path):
    both = {"onnx": onnx_identity(["raw"], ["out"]), "tensorflow_js": b"PK"}
    tool, options = Tool("conda"), {"runtime_env": "as-described", "stop_early": True}

    summary = fn.test_description(model(tmp_path / "m", weights=both), run_command=tool, **options)
    alone = fn.test_description(
        model(tmp_path / "a", weights={"tensorflow_js": b"PK"}), run_command=tool, **options
    )

    assert summary.status == "passed", summary.format()
    assert about(summary, "tensorflow_js") == {"Weights of the format tensorflow_js": "passed"}
    assert alone.status == "failed"
    assert [error.msg for error in alone.errors] == [
        "none of the model's weights could be run here"
    ]
    assert len(tool.files) == 1


def test_another_type_than_expected_needs_no_environment(tmp_path):
    tool = Tool("conda")

    for source in (model(tmp_path / "m"), resource(tmp_path)):
        summary = fn.test_description(
            source, runtime_env="as-described", run_command=tool, expected_type="dataset"
        )
        assert summary.status == "failed"
        assert summary.errors[0].msg.startswith("expected a dataset, got a")
    assert not tool.files


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of the format library
def test_the_hash_of_a_source_is_not_asked_of_what_was_packaged_of_it(tmp_path):
    source = model(tmp_path / "m")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    options = {"runtime_env": "as-described", "sha256": digest, "stop_early": True}

    for given in (source, fn.load_model(source, perform_io_checks=False)):
        summary = fn.test_description(given, run_command=Tool("conda"), **options)
        assert summary.status == "passed", summary.format()


def resource(folder):
    fields = {
        "type": "generic", "format_version": "0.3.0", "name": "resource", "license": "MIT",
        "description": "for a test", "authors": [{"name": "tester"}],
        "cite": [{"text": "none", "url": "https://example.com"}],
    }  # fmt: skip
    source = folder / "bioimageio.yaml"
    source.write_text(json.dumps(fields), encoding="utf-8")
    return source


def test_a_resource_of_another_type_needs_no_environment(tmp_path):
    source = resource(tmp_path)
    tool = Tool("conda")

    summary = fn.test_description(source, runtime_env="as-described", run_command=tool)

    assert summary.status == "passed", summary.format()
    assert not tool.files
