"""One rule for code of strangers: it runs if the caller consented to it, and not otherwise."""

import hashlib
import multiprocessing
import os
import pickle

import attrs
import numpy as np
import pytest
from descriptions import build, image05

import bioimageio_fn as fn
from bioimageio_fn.errors import (
    DescriptionError,
    HashMismatchError,
    MissingDependencyError,
    UntrustedCodeError,
)
from bioimageio_fn.trusted import FileCode, LibraryCode, consent, trusts

DIGEST = "ab" * 32


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def source(tmp_path, canary):
    """A file that leaves a canary when it is run."""
    path = tmp_path / "step.py"
    text = f"open({str(canary)!r}, 'a').close()\ndef double():\n    return lambda x: x * 2\n"
    path.write_text(text, encoding="utf-8")
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def file_code(source, said):
    return FileCode(source, digest(source), "double", said)


def model_of(source, **fields):
    step = {"id": "custom", "callable": "double", "source": str(source), "sha256": digest(source)}
    return build(image05(post=[step | fields]))


@pytest.mark.parametrize(
    "said",
    [
        *(DIGEST, [DIGEST, 3], {"short"}, [b"ab" * 32], {DIGEST + "0"}),
        *(None, 1, 3.5, np.True_, object()),
    ],
)
def test_what_is_no_consent_is_an_error(said):
    with pytest.raises(UntrustedCodeError, match="expected trust_code=True, trust_code=False, or"):
        consent(said)


def test_consent_is_all_nothing_or_files():
    assert [trusts(consent(said), DIGEST) for said in (True, False, (), {DIGEST}, {"0" * 64})] == [
        *(True, False, False, True, False)
    ]
    assert trusts(consent({DIGEST.upper()}), DIGEST)
    assert trusts(consent({DIGEST}), DIGEST.upper())


@pytest.mark.parametrize("said", [False, (), {DIGEST}, frozenset()])
def test_code_of_a_file_does_not_run_without_consent(source, canary, said):
    model = model_of(source)

    with pytest.raises(UntrustedCodeError) as caught:
        fn.create_prediction_pipeline(model, trust_code=said)
    with pytest.raises(UntrustedCodeError):
        fn.predict(model=model, inputs=[[1.0] * 8] * 8, trust_code=said)

    text = str(caught.value)
    assert (
        "this model runs code of its own: double of step.py (tensor 'out', step 'custom')" in text
    )
    assert f"read {source}, and pass trust_code=True (--trust-code)" in text
    assert f"or trust_code={{'{digest(source)}'}} if you trust it" in text
    assert isinstance(caught.value, PermissionError)
    assert not canary.exists()


@pytest.mark.parametrize("given", [bool, digest, lambda s: digest(s).upper()])
def test_code_of_a_file_runs_with_consent(source, canary, given):
    said = True if given is bool else [given(source), DIGEST]

    pipeline = fn.create_prediction_pipeline(
        model_of(source), backend=lambda x: (x,), trust_code=said
    )

    assert canary.exists()
    assert float(pipeline([[3.0] * 8] * 8)["out"].data[0, 0, 0, 0]) == 6


STEP_WITH_A_TABLE = """
from pathlib import Path

def double():
    factor = float((Path(__file__).parent / "table.txt").read_text())
    return lambda x: x * factor
"""


def with_attachment(source, name, text):
    other = source.parent / "elsewhere" / name
    other.parent.mkdir()
    other.write_text(text, encoding="utf-8")
    step = {"id": "custom", "callable": "double", "source": str(source), "sha256": digest(source)}
    attached = [{"source": str(other), "sha256": digest(other)}]
    return other, build({**image05(post=[step]), "attachments": attached})


def test_a_step_finds_what_the_description_attaches_beside_it(source):
    source.write_text(STEP_WITH_A_TABLE, encoding="utf-8")
    _, model = with_attachment(source, "table.txt", "7")

    pipeline = fn.create_prediction_pipeline(model, backend=lambda x: (x,), trust_code=True)

    assert float(pipeline([[3.0] * 8] * 8)["out"].data[0, 0, 0, 0]) == 21


def test_consent_to_a_step_is_none_to_code_attached_beside_it(source, canary):
    other, model = with_attachment(source, "helper.py", "")

    with pytest.raises(UntrustedCodeError, match="lies beside it can be run.*: all of helper.py"):
        fn.create_prediction_pipeline(model, trust_code={digest(source)})
    assert not canary.exists()
    said = {digest(source), digest(other)}
    fn.create_prediction_pipeline(model, backend=lambda x: (x,), trust_code=said)
    assert canary.exists()


def test_a_setting_or_a_variable_is_no_consent(source, canary, monkeypatch):
    for name in ("TRUST_CODE", "BIOIMAGEIO_TRUST_CODE", "BIOIMAGEIO_ALLOW_PICKLE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(fn.settings, "allow_pickle", True)

    with pytest.raises(UntrustedCodeError):
        fn.create_prediction_pipeline(model_of(source))
    assert not canary.exists()


def test_consent_is_to_a_content_also_where_the_description_has_no_hash(source, canary):
    code = file_code(source, {digest(source)})
    source.write_text("raise SystemExit('was run')", encoding="utf-8")

    with pytest.raises(HashMismatchError, match="step.py is not the file"):
        code()
    assert not canary.exists()


def test_a_step_that_was_pickled_asks_again(source, canary):
    refused = pickle.loads(pickle.dumps(file_code(source, False)))

    with pytest.raises(UntrustedCodeError, match="this code may not run: double of step.py"):
        refused()
    assert not canary.exists()
    assert refused == file_code(source, False)
    assert pickle.loads(pickle.dumps(attrs.evolve(refused, said=True)))()()(2) == 4


def _doubled(code, number):
    return code()()(number)


def test_consent_reaches_another_process(source):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_doubled, (file_code(source, {digest(source)}), 4)) == 8
        with pytest.raises(UntrustedCodeError):
            pool.apply(_doubled, (file_code(source, False), 4))


@pytest.mark.parametrize("said", [False, {DIGEST}])
def test_a_library_is_not_called_without_consent(said):
    code = LibraryCode("os", "system", said)

    with pytest.raises(UntrustedCodeError, match="system of the library os.*trust_code=True"):
        code()
    with pytest.raises(UntrustedCodeError, match="needs code.*; or take onnx"):
        code.check("needs code", instead="take onnx")


def test_a_library_is_not_even_imported_without_consent(tmp_path, canary, source, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(UntrustedCodeError):
        LibraryCode("step", "double", False)()
    assert not canary.exists()
    assert LibraryCode("step", "double", True)()()(2) == 4
    assert canary.exists()


def test_a_library_is_the_word_of_who_consents():
    assert LibraryCode("os", "getcwd", True)() is os.getcwd


def test_a_library_that_is_not_there_is_named(tmp_path, monkeypatch):
    with pytest.raises(
        MissingDependencyError, match="the model needs the library no_such_lib.nets"
    ):
        LibraryCode("no_such_lib.nets", "Net", True)()
    with pytest.raises(DescriptionError, match="os does not define .*class or function Net"):
        LibraryCode("os", "Net", True)()
    (tmp_path / "broken_lib.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DescriptionError, match="could not be run: broken_lib: got ZeroDivision"):
        LibraryCode("broken_lib", "Net", True)()
