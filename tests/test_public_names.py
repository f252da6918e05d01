"""The names at the top: all there, all lazy, the same for editors and at run time."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import bioimageio.spec
import pytest

import bioimageio_fn as fn

HEAVY = (
    *("torch", "tensorflow", "onnxruntime", "bioimageio.spec"),
    *("tifffile", "imageio", "click", "hypothesis"),
)


@pytest.mark.parametrize("name", sorted(fn.__all__))
def test_every_public_name_is_there_and_documented(name):
    value = getattr(fn, name)

    assert value is not None
    if callable(value) and name != "Stat":
        assert value.__doc__


def test_editors_and_python_see_the_same_names():
    tree = ast.parse(Path(fn.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))

    seen_by_editors = {
        alias.asname: (node.module, alias.name) for node in block.body for alias in node.names
    }

    assert seen_by_editors == {name: (fn._MODULE_OF[name], name) for name in fn._MODULE_OF}
    assert set(seen_by_editors) | {"__version__"} == set(fn.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'predikt'"):
        fn.predikt  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import bioimageio_fn",
        "import bioimageio_fn; bioimageio_fn.__version__; dir(bioimageio_fn)",
        "from bioimageio_fn.cli.main import cli",
    ],
)
def test_importing_loads_no_framework(code):
    heavy = [name for name in HEAVY if not (name == "click" and "cli" in code)]
    check = f"{code}\nimport sys\nprint([m for m in {heavy} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_running_one_framework_loads_no_other():
    code = (
        "import bioimageio_fn as fn, sys, numpy as np\n"
        "fn.predict(model=fn.demo_model(), inputs=np.ones((20, 20)), weights_format='onnx')\n"
        "print([m for m in ('torch', 'tensorflow') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_settings_is_the_one_object_that_loading_uses():
    assert fn.settings is bioimageio.spec.settings
    assert isinstance(fn.settings, fn.Settings)


@pytest.mark.parametrize(
    "name",
    [
        "ValidationSummary",
        "build_description",
        "dump_description",
        "save_bioimageio_yaml_only",
        "settings",
        "validate_format",
    ],
)
def test_names_of_the_format_library_are_its_own(name):
    assert getattr(fn, name) is getattr(bioimageio.spec, name)


def test_aliases_are_what_they_stand_for():
    assert fn.load_resource is fn.load_description
    assert fn.load_model_description is fn.load_model


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "bioimageio_fn", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == f"bioimageio-fn, version {fn.__version__}"


def test_every_module_lists_what_it_offers():
    root = Path(fn.__file__).parent
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if path.name in ("__init__.py", "__main__.py") or "model" in parts:
            continue
        module = import_module(".".join(parts))
        for name in module.__all__:
            assert hasattr(module, name), f"{module.__name__}.{name}"
