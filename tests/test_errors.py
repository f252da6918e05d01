"""Errors say what, where, expected, got and remedy, and reach another process unharmed."""

import copy
import pickle

import pytest

from bioimageio_fn import errors

ERRORS = [
    getattr(errors, name)
    for name in errors.__all__
    if issubclass(getattr(errors, name), errors.BioimageioFnError)
]
WARNINGS = [
    getattr(errors, name)
    for name in errors.__all__
    if issubclass(getattr(errors, name), errors.BioimageioFnWarning)
]
FACTS = {
    "tensor": "raw",
    "axis": "channel",
    "step": "clip",
    "expected": (1, 2),
    "got": 0,
    "remedy": "select one",
}
BUILTINS = {
    "ArrayError": TypeError,
    "AxesError": ValueError,
    "BackendError": RuntimeError,
    "BlockError": ValueError,
    "DescriptionError": ValueError,
    "DeviceError": ValueError,
    "FileReadError": OSError,
    "FileWriteError": OSError,
    "HashMismatchError": ValueError,
    "MissingDependencyError": ImportError,
    "MissingFileError": FileNotFoundError,
    "MissingMemberError": KeyError,
    "NotFittedError": RuntimeError,
    "OperationError": ValueError,
    "OutOfMemoryError": MemoryError,
    "SizeError": ValueError,
    "UnknownMemberError": KeyError,
    "UnsafePackageError": ValueError,
    "UnsupportedError": NotImplementedError,
    "UntrustedCodeError": PermissionError,
    "WeightsFormatError": ValueError,
}


def test_every_error_is_listed_with_its_builtin():
    assert {e.__name__ for e in ERRORS} == {"BioimageioFnError", *BUILTINS}


@pytest.mark.parametrize("name", BUILTINS)
def test_every_error_is_the_builtin_that_a_caller_would_catch(name):
    assert issubclass(getattr(errors, name), BUILTINS[name])


@pytest.mark.parametrize("kind", ERRORS)
def test_the_message_says_what_where_expected_got_and_remedy(kind):
    text = "wrong (tensor 'raw', axis 'channel', step 'clip'): expected (1, 2), got 0; select one"
    assert str(kind("wrong", **FACTS)) == text


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "wrong"),
        ({"axis": "x"}, "wrong (axis 'x')"),
        ({"got": 0}, "wrong: got 0"),
        ({"expected": False}, "wrong: expected False"),
        ({"remedy": "do it"}, "wrong; do it"),
        ({"tensor": "a", "remedy": "do it"}, "wrong (tensor 'a'); do it"),
    ],
)
def test_facts_that_are_not_given_leave_no_gap_in_the_message(facts, text):
    assert str(errors.SizeError("wrong", **facts)) == text


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_errors_pickle_with_all_their_facts(kind, protocol):
    error = kind("wrong", **FACTS)
    for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.deepcopy(error)):
        assert type(twin) is kind
        assert twin.what == "wrong"
        assert {name: getattr(twin, name) for name in FACTS} == FACTS
        assert str(twin) == str(error)


def test_errors_pickle_with_the_notes_that_say_where_they_came_from():
    error = errors.SizeError("wrong")
    error.add_note("in step 3 of the chain")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["in step 3 of the chain"]


@pytest.mark.parametrize("kind", WARNINGS)
def test_every_warning_is_a_user_warning_of_this_package(kind):
    assert issubclass(kind, UserWarning)
