"""Offline, nothing is asked of any server, and what was fetched before is still found."""

import functools
import http.server
import shutil
import socket
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest

import bioimageio_fn as fn
from bioimageio_fn.errors import MissingFileError
from bioimageio_fn.network import is_offline

# the format library does not close the files that it downloads
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

IMAGE = np.random.default_rng(0).integers(0, 999, (64, 70)).astype("uint16")


class Counting(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and counts what it is asked for."""

    def do_HEAD(self):
        self.server.asked.append(self.path)
        super().do_HEAD()

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """An address at which the demo model is served, what was asked for, and an empty cache."""
    root = tmp_path / "web"
    shutil.copytree(fn.demo_model(), root / "demo")
    shutil.copy(root / "demo" / "bioimageio.yaml", root / "demo" / "happy-shark.yaml")
    with zipfile.ZipFile(root / "demo.zip", "w") as archive:
        for file in fn.demo_model().iterdir():
            archive.write(file, file.name)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Counting, directory=root)
    )
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    monkeypatch.setattr(
        fn.settings, "collection_http_pattern", f"{address}/demo/{{bioimageio_id}}.yaml"
    )
    monkeypatch.setattr(fn.settings, "id_map", f"{address}/ids.json")
    monkeypatch.setattr(fn.settings, "id_map_draft", "")
    yield address, server.asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_sockets(monkeypatch):
    """Whoever opens a socket, or asks for the address of a host, fails the test."""

    def refuse(*args, **_):
        raise AssertionError(f"a request: {args}")

    def start():
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

    return start


@pytest.mark.parametrize("kind", ["demo/bioimageio.yaml", "demo.zip", "id"])
def test_a_model_that_was_fetched_runs_with_no_request_at_all(web, no_sockets, kind):
    address, asked = web
    source = "happy-shark" if kind == "id" else f"{address}/{kind}"
    options = {"weights_format": "onnx", "progressbar": False}
    fetched = fn.predict(model=source, inputs=IMAGE, **options)
    count = len(asked)
    assert count > 0
    no_sockets()

    with fn.offline():
        again = fn.predict(model=source, inputs=IMAGE, **options)

    assert again["probability"] == fetched["probability"]
    assert len(asked) == count


def test_a_model_on_disk_runs_with_no_request_at_all(no_sockets, tmp_path):
    no_sockets()

    with fn.offline():
        result = fn.predict(model=fn.demo_model(), inputs=IMAGE, weights_format="onnx")
        package = fn.save_bioimageio_package(fn.demo_model(), output_path=tmp_path / "m.zip")

    assert result["probability"].shape == (1, 1, 64, 70)
    assert zipfile.is_zipfile(package)


def test_what_would_be_asked_for_is_said(web, no_sockets):
    address, asked = web
    no_sockets()

    with fn.offline():
        with pytest.raises(MissingFileError, match=f"no request may be made.*{address}/demo.zip"):
            fn.load_model(f"{address}/demo.zip")
        with pytest.raises(MissingFileError, match="model id: happy-shark; no request may be made"):
            fn.load_model("happy-shark")
    assert asked == []


def test_weights_that_were_not_fetched_are_named(web, no_sockets):
    address, _ = web
    url = f"{address}/demo/bioimageio.yaml"
    fn.load_model(url, perform_io_checks=False)
    no_sockets()

    with fn.offline():
        model = fn.load_model(url)
        with pytest.raises(MissingFileError, match="no request may be made.*weights.onnx"):
            fn.create_prediction_pipeline(model, weights_format="onnx")
        with pytest.raises(MissingFileError, match="the package needs its file"):
            fn.save_bioimageio_package(url)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)]
)
def test_the_environment_says_so(monkeypatch, value, expected):
    monkeypatch.setenv("BIOIMAGEIO_FN_OFFLINE", value)

    assert is_offline() is expected
    with fn.offline():
        assert is_offline()
    assert is_offline() is expected


def test_processes_that_are_started_keep_to_it():
    code = "import sys, bioimageio_fn.network as o; sys.exit(0 if o.is_offline() else 1)"

    with fn.offline():
        subprocess.run([sys.executable, "-c", code], check=True)
