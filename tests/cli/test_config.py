"""Options in a file beside the data."""

import json

import click
import numpy as np
import pytest
from click.testing import CliRunner
from commands import MODEL, image, invoke
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.cli.config import defaults
from bioimageio_fn.cli.main import cli


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder with an image."""
    monkeypatch.chdir(tmp_path)
    image(tmp_path / "a.npy")
    return tmp_path


def test_a_file_gives_defaults_for_all_that_can_be_typed(here):
    (here / "bioimageio-cli.yaml").write_text(
        f"model: {MODEL}\n"
        "quiet: true\n"
        "predict:\n"
        "  inputs: [a.npy]\n"
        "  output: out/{sample_id}.npy\n"
        "  block_shape: {y: 64, x: 64}\n"
        "  weights-format: onnx\n"
        "  overwrite: true\n"
    )

    done = invoke("predict")

    assert (done.exit_code, done.stdout) == (0, "out/a.npy\n"), done.stderr
    assert done.stderr == "defaults of bioimageio-cli.yaml\n"
    assert np.load("out/a.npy").shape[-2:] == (64, 72)


def test_what_is_typed_wins_and_below_the_command_wins_over_the_top(here):
    config = {"model": "nowhere/at/all", "output": "top.npy", "predict": {"output": "own.npy"}}
    (here / "bioimageio-cli.json").write_text(json.dumps(config))

    own = invoke("predict", MODEL, "a.npy")
    typed = invoke("predict", MODEL, "a.npy", "-o", "typed.npy")

    assert (own.stdout, typed.stdout) == ("own.npy\n", "typed.npy\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outputs: x", "unknown key 'outputs'; is 'output' meant?"),
        ("blockwise: true", "unknown key 'blockwise'; "),
        ("predict: {qqq: 1}", "unknown key 'qqq' below 'predict'; known are "),
        ("predict: 3", "has no keys with values below 'predict'"),
        ("predict: {overwrite: 1}", "has to be true or false, and not 1"),
        ("predict: {device: [{a: 1}]}", "could not be typed"),
        ("- 1", "no description|no keys"),
        ("a: [", "can not read bioimageio-cli.yaml"),
        ("predict: {block-shape: 'y:3'}", "'y:3' is not like y=512,x=512"),
    ],
)
def test_what_makes_no_sense_is_a_wrong_call(here, text, message):
    (here / "bioimageio-cli.yaml").write_text(text)

    done = invoke("predict", MODEL, "a.npy")

    assert done.exit_code == 2
    assert any(m in " ".join(done.stderr.split()) for m in message.split("|"))


def test_two_files_are_refused(here):
    (here / "bioimageio-cli.yaml").write_text("quiet: true")
    (here / "bioimageio-cli.json").write_text("{}")

    done = invoke("predict", MODEL, "a.npy")

    assert done.exit_code == 2
    assert "two config files" in done.stderr


PAIRS = st.dictionaries(st.sampled_from("yxz"), st.integers(1, 999), min_size=1)


@given(st.one_of(st.integers(1, 999), PAIRS), st.lists(st.text("ab/.*", min_size=1), min_size=1))
def test_a_file_says_what_could_be_typed(tmp_path_factory, size, inputs):
    folder = tmp_path_factory.mktemp("config")
    seen = []

    @click.command()
    @click.argument("inputs", nargs=-1)
    @click.option("--size", "-s")
    def command(inputs, size):
        seen.append((inputs, size))

    group = click.Group(commands={"command": command})
    (folder / "c.json").write_text(json.dumps({"size": size, "command": {"inputs": inputs}}))
    default_map = defaults(folder / "c.json", group.commands)
    typed = str(size) if isinstance(size, int) else ",".join(f"{a}={n}" for a, n in size.items())

    CliRunner().invoke(group, ["command"], default_map=default_map)
    CliRunner().invoke(group, ["command", "-s", typed, "--", *inputs])

    assert seen[0] == seen[1]


def test_every_option_of_every_command_has_a_key():
    for command in cli.commands.values():
        names = [p.name for p in command.params]
        assert len(set(names)) == len(names)
