"""The report shows what was found, in one page that a browser opens without network or script."""

import base64
import re
import shutil
import subprocess
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imageio.v3 import imread
from tampered import drawn

import bioimageio_fn as fn
from bioimageio_fn.deviation import deviations
from bioimageio_fn.errors import FileWriteError
from bioimageio_fn.sample import Sample
from bioimageio_fn.seams import measure_seams
from bioimageio_fn.tensor import Tensor
from bioimageio_fn.validation.diagnosis import diagnose
from bioimageio_fn.validation.labels import match_objects
from bioimageio_fn.validation.records import (
    Agreement,
    FormatReport,
    Reach,
    Reproduction,
    Tolerance,
)
from bioimageio_fn.validation.report import html_report, save_report
from bioimageio_fn.validation.report_charts import fates, histogram, reach_bar
from bioimageio_fn.validation.report_pictures import (
    LONGEST,
    difference_picture,
    label_picture,
    plane,
    value_picture,
)
from bioimageio_fn.validation.tolerating import exceeding

TOLERANCE = Tolerance(1e-3, 1e-3, 100)
PINK = (255, 0, 170)


def pixels(picture):
    head, content = picture.uri.split(",")
    assert head == "data:image/png;base64"
    return imread(base64.b64decode(content), extension=".png")


def reproduction(output, produced, expected, tolerance=TOLERANCE):
    diagnosis = diagnose(produced, expected, tolerance)
    size, same = expected.data.size, produced.shape == expected.shape
    p, e = np.asarray(produced), np.asarray(expected)
    apart = deviations(p, e) if same else np.full(expected.shape, np.inf)
    place = np.unravel_index(apart.argmax(), apart.shape)
    over = int(exceeding(p, e, tolerance).sum()) if same else size
    agreement = Agreement(
        output=output,
        tolerance=tolerance,
        mismatched=over,
        size=size,
        largest_difference=float(apart[place]),
        where=dict(zip(expected.axes, map(int, place), strict=True)) if same else {},
        expected_there=float(e[place]),
        produced_there=float(p[place]) if same else np.nan,
    )
    return Reproduction("onnx", output, expected, produced, agreement, diagnosis)


