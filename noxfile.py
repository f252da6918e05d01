"""Everything that is done with this repository: `nox -s NAME` makes what it needs and runs it."""

from pathlib import Path

import nox

# uv does not look where pip finds the CPU build of PyTorch
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "imports", "tests"]


def install(session: nox.Session, *requirements: str) -> None:
    """Install with the versions that the constraints file pins."""
    session.install("--constraint", "constraints.txt", *requirements)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo model on the demo image and show what comes out."""
    install(session, ".[onnx]")
    session.run("python", "scripts/demo.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, and every example of the documentation."""
    install(session, "--editable", ".[test]")
    # finding objects needs nothing of torchvision and segment_anything, which would replace the
    # CPU build of PyTorch; cellpose 4.2 imports torchvision for it all the same
    session.install("--no-deps", "cellpose==4.1.1")
    session.run("pytest", "--numprocesses=auto", "--dist=loadgroup", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Format and rules."""
    session.install("ruff==0.17.6")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    install(session, "--editable", ".[cli,strategies,torch,xarray]", "mypy==1.20.*")
    session.run("mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """The one-way order of the rooms."""
    install(session, "--editable", ".", "import-linter==2.*")
    session.run("lint-imports", "--no-cache")


@nox.session
def docs(session: nox.Session) -> None:
    """The pages, into `site/`."""
    install(session, "--editable", ".[docs]")
    session.run("mkdocs", "build", "--strict", *session.posargs)


def peer_python(session: nox.Session, *requirements: str) -> str:
    """The Python of an environment that has bioimageio.core; it can not share one with ours."""
    folder = Path(session.create_tmp()) / "peer"
    session.run("python", "-m", "venv", str(folder))
    pip = str(folder / "bin" / "pip")
    # with a newer pydantic the bioimageio.spec that it pins reads no model
    peer = ("bioimageio.core==0.11.0", "pydantic<2.13", *requirements)
    session.run(pip, "install", "--quiet", *peer, external=True)
    return str(folder / "bin" / "python")


BENCHMARKS = (
    *("startup", "pixels", "blocks", "nuclei", "larger_than_memory", "normalise"),
    "many_images",
)


@nox.session
def bench(session: nox.Session) -> None:
    """Times and memory, beside bioimageio.core; only printed. `-- blocks nuclei` for some of it."""
    install(session, ".[cli,onnx]", "onnx>=1.16", "zarr>=3")
    beside = ["--peer", peer_python(session, "onnxruntime")]
    for name in session.posargs or BENCHMARKS:
        options = [] if name == "startup" else beside
        session.run("python", f"benchmarks/{name}.py", *options)


@nox.session
def peer(session: nox.Session) -> None:
    """Compare random processing chains with the reference, bioimageio.core."""
    install(session, ".")
    folder = str(Path(session.create_tmp()) / "cases")
    session.run(
        "python", "peer/main.py", folder, "--theirs", peer_python(session), *session.posargs
    )
