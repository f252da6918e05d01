"""Keras: real models, made here, against their own direct call; and files that are refused."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import threading
import zipfile

import h5py
import numpy as np
import pytest
from descriptions import write
from networks import described, images, network
from through_predict import BOTH, CASES, check_case, check_optional

import bioimageio_fn as fn
from bioimageio_fn.backends.formats import obstacle
from bioimageio_fn.backends.keras import KerasBackend
from bioimageio_fn.backends.keras_framework import keras_framework
from bioimageio_fn.errors import (
    BackendError,
    FileReadError,
    MissingDependencyError,
    UnsafePackageError,
    UntrustedCodeError,
)
from bioimageio_fn.files import sha256_of

pytestmark = [
    pytest.mark.xdist_group("tensorflow"),  # which takes seconds to be imported
    # of Keras, which makes arrays of TensorFlow's variables
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

KINDS = ("keras_v3", "keras_hdf5")


@pytest.mark.parametrize(
    ("kind", "case"),
    [(k, c) for k in KINDS for c in CASES if (k, c[0]) != ("keras_v3", "0.4")],
    ids=str,
)
def test_predict_gives_what_keras_gives(kind, case, tmp_path):
    check_case(kind, tmp_path, *case)


def test_an_optional_input_may_be_left_out(tmp_path):
    check_optional("keras_v3", tmp_path)


def test_a_network_that_needs_an_optional_input_says_so(tmp_path):
    content, _ = network("keras_v3", tmp_path / "n", inputs=BOTH)
    model = described("keras_v3", "0.5", inputs=BOTH, optional=True)
    path = write(tmp_path / "m", model, weights={"keras_v3": content})

    with pytest.raises(BackendError, match=r"can not be run without one .*\(tensor 'aux'\)"):
        fn.predict(model=path, inputs={"raw": images("keras_v3")})


def saved(folder, model, suffix="keras"):
    path = folder / f"m.{suffix}"
    model.save(path)
    return path


@pytest.fixture
def two_of_each(tmp_path):
    """A network ("b", "a") -> {"zeta": a - b, "alpha": a + b}, saved by names."""
    import keras

    b, a = (keras.Input((3,), name=name) for name in "ba")
    outputs = {"zeta": keras.layers.Subtract()([a, b]), "alpha": keras.layers.Add()([a, b])}
    return saved(tmp_path, keras.Model({"b": b, "a": a}, outputs))


A, B = np.full((2, 3), 5, "float32"), np.full((2, 3), 2, "float32")


@pytest.mark.parametrize("outputs", [("zeta", "alpha"), ("alpha", "zeta")])
@pytest.mark.parametrize("inputs", [("a", "b"), ("b", "a")])
def test_inputs_and_outputs_are_bound_by_name(two_of_each, inputs, outputs):
    backend = KerasBackend(two_of_each, input_ids=inputs, output_ids=outputs)

    results = backend(*({"a": A, "b": B}[name] for name in inputs))

    assert [r[0, 0] for r in results] == [{"zeta": 3, "alpha": 7}[name] for name in outputs]


def test_other_names_are_bound_in_the_order_of_the_model_not_of_the_alphabet(two_of_each):
    backend = KerasBackend(two_of_each, input_ids=["first", "second"], output_ids=["x", "y"])

    difference, total = backend(B, A)

    assert (difference[0, 0], total[0, 0]) == (3, 7)


def test_the_signature_says_names_sizes_and_types(two_of_each):
    (a, b) = KerasBackend(two_of_each, input_ids=["a", "b"]).signature.inputs

    assert (a.name, a.shape, a.dtype, a.optional) == ("a", (None, 3), "float32", False)
    assert b.name == "b"


def test_outputs_of_one_layer_are_bound_in_order(tmp_path):
    import keras

    x, layer = keras.Input((3,), name="x"), keras.layers.Activation("relu", name="act")
    path = saved(tmp_path, keras.Model(x, [layer(x), layer(-x)]))
    backend = KerasBackend(path, input_ids=["raw"], output_ids=["positive", "negative"])
    array = np.float32([[1, -1, 2]])

    positive, negative = backend(array)

    assert (positive.tolist(), negative.tolist()) == ([[1, 0, 2]], [[0, 1, 0]])


@pytest.mark.parametrize("array", [A.astype(">f8"), A[::-1, ::-1], A.astype("uint8")], ids=str)
def test_inputs_are_cast_to_what_the_network_takes(two_of_each, array):
    array.flags.writeable = False
    backend = KerasBackend(two_of_each, input_ids=["a", "b"], output_ids=["zeta", "alpha"])

    assert [r.dtype for r in backend(array, B)] == ["float32"] * 2
    assert backend(array, B)[0][0, 0] == 3


def test_a_sequential_model_and_one_of_several_types_run(tmp_path):
    import keras

    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Sequential([ids, keras.layers.Embedding(5, 2)])
    backend = KerasBackend(saved(tmp_path, model), input_ids=["labels"], output_ids=["e"])
    labels = np.array([[0, 4, 2]], "uint16")

    (result,) = backend(labels)

    np.testing.assert_array_equal(result, np.asarray(model(labels)))
    assert backend.signature.inputs[0].dtype == "int32"


def test_a_model_that_is_a_class_runs_where_its_class_is_known(tmp_path):
    import keras

    @keras.saving.register_keras_serializable("tests")
    class Sum(keras.Model):
        def call(self, inputs):
            return inputs[0] - inputs[1]

    model = Sum()
    model([A, B])
    backend = KerasBackend(saved(tmp_path, model), input_ids=["x", "y"], output_ids=["sum"])

    assert backend(A, B)[0][0, 0] == 3


def test_a_recipe_pickles_closes_twice_and_opens_again(two_of_each):
    with KerasBackend(two_of_each, input_ids=["a", "b"]) as backend:
        first = backend(A, B)
    backend.close()

    np.testing.assert_array_equal(pickle.loads(pickle.dumps(backend))(A, B), first)


def test_threads_get_the_results_of_their_own_inputs(two_of_each):
    backend = KerasBackend(two_of_each, input_ids=["a", "b"], output_ids=["zeta", "alpha"])
    results = {}

    def work(i):
        results[i] = [backend(A * (i + n), B)[0][0, 0] for n in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {i: [5 * (i + n) - 2 for n in range(5)] for i in range(4)}


# ---------------------------------------------------------------- files that are refused


@pytest.fixture(params=["keras", "h5"])
def with_lambda(tmp_path, request):
    """A network with a Lambda layer that leaves a trace where it runs."""
    import keras

    trace = str(tmp_path / "trace")  # what is saved is bytecode, which takes text along
    leave = lambda x: (open(trace, "w").close(), x + 1)[1]  # noqa: E731, PTH123
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(leave)])
    x = keras.Input((3,), name="x")
    path = saved(tmp_path, keras.Model(x, inner(x)), request.param)
    (tmp_path / "trace").unlink(missing_ok=True)
    return path


def test_a_lambda_layer_does_not_run_without_consent(with_lambda):
    with pytest.raises(UntrustedCodeError, match=r"Lambda.*trust_code=True.*other weights"):
        KerasBackend(with_lambda)(A)
    with pytest.raises(UntrustedCodeError, match=sha256_of(with_lambda)):
        KerasBackend(with_lambda, said={"0" * 64})(A)

    assert not (with_lambda.parent / "trace").exists()


@pytest.mark.filterwarnings("ignore")  # of what a layer does that nobody should write
@pytest.mark.parametrize("said", [lambda _: True, lambda path: {sha256_of(path)}])
def test_a_lambda_layer_runs_with_consent(with_lambda, said):
    assert KerasBackend(with_lambda, said=said(with_lambda))(A)[0][0, 0] == 6
    assert (with_lambda.parent / "trace").exists()


def test_consent_goes_from_load_backend_to_the_file(tmp_path):
    import keras

    x = keras.Input((None, None, 1), name="raw")
    model = keras.Model(x, keras.layers.Lambda(lambda t: t * 2, name="out")(x))
    content = saved(tmp_path, model).read_bytes()
    path = write(tmp_path / "m", described("keras_v3", "0.5"), weights={"keras_v3": content})
    image = images("keras_v3")

    with pytest.raises(UntrustedCodeError, match="trust_code=True"):
        fn.predict(model=path, inputs=image)
    result = fn.predict(model=path, inputs=image, trust_code=True)

    np.testing.assert_allclose(np.asarray(result), image * 2, atol=1e-6)


@pytest.fixture
def small(tmp_path):
    """A network without anything strange, and the parts of its `.keras` file."""
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="dense")])
    with zipfile.ZipFile(saved(tmp_path, model)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def with_layer(path, parts, change):
    """The file, with the config of its dense layer changed."""
    config = json.loads(parts["config.json"])
    change(next(la for la in config["config"]["layers"] if la["class_name"] == "Dense"))
    return packed(path, parts | {"config.json": json.dumps(config)})


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.update(module="subprocess", class_name="function", config="run"),
        lambda layer: layer.update(module="os.path", class_name="Dense"),
        lambda layer: layer.update(module="kerasx", class_name="Dense"),
        lambda layer: layer["config"].update(activation={"module": "os", "config": "system"}),
    ],
)
def test_what_a_config_names_of_other_libraries_needs_consent(tmp_path, small, change):
    path = with_layer(tmp_path / "m.keras", small, change)

    with pytest.raises(UntrustedCodeError, match=r"runs code of its own: .* of the library \w+"):
        KerasBackend(path)(A)


def test_an_old_release_of_keras_is_refused_before_files_are_opened(monkeypatch, two_of_each):
    import keras

    monkeypatch.setattr(keras, "__version__", "3.11.3")
    with pytest.raises(MissingDependencyError, match=r"expected keras>=3.12, got 3.11.3; pip"):
        KerasBackend(two_of_each)(A, B)


def test_an_old_release_of_keras_is_none_to_choose(monkeypatch, tmp_path):
    (tmp_path / "keras-3.8.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: keras\nVersion: 3.8.0\n"
    (tmp_path / "keras-3.8.0.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)

    assert "expected keras>=3.12, got 3.8.0" in str(obstacle("keras_v3"))


def h5_with(folder, change):
    """A `.keras` and an `.h5` file whose HDF5 part was changed."""
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    plain, packed = saved(folder, model, "h5"), saved(folder, model)
    with zipfile.ZipFile(packed) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for file in (plain, weights := io.BytesIO(parts["model.weights.h5"])):
        with h5py.File(file, "r+") as content:
            change(content)
    parts["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return plain, packed


def external_link(file):
    file.create_group("more")["secret"] = h5py.ExternalLink("/etc/secret.h5", "/x")


def external_storage(file):
    file.create_dataset("secret", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/secret.h5", "x", (4,))
    file.create_virtual_dataset("secret", layout)


@pytest.mark.parametrize("change", [external_link, external_storage, virtual])
@pytest.mark.parametrize("said", [False, True])
def test_hdf5_that_takes_data_from_other_files_is_refused(tmp_path, change, said):
    for path in h5_with(tmp_path, change):
        with pytest.raises(UnsafePackageError, match="takes data from another file.*secret"):
            KerasBackend(path, said=said)(A)


def test_hdf5_out_of_which_more_would_come_than_it_can_hold_is_refused(tmp_path):
    def bomb(file):
        file.create_dataset("zeros", (2**28,), "f4", chunks=(2**20,), compression="gzip")

    for path in h5_with(tmp_path, bomb):
        assert path.stat().st_size < 2**20
        with pytest.raises(UnsafePackageError, match="more would come out of it than it can hon"):
            KerasBackend(path)(A)


def test_a_keras_file_that_is_a_bomb_is_refused_before_it_is_unpacked(tmp_path, small):
    path = packed(tmp_path / "m.keras", small | {"x.h5": bytes(101 * 2**20)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20

    with pytest.raises(UnsafePackageError, match="more would come out of it than it can honestly"):
        KerasBackend(path)(A)


def test_a_keras_file_that_lies_about_its_sizes_is_refused(tmp_path, small):
    large, little = struct.pack("<L", 1_234_567), struct.pack("<L", 1000)
    path = packed(tmp_path / "m.keras", small | {"x.h5": bytes(1_234_567)}, zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    assert content.count(large) == 2  # before the member, and in the list
    path.write_bytes(content.replace(large, little))

    with pytest.raises(FileReadError, match="can not read m.keras as a file of Keras: Bad CRC"):
        KerasBackend(path)(A)


def test_a_compression_that_can_not_be_limited_is_refused(tmp_path, small):
    path = packed(tmp_path / "m.keras", small, zipfile.ZIP_LZMA)

    with pytest.raises(FileReadError, match="compressed by something else than deflate"):
        KerasBackend(path)(A)


@pytest.mark.parametrize("said", [False, True])
def test_a_vocabulary_in_another_file_is_refused(tmp_path, small, said):
    config = {"vocabulary": "/etc/passwd", "output_mode": "int"}
    path = with_layer(
        tmp_path / "m.keras",
        small,
        lambda layer: layer.update(class_name="StringLookup", config=config),
    )

    with pytest.raises(UnsafePackageError, match="takes data from another file: .* /etc/passwd"):
        KerasBackend(path, said=said)(A)


def both_at_once(path):
    """The file, which is a zip archive too: that of a harmless config."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", "{}")
    path.write_bytes(path.read_bytes() + buffer.getvalue())
    return path