@pytest.fixture(scope="module")
def reports(demo):
    """What a test of the demo model could have found: every kind of picture, chart and table."""
    image = fn.as_sample(np.asarray(fn.read_image(fn.demo_image()))[..., :90, :150], demo.contract)
    plan = fn.default_plan(demo, image, block_shape={"x": 112})
    expected = demo(image)["probability"]
    array = np.asarray(expected)
    holes = array.copy()
    holes[..., 20:60, 50:90] = np.nan
    objects = drawn(["same", "split", "missing"], 1, range(1, 9))
    labels, others = (Tensor(a.astype("int32")[None], "byx") for a in objects)
    return (
        FormatReport(
            "onnx", "cpu", image,
            (
                reproduction("holes", Tensor(holes, "bcyx"), expected),
                reproduction("probability", expected, expected),
                reproduction("flipped", Tensor(array[..., ::-1], "bcyx"), expected),
                reproduction("labels", others, labels),
                reproduction("cut", Tensor(array[..., 8:-8, 8:-8], "bcyx"), expected),
                reproduction("vector", Tensor(np.arange(5.0), "c"), Tensor(np.ones(5), "c")),
                reproduction("mask", Tensor(array > 0.9, "bcyx"), Tensor(array > 0.5, "bcyx")),
            ),
            1.5, plan, measure_seams(demo, image, plan),
            (Reach("probability", "x", 22, 20, 16, 256, whole=False),
             Reach("probability", "y", 256, 256, 16, 512, whole=True)),
        ),
        FormatReport("torchscript", "cuda:0", Sample({}), problems=("torch is not installed",)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def summary():
    return fn.load_description(fn.demo_model(), perform_io_checks=False).validation_summary


@pytest.fixture(scope="module")
def page(summary, reports):
    return html_report(summary, reports, title="Nuclei")


# ---------------------------------------------------------------- the page


def test_the_page_says_what_was_found(page, reports):
    for report in reports:
        assert f"<h2>{report.weights_format} " in page
        for one in report.reproductions:
            assert f"<h3>{one.output} " in page
            assert one.diagnosis.text in page
            assert str(one.agreement.tolerance) in page
    assert page.count("✓ same") == 2  # in the table, and at the output
    assert page.count("✗ flipped") == 2
    assert str(reports[0].plan) in page
    assert "1.50 s" in page
    assert "torch is not installed" in page
    assert "blocks equal the whole" in page
    assert "halo is too short" in page
    assert "no halo is long enough" in page
    assert "bioimageio.spec format validation model" in page
    assert "<li>bioimageio.spec 0." in page


def test_the_page_needs_nothing_but_itself(page):
    assert "<script" not in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "url(" not in page
    assert page.count("<img ") == page.count('src="data:image/png;base64,') > 12


def test_the_same_test_gives_the_same_page(page, summary, reports):
    assert html_report(summary, reports, title="Nuclei") == page


def test_what_a_stranger_writes_is_no_html(summary):
    hostile = "<script>alert('x')</script><img src=x onerror=\"y\">"
    tensor = Tensor(np.zeros((4, 4)), "yx")
    detail = summary.details[0].model_copy(update={"name": hostile})
    spoiled = summary.model_copy(update={"source_name": hostile, "details": [detail]})
    report = FormatReport(
        hostile, hostile, Sample({hostile: tensor}), (reproduction(hostile, tensor, tensor),),
        problems=(hostile,), reaches=(Reach(hostile, "x", 1, 1, 1, 9, whole=False),),
    )  # fmt: skip

    page = html_report(spoiled, (report,), title=hostile)

    assert "<script" not in page
    assert not re.search(r"<img (?!src=\"data:)", page)
    assert 'onerror="' not in page
    assert page.count("&lt;script&gt;alert(") > 8


def test_a_description_alone_has_a_page_too(summary):
    page = html_report(summary)

    assert str(summary.source_name) in page
    assert "valid format" in page
    assert "<img" not in page


@pytest.mark.parametrize(("suffix", "start"), [("html", "<!doctype html>"), ("json", "{")])
def test_it_is_written_as_page_or_json(tmp_path, summary, suffix, start):
    path = save_report(tmp_path / "new" / f"report.{suffix}", summary)

    assert path.read_text("utf-8").startswith(start)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    if suffix == "json":
        assert fn.ValidationSummary.load_json(path).status == summary.status


def test_it_is_written_as_markdown(tmp_path, summary):
    assert "valid-format" in save_report(tmp_path / "report.md", summary).read_text("utf-8")


def test_other_files_are_refused(tmp_path, summary):
    with pytest.raises(FileWriteError, match="expected .html, .md or .json, got .pdf"):
        save_report(tmp_path / "report.pdf", summary)
    with pytest.raises(FileWriteError):
        save_report(tmp_path, summary)
    assert not list(tmp_path.iterdir())


@st.composite
def any_tensor(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=5))
    dtype = draw(st.sampled_from(["bool", "uint8", "uint64", "int64", "float16", "float64"]))
    axes = draw(st.permutations(["batch", "channel", "y", "x"]))[: len(shape)]
    return Tensor(draw(hnp.arrays(dtype, shape)), axes)


@settings(max_examples=60)
@given(any_tensor(), st.data())
def test_anything_has_a_page(summary, expected, data):
    dtype = data.draw(st.sampled_from(["bool", "int16", "float32"]))
    same = data.draw(st.booleans())
    shape = expected.shape if same else tuple(n + 1 for n in expected.shape)
    produced = Tensor(data.draw(hnp.arrays(dtype, shape)), expected.axes)
    one = reproduction("out", produced, expected)

    page = html_report(summary, [FormatReport("onnx", "cpu", Sample({"raw": expected}), (one,))])

    assert page.count("<img ") == (4 if same else 3)


# ---------------------------------------------------------------- pictures


@settings(max_examples=40)
@given(st.permutations(list("bczyx")), st.data())
def test_a_plane_is_y_and_x_through_a_place(axes, data):
    sizes = {"b": 2, "c": 3, "z": 4, "y": 5, "x": 6}
    shape = [sizes[a] for a in axes]
    tensor = Tensor(np.arange(np.prod(shape)).reshape(shape), axes)
    at = {a: data.draw(st.integers(0, n - 1)) for a, n in tensor.sizes.items()}

    shown = plane(tensor, at)

    assert set(shown.axes) == {"y", "x"}
    assert shown.where == {a: i for a, i in at.items() if a not in ("y", "x")}
    there = tuple(at[a] for a in shown.axes)
    assert shown.array[there] == np.asarray(tensor)[tuple(at[a] for a in tensor.axes)]


@pytest.mark.parametrize(
    ("axes", "shape", "rows"),
    [
        ("c", (5,), (1, 5)),
        ("bc", (2, 5), (2, 5)),
        ("x", (7,), (1, 7)),
        ("bcx", (1, 1, 7), (1, 7)),
        ("bt", (1, 1), (1, 1)),
        ("tyx", (3, 1, 9), (3, 9)),
        (("height", "width"), (4, 6), (4, 6)),
    ],
)
def test_every_tensor_has_a_plane(axes, shape, rows):
    picture = value_picture(Tensor(np.random.default_rng(0).random(shape), axes))

    assert picture.shape == rows
    assert pixels(picture).shape == (*rows, 3)


def test_larger_values_are_brighter_and_what_is_not_finite_is_pink():
    array = np.linspace(-5, 9, 40).reshape(4, 10)
    for grey in (True, False):
        shown = pixels(value_picture(Tensor(array, "yx"), grey=grey)).astype(float)
        assert (np.diff(shown.sum(-1).ravel()) > 0).all()
    array[0, 0] = -5
    array[2, 3], array[1, 1] = np.nan, np.inf

    picture = value_picture(Tensor(array, "yx"))

    assert (pixels(picture) == PINK).all(-1).sum() == 2
    assert (picture.scale.low, picture.scale.high) == (-5, 9)
    assert not picture.finite


def test_a_bright_speck_does_not_make_an_image_dark():
    array = np.random.default_rng(0).uniform(0, 100, (50, 50))
    array[7, 9] = 4000

    picture = value_picture(Tensor(array, "yx"), grey=True)

    assert picture.scale.high < 100
    assert pixels(picture).mean() == pytest.approx(127, abs=5)


def test_colour_images_keep_their_colours():
    array = np.random.default_rng(0).integers(0, 256, (1, 3, 20, 30)).astype("uint8")

    np.testing.assert_array_equal(
        pixels(value_picture(Tensor(array, "bcyx"))), np.moveaxis(array[0], 0, -1)
    )


def test_equal_labels_have_equal_colours_and_background_is_dark():
    labels = np.arange(30).reshape(5, 6)
    shown = pixels(label_picture(Tensor(np.kron(labels, np.ones((2, 2), int)), "yx")))

    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 30
    assert shown[0, 0].max() < 20 < shown[2:].max(-1).min()
    np.testing.assert_array_equal(shown[::2, ::2], shown[1::2, 1::2])


@settings(max_examples=10)
@given(st.integers(0, 3 * LONGEST), st.integers(0, 3 * LONGEST), st.sampled_from([-1.0, 1.0]))
def test_no_difference_is_lost_in_a_picture_that_is_smaller(y, x, sign):
    expected = np.zeros((3 * LONGEST + 1, 3 * LONGEST + 1), "float32")
    produced = expected.copy()
    produced[y, x] = sign

    picture = difference_picture(Tensor(produced, "yx"), Tensor(expected, "yx"), {}, least=1e-3)

    shown = pixels(picture).astype(int)
    assert max(shown.shape) <= LONGEST
    other = np.argwhere((shown != shown[0 if y > 9 else -1, 0]).any(-1))
    assert other.tolist() == [[y // 4, x // 4]]
    red, _, blue = shown[tuple(other[0])]
    assert (red > blue) == (sign > 0)


def test_large_images_are_small_pictures_and_keep_their_place():
    array = np.zeros((1000, 1500))
    array[500:, 750:] = 1

    shown = pixels(value_picture(Tensor(array, "yx"), grey=True))

    assert shown.shape == (250, 375, 3)
    np.testing.assert_array_equal(shown[..., 0] == 255, array[::4, ::4] == 1)


# ---------------------------------------------------------------- charts


@settings(max_examples=40)
@given(st.lists(st.floats(), min_size=1), st.lists(st.floats(), min_size=1))
def test_a_histogram_is_drawn_of_any_values(expected, produced):
    chart = histogram(np.array(expected), np.array(produced))

    assert "nan" not in chart.replace("no finite values", "")
    numbers = [
        float(n) for d in re.findall(r' d="([^"]*)"', chart) for n in re.findall(r"[\d.]+", d)
    ]
    assert all(0 <= n <= 320 for n in numbers)


def test_bars_show_parts_of_what_they_show():
    expected, produced = drawn(["same", "same", "missing", "split"], 0, range(1, 9))
    objects = match_objects(Tensor(produced, "yx"), Tensor(expected, "yx"))

    chart = fates(objects)

    assert [float(w) for w in re.findall(r'width="([\d.]+)"', chart)] == [160, 80, 80]
    assert str(objects) in chart
    covered = reach_bar(Reach("out", "x", 8, 4, 16, 64, whole=False))
    halo, reach = (float(w) for w in re.findall(r'width="([\d.]+)"', covered))
    assert reach / halo == pytest.approx(12 / 32, rel=1e-2)
    assert 'class="ok"' in covered


# ---------------------------------------------------------------- in a browser


BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    profile = tmp_path_factory.mktemp("profile")

    def opened(page: Path, *options):
        """What a browser without network prints, and what it logs of the page."""
        command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--enable-logging=stderr", "--v=0", "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}", *options, page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return done.stdout, console

    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_page(browser, page, tmp_path, scheme):
    (tmp_path / "report.html").write_text(page, "utf-8")
    shot = tmp_path / "shot.png"
    _, console = browser(
        tmp_path / "report.html",
        f"--screenshot={shot}",
        "--window-size=1240,1800",
        f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
    )

    assert console == []
    seen = imread(shot)[..., :3].astype(int)
    assert seen.shape[:2] == (1800, 1240)
    assert (seen[5, 5].mean() > 128) == (scheme == "light")
    # the holes of a picture, which only its PNG has
    assert (seen == PINK).all(-1).sum() > 1000


def test_a_browser_loads_every_picture_of_the_page(browser, page, tmp_path):
    """A script, for which the policy is opened, tells how large each picture is."""
    asked = page.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    asked += "<script>document.title = Array.from(document.images, i => i.naturalWidth)</script>"
    (tmp_path / "report.html").write_text(asked, "utf-8")

    dom, console = browser(tmp_path / "report.html", "--dump-dom")

    widths = [int(n) for n in re.search(r"<title>([\d,]+)</title>", dom)[1].split(",")]
    assert console == []
    assert len(widths) == page.count("<img ")
    assert min(widths) > 0
    assert 150 in widths


def test_the_browser_says_so_if_a_page_is_wrong(browser, page, tmp_path):
    wrong = page.replace("</main>", '<img src="https://example.org/x.png"></main>')
    (tmp_path / "report.html").write_text(wrong, "utf-8")

    _, console = browser(tmp_path / "report.html", "--dump-dom")

    assert any("Content Security Policy" in line for line in console)
