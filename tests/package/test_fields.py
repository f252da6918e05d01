"""The text of a description is measured while it is read."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioimageio_fn.errors import DescriptionError, UnsafePackageError
from bioimageio_fn.package import fields
from bioimageio_fn.package.fields import fields_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)
FIELDS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


def read(text):
    return fields_of(text.encode(), "model.yaml")


@given(FIELDS)
def test_what_is_small_is_read_as_the_format_library_reads_it(content):
    from bioimageio.spec.utils import read_yaml

    text = json.dumps(content)

    # NaN is not equal to itself, but looks the same
    assert repr(read(text)) == repr(read_yaml(text))


def test_aliases_are_what_they_stand_for():
    assert read("a: &x {y: [1, 2]}\nb: [*x, *x]") == {
        "a": {"y": [1, 2]},
        "b": [{"y": [1, 2]}, {"y": [1, 2]}],
    }
    assert read("a: &x {y: 1}\nb: {<<: *x, z: 2}")["b"] == {"y": 1, "z": 2}


def bomb(levels, width=10, root="&a0 [lol, lol]", item="[{}]"):
    lines = [f"a0: {root}"]
    for i in range(1, levels):
        inner = item.format(", ".join([f"*a{i - 1}"] * width))
        lines.append(f"a{i}: &a{i} {inner}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(bomb(9), id="of lists"),
        pytest.param(bomb(100, width=2), id="of pairs"),
        pytest.param(bomb(9, root="&a0 {x: 1}", item="{{<<: [{}]}}"), id="of merged mappings"),
        pytest.param(bomb(9, root=f"&a0 {'long text ' * 5000}"), id="of text"),
        pytest.param(f"a: [{'x,' * 60_000}]", id="of values"),
        pytest.param(f"a: &x {'y' * 100_000}\nb: [{'*x,' * 1000}]", id="of one text"),
    ],
)
def test_a_bomb_is_refused_at_once(text):
    start = time.monotonic()

    with pytest.raises(UnsafePackageError, match="model.yaml has too many values") as caught:
        read(text)

    assert isinstance(caught.value, ValueError)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: " + "[" * 100_000, id="of lists"),
        pytest.param("a: " + "{a: " * 60 + "}" * 60, id="of mappings"),
        pytest.param("- " * 60 + "x", id="of blocks"),
        pytest.param("? " * 60 + "x", id="of keys"),
        pytest.param(
            "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60))]),
            id="of aliases",
        ),
    ],
)
def test_nesting_without_end_is_refused_at_once(text):
    start = time.monotonic()

    with pytest.raises(UnsafePackageError, match="model.yaml is nested too deep: expected at most"):
        read(text)

    assert time.monotonic() - start < 20


def test_as_deep_as_is_allowed_is_read():
    text = "a: " + "[" * (fields.DEPTH - 1) + "]" * (fields.DEPTH - 1)

    assert len(read(text)) == 1
    with pytest.raises(UnsafePackageError, match="too deep"):
        read(text.replace("[]", "[[]]"))


def test_too_long_a_text_is_not_parsed():
    start = time.monotonic()

    with pytest.raises(
        UnsafePackageError, match="model.yaml is too long: expected at most 1048576"
    ):
        fields_of(b"a" * (fields.LENGTH + 1), "model.yaml")

    assert time.monotonic() - start < 1


def test_what_holds_itself_is_refused():
    with pytest.raises(UnsafePackageError, match="holds itself: got alias a"):
        read("a: &a {b: [*a]}")


def test_another_version_of_yaml_is_refused():
    # its numbers of base 60 take quadratic time
    with pytest.raises(UnsafePackageError, match="another version of YAML: expected 1.2"):
        read("%YAML 1.1\n---\na: 1" + ":1" * 400_000)
    assert read("%YAML 1.2\n---\na: 1") == {"a": 1}


@pytest.mark.parametrize("number", ["1", "-1", "0x", "0o1", "0b1", "!!int 0x", "!!int '0x", "1_"])
def test_numbers_without_end_are_refused(number):
    end = "'" if "'" in number else ""

    with pytest.raises(UnsafePackageError, match="too long a number: expected at most 1000 digits"):
        read(f"a: {number}{'1' * 5000}{end}")
    assert read(f"a: {number}{'1' * 30}{end}")


@pytest.mark.parametrize(
    "text", ["a: !!python/object/apply:os.system ['exit']", "a: !!python/name:os.system", "a: !x y"]
)
def test_tags_make_no_objects(text):
    with pytest.raises(DescriptionError, match="can not read model.yaml as YAML.*tag"):
        read(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{unclosed", "can not read model.yaml as YAML"),
        ("a: *b", "undefined alias"),
        ("a: 1\na: 2", "duplicate key"),
        ("a: 1\n---\nb: 2", "single document"),
        ("just words", "expected named fields, got str"),
        ("", "expected named fields, got NoneType"),
        ("[1, 2]", "expected named fields, got list"),
    ],
)
def test_what_is_no_description_is_an_error(text, why):
    with pytest.raises(DescriptionError, match=why):
        read(text)