@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("suffix", ["h5", "hdf5"])
def test_a_file_that_is_hdf5_and_zip_at_once_is_refused(tmp_path, suffix, said):
    plain, _ = h5_with(tmp_path, external_storage)
    path = both_at_once(plain.rename(plain.with_suffix(f".{suffix}")))

    with pytest.raises(FileReadError, match="expected a zip archive named .keras, or an HDF5 file"):
        KerasBackend(path, said=said)(A)


def test_objects_that_lie_in_many_groups_are_looked_at_once(tmp_path):
    def doubled(file):
        group = file.create_group("more")
        for _ in range(60):  # 2 ** 60 ways lead to the last of them
            below = group.create_group("a")
            group["b"] = below
            group = below
        group["up"] = file["more"]

    plain, _ = h5_with(tmp_path, doubled)

    assert KerasBackend(plain)(A)[0].shape == (2, 3)


def test_soft_links_within_a_file_are_no_harm(tmp_path):
    def soft_link(file):
        file["again"] = h5py.SoftLink("/")

    plain, _ = h5_with(tmp_path, soft_link)

    assert KerasBackend(plain)(A)[0].shape == (2, 3)


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_damaged_file_is_an_error_of_ours(tmp_path, content, suffix):
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)

    with pytest.raises(FileReadError, match="can not read broken"):
        KerasBackend(path)(A)


