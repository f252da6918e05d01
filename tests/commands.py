"""Commands of `bioimageio-fn`, called in this process; and images to call them with."""

import json

import numpy as np
from click.testing import CliRunner

import bioimageio_fn as fn
from bioimageio_fn.cli.main import cli

MODEL, IMAGE = str(fn.demo_model()), str(fn.demo_image())


def invoke(*args):
    """Call a command; arguments may be paths."""
    return CliRunner().invoke(cli, [str(a) for a in args])


def document(*args):
    """What a command says with --json."""
    done = invoke(*args, "--json")
    return json.loads(done.stdout)


def image(path, *, shape=(64, 72), seed=0):
    """A file with an image that the demo model takes; and its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.random.default_rng(seed).integers(0, 1000, shape).astype("uint16"))
    return path
