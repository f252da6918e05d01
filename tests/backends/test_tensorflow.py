"""SavedModels: real ones, made here, against TensorFlow itself; names and orders; errors."""

import pickle
import shutil
import threading

import numpy as np
import pytest
from descriptions import write
from networks import described, images, network
from through_predict import BOTH, CASES, check_case

import bioimageio_fn as fn
from bioimageio_fn.backends.tensorflow import TensorflowBackend
from bioimageio_fn.errors import (
    BackendError,
    DeviceError,
    FileReadError,
    HashMismatchError,
    UnsafePackageError,
)

pytestmark = pytest.mark.xdist_group("tensorflow")  # which takes seconds to be imported

KIND = "tensorflow_saved_model_bundle"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Archives are unpacked here, and not to the cache of whoever runs the tests."""
    monkeypatch.setattr(fn.settings, "cache_path", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_predict_gives_what_tensorflow_gives(case, tmp_path):
    check_case(KIND, tmp_path, *case)


def test_an_optional_input_can_not_be_left_out_and_the_error_says_so(tmp_path):
    content, _ = network(KIND, tmp_path / "n", inputs=BOTH)
    model = described(KIND, "0.5", inputs=BOTH, optional=True)
    path = write(tmp_path / "m", model, weights={KIND: content})

    with pytest.raises(BackendError, match=r"can not be run without one .*\(tensor 'aux'\)"):
        fn.predict(model=path, inputs={"raw": images(KIND)})


def saved(folder, **functions):
    """A SavedModel of functions of (a, b), each with a dict of outputs."""
    import tensorflow as tf

    module = tf.Module()
    module.one = tf.Variable(1.0)
    spec = tf.TensorSpec((None, 3), tf.float32)
    signatures = {}
    for name, function in functions.items():
        concrete = tf.function(lambda a, b, f=function: f(a, b, module.one))
        signatures[name] = concrete.get_concrete_function(
            a=tf.TensorSpec(spec.shape, spec.dtype, "a"),
            b=tf.TensorSpec(spec.shape, spec.dtype, "b"),
        )
    tf.saved_model.save(module, str(folder), signatures)
    return folder


def both(a, b, one):
    return {"zeta": a - b * one, "alpha": a + b}


A, B = np.full((2, 3), 5, "float32"), np.full((2, 3), 2, "float32")


@pytest.mark.parametrize("outputs", [("zeta", "alpha"), ("alpha", "zeta")])
@pytest.mark.parametrize("inputs", [("a", "b"), ("b", "a")])
def test_inputs_and_outputs_are_bound_by_name(tmp_path, inputs, outputs):
    folder = saved(tmp_path / "s", serving_default=both)
    backend = TensorflowBackend(folder, input_ids=inputs, output_ids=outputs)

    results = backend(*({"a": A, "b": B}[name] for name in inputs))

    assert [r[0, 0] for r in results] == [{"zeta": 3, "alpha": 7}[name] for name in outputs]


def test_names_that_do_not_match_have_no_order_and_are_not_guessed(tmp_path):
    folder = saved(tmp_path / "s", serving_default=both)

    with pytest.raises(BackendError, match=r"no order: expected .* alpha, zeta, got x, y; give"):
        TensorflowBackend(folder, input_ids=["a", "b"], output_ids=["x", "y"])(A, B)


def test_numbered_names_are_an_order(tmp_path):
    def eleven(a, b, one):
        return {f"output_{i}": a + i * one for i in range(11)}

    folder = saved(tmp_path / "s", serving_default=eleven)
    backend = TensorflowBackend(folder, input_ids=["a", "b"], output_ids="abcdefghijk")

    assert [r[0, 0] for r in backend(A, B)] == [5 + i for i in range(11)]


@pytest.mark.parametrize(
    "names", [("conv2d_7", "conv2d_5"), ("conv2d", "conv2d_1"), ("output_1", "output_2")]
)
def test_numbers_that_are_no_places_are_no_order(tmp_path, names):
    folder = saved(
        tmp_path / "s", serving_default=lambda a, b, one: {names[0]: a, names[1]: b * one}
    )

    with pytest.raises(BackendError, match=f"no order: expected .*{names[0]}.*, got x, y; give"):
        TensorflowBackend(folder, input_ids=["a", "b"], output_ids=["x", "y"])(A, B)


def test_the_only_signature_will_do_and_several_will_not(tmp_path):
    folder = saved(tmp_path / "one", other=both)
    assert TensorflowBackend(folder, output_ids=["zeta", "alpha"])(A, B)[0][0, 0] == 3

    folder = saved(tmp_path / "two", first=both, second=both)
    with pytest.raises(BackendError, match="expected a signature serving_default, got first, sec"):
        TensorflowBackend(folder)(A, B)


def test_the_signature_says_names_sizes_and_types(tmp_path):
    (a, b) = TensorflowBackend(saved(tmp_path / "s", serving_default=both)).signature.inputs

    assert (a.name, a.shape, a.dtype, a.optional) == ("a", (None, 3), "float32", False)
    assert b.name == "b"


def zipped(folder, *, inside=None):
    """A zip archive of a folder, perhaps as a folder in it."""
    archive = shutil.make_archive(
        str(folder), "zip", folder.parent if inside else folder, folder.name if inside else None
    )
    return folder.with_suffix(".zip") if archive else None


@pytest.mark.parametrize("inside", [True, False])
def test_a_zip_is_unpacked_to_the_cache_and_nowhere_else(tmp_path, cache, monkeypatch, inside):
    archive = zipped(saved(tmp_path / "s", serving_default=both), inside=inside)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert TensorflowBackend(archive, output_ids=["zeta", "alpha"])(A, B)[0][0, 0] == 3
    assert list((tmp_path / "here").iterdir()) == []
    assert list(cache.rglob("saved_model.pb")) != []


def test_a_zip_that_is_none_or_another_or_holds_no_model_is_refused(tmp_path):
    (tmp_path / "no.zip").write_bytes(b"nothing")
    with pytest.raises(FileReadError, match="can not read no.zip as a zip"):
        TensorflowBackend(tmp_path / "no.zip")(A)
    with pytest.raises(HashMismatchError, match="no.zip was changed"):
        TensorflowBackend(tmp_path / "no.zip", sha256="0" * 64)(A)

    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README").touch()
    with pytest.raises(BackendError, match="expected one file saved_model.pb, got none"):
        TensorflowBackend(zipped(tmp_path / "empty"))(A)


@pytest.mark.parametrize("name", ["saved_model.cpb", "saved_model.pbtxt"])
def test_a_model_in_two_spellings_is_refused(tmp_path, name):
    folder = saved(tmp_path / "s", serving_default=both)
    (folder / name).touch()

    with pytest.raises(BackendError, match="no SavedModel to be run: expected one file"):
        TensorflowBackend(folder)(A, B)


def with_asset(folder):
    """raw -> raw + the number of bytes of a file that comes with the model"""
    import tensorflow as tf

    (folder / "words.txt").write_text("four")
    module = tf.Module()
    module.words = tf.saved_model.Asset(str(folder / "words.txt"))

    def run(raw):
        words = tf.io.read_file(module.words)
        return {"out": raw + tf.cast(tf.strings.length(words), tf.float32)}

    signature = tf.function(run).get_concrete_function(raw=tf.TensorSpec((None, 3), tf.float32))
    tf.saved_model.save(module, str(folder / "s"), signature)
    return folder / "s"


def with_graph(folder, change):
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())


def test_a_model_reads_the_files_that_it_brings_along(tmp_path):
    (result,) = TensorflowBackend(with_asset(tmp_path))(A)

    np.testing.assert_array_equal(result, A + 4)


def test_other_collections_of_a_model_hold_no_files(tmp_path):
    folder = saved(tmp_path / "s", serving_default=both)

    def change(graph):
        one = graph.collection_def["mine"].any_list.value.add()
        one.Pack(type(graph.meta_info_def)(meta_graph_version="1", tags=["x"]))
        one.value += b"\x12\x07../away"

    with_graph(folder, change)

    assert TensorflowBackend(folder, output_ids=["zeta", "alpha"])(A, B)[0][0, 0] == 3


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "link", ".."])
@pytest.mark.parametrize("where", ["field", "collection"])
def test_files_outside_of_the_model_are_refused(tmp_path, name, where):
    from tensorflow.core.protobuf import meta_graph_pb2

    folder = with_asset(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (folder / "assets" / "link").symlink_to(tmp_path / "secret")

    def change(graph):
        if where == "field":
            graph.asset_file_def[0].filename = name
        else:  # as TensorFlow 1 has it
            del graph.asset_file_def[:]
            asset = meta_graph_pb2.AssetFileDef(filename=name)
            graph.collection_def["saved_model_assets"].any_list.value.add().Pack(asset)

    with_graph(folder, change)

    with pytest.raises(
        UnsafePackageError, match="takes a file from outside of its folder: .*asset"
    ):
        TensorflowBackend(folder)(A)


def test_a_model_of_tensorflow_1_runs(tmp_path):
    import tensorflow as tf

    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 3), name="x")
        y = x * v1.get_variable("w", initializer=2.0)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "v1"), {"input": x}, {"output": y})

    (result,) = TensorflowBackend(tmp_path / "v1", input_ids=["raw"], output_ids=["p"])(A)

    np.testing.assert_array_equal(result, 2 * A)


@pytest.mark.parametrize("array", [A.astype(">f8"), A[::-1, ::-1], A.astype("uint8")], ids=str)
def test_inputs_are_cast_to_what_the_network_takes(tmp_path, array):
    array.flags.writeable = False
    backend = TensorflowBackend(saved(tmp_path / "s", serving_default=both))

    assert [r[0, 0] for r in backend(array, B)] == [7, 3]


def test_a_recipe_pickles_closes_twice_and_opens_again(tmp_path):
    with TensorflowBackend(saved(tmp_path / "s", serving_default=both)) as backend:
        first = backend(A, B)
    backend.close()

    np.testing.assert_array_equal(pickle.loads(pickle.dumps(backend))(A, B), first)


def test_threads_get_the_results_of_their_own_inputs(tmp_path):
    backend = TensorflowBackend(
        saved(tmp_path / "s", serving_default=both), output_ids=["zeta", "alpha"]
    )
    results = {}

    def work(i):
        results[i] = [backend(A * (i + n), B)[0][0, 0] for n in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {i: [5 * (i + n) - 2 for n in range(5)] for i in range(4)}


def test_a_network_that_refuses_its_input_is_an_error_of_ours(tmp_path):
    backend = TensorflowBackend(saved(tmp_path / "s", serving_default=both))

    with pytest.raises(BackendError, match="TensorFlow can not run s: "):
        backend(np.zeros((2, 5), "float32"), B)


@pytest.mark.parametrize("kind", [KIND, "keras_v3"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_opened(tmp_path, kind):
    path = write(tmp_path / "m", described(kind, "0.5"), weights={kind: b"nothing"})

    with pytest.raises(DeviceError, match="expected cpu.*got cuda:7"):
        fn.load_backend(path, device="cuda:7")