def test_a_network_that_refuses_its_input_is_an_error_of_ours(two_of_each):
    with pytest.raises(BackendError, match="Keras can not run m.keras: .*shape"):
        KerasBackend(two_of_each, input_ids=["a", "b"])(np.zeros((2, 5), "float32"), B)


# ---------------------------------------------------------------- other frameworks below Keras


@pytest.mark.parametrize("where", ["environment", "file", "default"])
def test_the_framework_of_keras_is_told_as_keras_tells_it(tmp_path, monkeypatch, where):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if where == "environment":
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    if where != "default":
        (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))

    expected = {"environment": "jax", "file": "torch", "default": "tensorflow"}[where]
    assert keras_framework() == expected


def test_a_framework_that_is_missing_below_keras_is_what_to_install(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "framework_of_nobody")

    text = str(obstacle("keras_v3"))

    assert "the package framework_of_nobody is not installed; install framework_of_nobody, " in text
    assert "or set Keras to another framework (KERAS_BACKEND)" in text
    assert "bioimageio_fn[tensorflow]" not in text


def test_keras_runs_on_pytorch_without_tensorflow(two_of_each):
    code = (
        "import sys, numpy as np\n"
        "from bioimageio_fn.backends.keras import KerasBackend\n"
        "a = np.full((2, 3), 5, 'float32'); a.flags.writeable = False\n"
        f"backend = KerasBackend({str(two_of_each)!r}, input_ids=['b', 'a'])\n"
        "print([float(r[0, 0]) for r in backend(a - 3, a)], 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error:The given NumPy array", "-c", code],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "torch"},
    )

    assert done.stdout.strip() == "[3.0, 7.0] False", done.stderr
