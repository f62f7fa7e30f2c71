"""Model files, and files of named arrays: what is read, what is refused, and how."""

from __future__ import annotations

import io
import json
import random
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from autograd_mini import exchange
from autograd_mini.exchange import load_model, read_arrays, reference, unrolled, write_arrays

EXAMPLE = Path(__file__).parent.parent / "examples" / "model.py"
KINDS = [".npz", ".json", ".csv"]

MODEL = """
import numpy as np

X = np.array([[1.0, 2.0, -1.0], [0.5, -1.5, 2.0]])
W = np.array([[0.3, -0.2]])
b = np.array([[0.1]])

def cost(W, b):
    Z = W @ X + b
    A = np.tanh(Z)
    J = np.sum(A**2) / 3
    return J
"""


def written(folder: Path, program: str) -> Path:
    path = folder / "model.py"
    path.write_text(program, encoding="utf-8")
    return path


# ---- model files --------------------------------------------------------------------------------


def test_the_variables_of_cost_have_their_names(tmp_path: Path) -> None:
    model = load_model(written(tmp_path, MODEL))
    assert list(model.values) == ["W", "X", "b", "Z", "A", "J"]
    assert [call.output.name for call in model.run.forward if call.output.name] == ["Z", "A", "J"]
    assert model.names["W"].requires_grad
    assert model.names["J"] is model.J


def test_a_reference_holds_every_named_array_and_the_gradient_by_each() -> None:
    arrays = reference(load_model(EXAMPLE))
    W2, A1, A2, X, Y, dZ2, dZ1 = (
        arrays[name] for name in ("W2", "A1", "A2", "X", "Y", "dZ2", "dZ1")
    )
    np.testing.assert_allclose(dZ2, (A2 - Y) / 5, rtol=1e-13)
    np.testing.assert_allclose(arrays["dW2"], dZ2 @ A1.T, rtol=1e-13)
    np.testing.assert_allclose(dZ1, W2.T @ dZ2 * (1 - A1**2), rtol=1e-13)
    np.testing.assert_allclose(arrays["dW1"], dZ1 @ X.T, rtol=1e-13)
    np.testing.assert_allclose(arrays["db1"], dZ1.sum(axis=1, keepdims=True), rtol=1e-13)
    assert {name for name in arrays if name.startswith("d")} == {
        f"d{name}" for name in ("W1", "b1", "Z1", "A1", "W2", "b2", "Z2", "A2")
    }


def test_parameters_come_from_a_dict_or_from_defaults_too(tmp_path: Path) -> None:
    program = """
import numpy as np
parameters = {"W": np.array([1.0, 2.0])}
def cost(W, b=np.array([3.0]), lam=0.5, *, verbose=False):
    assert verbose is False
    return np.sum((W + b) ** 2) + lam * np.sum(W**2)
"""
    arrays = reference(load_model(written(tmp_path, program)))
    assert arrays["dW"].tolist() == [9, 12]
    assert arrays["db"].tolist() == [18]
    assert arrays["dlam"] == 5


def test_a_dict_of_parameters_and_a_cache_are_looked_into(tmp_path: Path) -> None:
    program = """
import numpy as np
parameters = {"W1": np.array([[1.0, 2.0]]), "b1": np.array([[0.5]])}
X = np.array([[1.0], [-1.0]])
def forward(parameters):
    cache = {"Z1": parameters["W1"] @ X + parameters["b1"]}
    return np.tanh(cache["Z1"]), cache
def cost(parameters):
    A1, cache = forward(parameters)
    return np.sum(A1)
"""
    assert set(load_model(written(tmp_path, program)).gradients) == {"W1", "b1", "Z1", "A1"}


def test_a_parameter_keeps_its_name_where_cost_binds_that_again(tmp_path: Path) -> None:
    program = """
import numpy as np
W = np.array([1.0, 2.0])
def cost(W):
    W = 3 * W
    return np.sum(W**2)
"""
    assert reference(load_model(written(tmp_path, program)))["dW"].tolist() == [18, 36]


@pytest.mark.parametrize(
    ("last", "name"),
    [
        ("return np.sum(W)", "J"),
        ("loss = np.sum(W); return loss", "loss"),
        ("J = np.sum(W); return 2 * J", "cost"),
    ],
)
def test_the_cost_is_named_as_in_the_file_or_else_by_a_free_name(
    last: str, name: str, tmp_path: Path
) -> None:
    program = f"import numpy as np\nW = np.ones(2)\ndef cost(W):\n    {last}\n"
    assert list(load_model(written(tmp_path, program)).values)[-1] == name


def test_float32_stays_and_other_floats_become_float64(tmp_path: Path) -> None:
    program = """
import numpy as np
a, b, c = np.float32([1.0]), np.float16([1.0]), [1.0, 2.0]
def cost(a, b, c):
    return np.sum(a) + np.sum(b) + np.sum(c)
"""
    names = load_model(written(tmp_path, program)).names
    assert [names[name].dtype for name in "abc"] == [np.float32, np.float64, np.float64]


def test_a_model_is_run_beside_its_own_modules_and_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "beside_the_model.py").write_text("factor = 2.0\n")
    program = """
import numpy as np
from beside_the_model import factor
W = np.ones(2)
def cost(W):
    W_data = W.data
    return factor * np.sum(W)
"""
    profiled: list[str] = []

    def profiler(*event: Any) -> None:
        profiled.append(event[1])

    before = sys.path[:]
    sys.setprofile(profiler)
    try:
        load_model(written(tmp_path, program))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
        sys.modules.pop("beside_the_model", None)
    assert sys.path == before


BAD_MODELS = {
    "syntax": ("x = 1\ndef cost(W:\n", r"model\.py, line 2: SyntaxError: .*\n    def cost\(W:"),
    "null byte": ("x = 1\0", r"model\.py.*: (SyntaxError|ValueError): .*null bytes"),
    "exception": (
        MODEL.replace("W @ X", "X @ W"),
        r"model\.py, line 9: ValueError: matmul\(shape \(2, 3\) float64, W of shape"
        r".*\n    Z = X @ W \+ b",
    ),
    "exception at once": ("import numpy\n1 / 0\n", r"line 2: ZeroDivisionError: .*\n    1 / 0"),
    "exit": ("import sys\nsys.exit(3)\n", r"line 2: SystemExit: 3\n    sys\.exit\(3\)"),
    "no cost": ("J = 1.0\n", "no function named cost"),
    "cost is no function": ("cost = 1.0\n", "no function named cost"),
    "no value": (MODEL.replace("b = np", "c = np"), r"cost takes b, .* write b = np\.array"),
    "star": ("def cost(*weights): return 0\n", r"cost takes \*weights: name each"),
    "whole numbers": (MODEL.replace("[[0.1]]", "[[1]]"), r"b holds whole numbers \(int64\)"),
    "text": (MODEL.replace("b = np.array([[0.1]])", "b = 'zero'"), "b is str, and a parameter is"),
    "truth": (MODEL.replace("[[0.1]]", "[[True]]"), "b is bool, and a parameter is"),
    "matrix": (
        MODEL.replace("np.array([[0.1]])", "np.ma.array([[0.1]])"),
        "b is MaskedArray, and a parameter is an array",
    ),
    "ragged": (MODEL.replace("b = np.array([[0.1]])", "b = [[1.0], []]"), "b is no array"),
    "no names": (
        "parameters = {1: 2.0}\ndef cost(parameters):\n    return parameters[1]\n",
        r"parameters\[1\] has no name",
    ),
    "NaN": (MODEL.replace("[[0.1]]", "[[np.nan]]"), "b holds nan"),
    "nothing": (MODEL.replace("return J", "pass"), "cost returned NoneType"),
    "two things": (MODEL.replace("return J", "return J, A"), "cost returned tuple"),
    "an array": (MODEL.replace("return J", "return A"), r"cost returned .*\(1, 3\) .* one number"),
    "constant": (MODEL.replace("return J", "return J.detach()"), "computed from its parameters"),
    "float": (MODEL.replace("return J", "return float(J)"), "has to return one number|float"),
    "NaN in X": (
        MODEL.replace("[[1.0, 2.0", "[[np.nan, 2.0"),
        "cost returned nan: the input X holds such a value already",
    ),
    "NaN on the way": (
        MODEL.replace("A = np.tanh(Z)", "A = np.sqrt(Z - 9)"),
        r"cost returned nan: .* in A = sqrt\(\.\.\.\) at model\.py:10\n    A = np\.sqrt",
    ),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_bad_model_is_refused_with_the_line_or_the_name(name: str, tmp_path: Path) -> None:
    program, message = BAD_MODELS[name]
    profiler = sys.getprofile()
    with pytest.raises(ValueError, match=message):
        load_model(written(tmp_path, program))
    assert sys.getprofile() is profiler


def test_a_model_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "model.py")
    with pytest.raises(ValueError, match="is a folder, not a file"):
        load_model(tmp_path)


# ---- there and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@given(
    arrays(
        np.float64,
        array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_doubles_come_back_bit_by_bit(kind: str, tmp_path: Path, array: Any) -> None:
    # full digits, whatever the others have
    sent = {"J": np.array(1 / 3), "dW": array}
    got = read_arrays(write_arrays(tmp_path / f"a{kind}", sent))
    assert got.precision is None
    assert got.arrays["dW"].tobytes() == array.tobytes()
    if kind != ".json" or array.size:  # a list without elements has no further axes
        assert got.arrays["dW"].shape == array.shape
    assert got.arrays["J"] == sent["J"]
    assert got.arrays["J"].shape == ()


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_known_by_its_numbers(kind: str, tmp_path: Path) -> None:
    sent = {"dW": np.float32([[0.1, 0.2], [1 / 3, -7e-9]])}
    got = read_arrays(write_arrays(tmp_path / f"a{kind}", sent))
    assert got.arrays["dW"].dtype == np.float32
    assert got.precision is None
    assert np.array_equal(got.arrays["dW"], sent["dW"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arrays_give_the_same_bytes_and_nothing_else_in_the_folder(
    kind: str, tmp_path: Path
) -> None:
    arrays = reference(load_model(EXAMPLE))
    path = write_arrays(tmp_path / f"a{kind}", arrays)
    first = path.read_bytes()
    assert write_arrays(path, arrays).read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_an_npz_file_is_one_of_numpy(tmp_path: Path) -> None:
    arrays = {"file": np.ones((2, 3)), "dW": np.zeros((0, 2), np.float32)}
    with np.load(write_arrays(tmp_path / "a.npz", arrays), allow_pickle=False) as loaded:
        assert {name: loaded[name].shape for name in loaded} == {"file": (2, 3), "dW": (0, 2)}
    np.savez_compressed(tmp_path / "b.npz", dW=np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]))
    assert read_arrays(tmp_path / "b.npz").arrays["dW"].tolist() == [[1, 2], [3, 4]]


def test_json_is_json(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "a.json", {"J": 0.5, "dW": [[1.0, 0.1]]})
    assert json.loads(path.read_text()) == {"J": 0.5, "dW": [[1.0, 0.1]]}


@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [1j], ["a"], [True], [None]])
@pytest.mark.parametrize("kind", KINDS)
def test_what_could_not_be_read_back_is_not_written(kind: str, bad: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dW"):
        write_arrays(tmp_path / f"a{kind}", {"dW": bad})
    with pytest.raises(ValueError, match="no name for an array"):
        write_arrays(tmp_path / f"a{kind}", {"d,W": [1.0]})
    assert not list(tmp_path.iterdir())


def test_more_than_would_be_read_back_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LIMIT", 100)
    monkeypatch.setattr(exchange, "TEXT_LIMIT", 100)
    for kind in KINDS:
        with pytest.raises(ValueError, match=r"more than the 100 that .* largest array is X"):
            write_arrays(tmp_path / f"a{kind}", {"J": 1.0, "X": np.ones(50)})
    assert not list(tmp_path.iterdir())


def test_a_reference_with_an_infinity_is_refused(tmp_path: Path) -> None:
    program = MODEL.replace("    return J", "    mask = np.array([0.0, -np.inf])\n    return J")
    with pytest.raises(ValueError, match=r"mask holds NaN or infinity in 1 of 2 .* mask\[1\]"):
        reference(load_model(written(tmp_path, program)))


# ---- digits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "digits"),
    [
        ("0.333333,1,0.5", 6),
        ("1.234567e-05,0.5", 7),
        ("0.00012345,-1200.5", 5),
        ("3,-4,12", None),  # whole numbers are exact
        ("0.12345678901234567,0.5", None),
        ("0.1234567890123456,0.5", None),
        ("0.123456789012345,0.5", 15),
        ("12.3400,0.1234", 6),  # all with four decimals
        ("0.0000,0.0012", 2),
        ("0.0000,0.0000", None),
    ],
)
@pytest.mark.parametrize("kind", [".csv", ".json"])
def test_numbers_are_judged_by_the_digits_they_are_given_with(
    kind: str, numbers: str, digits: int | None, tmp_path: Path
) -> None:
    path = tmp_path / f"a{kind}"
    count = numbers.count(",") + 1
    path.write_text(
        f"dW,{count},{numbers}\n" if kind == ".csv" else f'{{"dW": [{numbers}]}}', encoding="utf-8"
    )
    got = read_arrays(path)
    assert got.digits == digits
    assert got.precision == (None if digits is None else pytest.approx(0.5 * 10 ** (1 - digits)))


def test_with_a_fixed_number_of_decimals_the_smallest_array_has_the_fewest_digits(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("dW,2,1.234567,0.000001\ndb,2,0.001234,0.000012\ndc,1,0.000000\n")
    assert read_arrays(path).digits == 4


@pytest.mark.parametrize("digits", [9, 12, 17])
def test_float32_printed_with_many_digits_is_not_taken_for_float64(
    digits: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    single = rng.standard_normal(20).astype(np.float32)
    path = tmp_path / "a.csv"
    path.write_text("dW,20," + ",".join(f"{x:.{digits}g}" for x in single.tolist()))
    got = read_arrays(path)
    assert got.arrays["dW"].dtype == np.float32
    assert np.array_equal(got.arrays["dW"], single)
    path.write_text("dW,20," + ",".join(f"{x:.{digits}g}" for x in rng.standard_normal(20)))
    assert read_arrays(path).arrays["dW"].dtype == np.float64


# ---- flat lists ---------------------------------------------------------------------------------


def test_flat_lists_are_rolled_up_in_the_order_that_is_said() -> None:
    W = np.arange(12.0).reshape(4, 3)
    shapes = {"dW": W.shape, "db": (1, 1), "dv": (12,), "dX": (4, 3)}
    for order in "CF":
        flat = {
            "dW": W.ravel(order),
            "db": np.array(2.0),
            "dv": W.ravel(),
            "dX": np.ones(11),
            "dY": np.ones(4),
        }
        rolled = unrolled(flat, shapes, order)
        assert np.array_equal(rolled["dW"], W)
        assert {name: array.shape for name, array in rolled.items()} == {
            "dW": (4, 3),
            "db": (1, 1),
            "dv": (12,),
            "dX": (11,),
            "dY": (4,),
        }
    transposed = {"dW": np.ones((3, 4))}  # no list: its shape was meant
    assert unrolled(transposed, shapes, "F")["dW"].shape == (3, 4)


# ---- the way forward ----------------------------------------------------------------------------


def test_values_on_the_way_forward_are_compared_to_their_precision() -> None:
    values = load_model(EXAMPLE).values
    rounded = {name: np.round(array, 6) for name, array in values.items()}
    single = {name: array.astype(np.float32) for name, array in values.items()}
    assert exchange.differences(values, values, None) == []
    assert exchange.differences(rounded, values, 5e-7) == []
    assert exchange.differences(single, values, None) == []
    assert exchange.differences(rounded, values, None)
    wrong = {"A1": values["A1"].T, "Z1": values["Z1"].copy(), "J": values["J"] + 1, "other": 3.0}
    wrong["Z1"][2, 1] += 0.25
    found = exchange.differences(wrong, values, None)
    assert [line.split(" the")[0] for line in found] == [
        "Z1[2, 1] is 0.25 away from",
        "A1 has shape (5, 4), and in",
        "J is 1 away from",
    ]


# ---- hostile and broken files -------------------------------------------------------------------


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def npy(array: Any) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, np.asarray(array), allow_pickle=True)
    return content.getvalue()


def npy_of(shape: str, data: bytes, descr: str = "'<f8'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


class Bomb:
    """Raises if anybody unpickles it."""

    def __reduce__(self) -> Any:
        return exec, ("raise AssertionError('a pickle was loaded')",)


good = npy([1.0, 2.0])
patched = bytearray(zipped({"dW.npy": good}))
patched[-40] ^= 0xFF  # in the directory at the end
encrypted = bytearray(zipped({"dW.npy": good}))
encrypted[6] |= 1
encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
damaged = zipped({"dW.npy": good}).replace(struct.pack("<d", 2.0), struct.pack("<d", 3.0))

BAD_NPZ = {
    "empty": (b"", "the file is empty"),
    "not a zip": (b"dW,1,2.0", "not an npz file"),
    "a npy": (good, "not an npz file"),
    "no arrays": (zipped({}), "no arrays"),
    "truncated": (zipped({"dW.npy": npy(np.ones(1000))})[:-200], "not an npz file"),
    "damaged": (damaged, r"damaged one .*CRC"),
    "encrypted": (bytes(encrypted), "packed in a way that is not read here"),
    "another packing": (
        zipped({"dW.npy": good}, zipfile.ZIP_BZIP2),
        "dW is packed in a way that NumPy does not use",
    ),
    "a pickle": (zipped({"dW.npy": npy(np.array([Bomb()], object))}), "a pickle"),
    "a bare pickle": (zipped({"dW.npy": b"\x80\x04N."}), "dW is not an array"),
    "a pickle in a record": (
        zipped({"dW.npy": npy_of("(1,)", b"\0" * 8, "[('a', '|O')]")}),
        "a pickle",
    ),
    "records": (zipped({"dW.npy": npy(np.zeros(2, "f8,f8"))}), "write float64"),
    "texts": (zipped({"dW.npy": npy(["a"])}), "dW is <U1: write float64"),
    "complex": (zipped({"dW.npy": npy([1j])}), "dW is complex128: write float64"),
    "truths": (zipped({"dW.npy": npy([True])}), "dW is bool: write float64"),
    "halves": (zipped({"dW.npy": npy(np.float16([1.0]))}), "dW is float16: write float64"),
    "NaN": (zipped({"dW.npy": npy([[1.0, np.nan]])}), r"NaN .* 1 of 2 .* dW\[0, 1\] = nan"),
    "infinity": (zipped({"dW.npy": npy(-np.inf)}), "first dW = -inf"),
    "huge": (zipped({"dW.npy": npy_of("(10**9, 10**9)", b"")}), "dW is not an array"),
    "huge too": (zipped({"dW.npy": npy_of("(99999,)", b"\0" * 8)}), "has 8 bytes"),
    "huge and empty": (
        zipped({"dW.npy": npy_of("(0, 1" + "0" * 30 + ")", b"")}),
        "a shape that no array has",
    ),
    "negative": (zipped({"dW.npy": npy_of("(-1,)", b"\0" * 8)}), r"no array has here: \(-1,\)"),
    "negative twice": (
        zipped({"dW.npy": npy_of("(-1, -1)", b"\0" * 8)}),
        r"no array has here: \(-1, -1",
    ),
    "too short": (zipped({"dW.npy": npy_of("(2,)", b"\0" * 8)}), "has 8 bytes"),
    "too long": (zipped({"dW.npy": npy_of("(2,)", b"\0" * 99)}), "has 99 bytes"),
    "header": (zipped({"dW.npy": npy_of("(((((", b"")}), "dW is not an array"),
    "version": (zipped({"dW.npy": good.replace(b"Y\x01\0", b"Y\x03\0")}), "dW is not an array"),
    "zip bomb": (
        zipped({"dW.npy": npy(np.zeros(2**15))}, zipfile.ZIP_DEFLATED),
        "take more than 100,000 bytes",
    ),
    "control characters": (zipped({"d\x1b[2JW.npy": good}), r"'d\\x1b\[2JW'.* is no name"),
    "way out": (zipped({"../d W.npy": good}), "is no name"),
    "twice": (zipped({"dW.npy": good, "dW": good}), "two arrays named dW"),
    "not UTF-8": (zipped({"dW.npy": good}).replace(b"dW.npy", b"d\xff.npy"), "not an array|name"),
}

BAD_JSON = {
    "empty": (b"", "the file is empty"),
    "no arrays": (b"{}", "no arrays"),
    "not JSON": (b"{'dW': [1.0]}", "not JSON: Expecting property name"),
    "truncated": (b'{"dW": [1.0, 2.', "not JSON"),
    "two": (b"{}{}", "not JSON: Extra data"),
    "not UTF-8": (b'{"d\xff": 1.0}', "not a text in UTF-8"),
    "UTF-16": ('{"dW": 1.0}'.encode("utf-16"), "not a text in UTF-8"),
    "a list": (b"[1.0, 2.0]", "not an object"),
    "NaN": (b'{"dW": [NaN]}', "there is a NaN"),
    "infinity": (b'{"dW": [-Infinity]}', "there is a -Infinity"),
    "overflow": (b'{"dW": [1e999]}', r"NaN or infinity .* dW\[0\] = inf"),
    "long": (b'{"dW": ' + b"9" * 10_000 + b"}", "dW = inf"),
    "twice": (b'{"dW": 1.0, "dW": 2.0}', "two arrays named 'dW'"),
    "twice inside": (b'{"a": {"b\\u001b": 1, "b\\u001b": 2}}', r"named 'b\\x1b'"),
    "deep": (b'{"dW": ' + b"[" * 50 + b"1.0" + b"]" * 50 + b"}", "more than 32 lists"),
    "deeper": (b'{"dW": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    "text": (b'{"dW": [1.0, "2.0\\u001b[2J"]}', r"'2\.0\\x1b\[2J', which is not a number"),
    "null": (b'{"dW": [null]}', "'None', which is not a number"),
    "truth": (b'{"dW": true}', "'True', which is not a number"),
    "object": (b'{"dW": {"a": 1.0}}', "which is not a number"),
    "ragged": (b'{"dW": [[1.0, 2.0], [3.0]]}', "dW is no array: its rows"),
    "ragged in depth": (b'{"dW": [[1.0, 2.0], 3.0]}', "dW is no array: its rows"),
    "control characters": (b'{"d\\u001b[2JW": 1.0}', r"'d\\x1b\[2JW'.* is no name"),
    "right to left": ('{"d\u202eW": 1.0}'.encode(), r"'d\\u202eW'.* is no name"),
    "surrogate": (b'{"d\\ud800": 1.0}', r"'d\\ud800'.* is no name"),
    "no name": (b'{"": 1.0}', "is no name"),
    "long name": (b'{"' + b"d" * 1000 + b'": 1.0}', r"'d{200}' is no name"),
    "too large": (b'{"dW": [' + b" " * 300_001 + b"]}", "larger than 300,000 bytes"),
}

BAD_CSV = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\n \r\n", "no arrays"),
    "not UTF-8": (b"d\xff,,1.0", "not a text in UTF-8"),
    "a name only": (b"dW\n", "line 1: after the name dW comes 'nothing'"),
    "a heading": (b"name,shape,numbers\n", "after the name name comes 'shape'"),
    "too few": (b"dW,2x2,1.0,2.0,3.0\n", "dW of shape 2x2 takes 4 numbers, and there are 3"),
    "too many": (b"J,,0.5\ndW,2,1.0,2.0,\n", "line 2: dW of shape 2 takes 2 .* are 3"),
    "none": (b"dW,\n", r"dW of shape \(\) takes 1 numbers, and there are 0"),
    "huge": (b"dW,99999999999x99999999999,1.0\n", "a shape that no array has here"),
    "huge and empty": (b"dW,0x999999999999999999\n", "a shape that no array has here"),
    "many axes": (b"dW," + b"x".join([b"1"] * 99) + b",1.0\n", "a shape that no array has here"),
    "negative": (b"dW,-1,1.0\n", "comes '-1'"),
    "text": (b"dW,1,one\n", "'one' in dW is not a finite number"),
    "NaN": (b"dW,1,NaN\n", "'NaN' in dW is not a finite number"),
    "infinity": (b"dW,1,-inf\n", "'-inf' in dW is not a finite number"),
    "overflow": (b"dW,1,1e999\n", r"dW\[0\] = inf"),
    "hexadecimal": (b"dW,1,0x1p3\n", "'0x1p3' in dW"),
    "underscores": (b"dW,1,1_000.0\n", "'1_000.0' in dW"),
    "other digits": ("dW,1,\u0661.0\n".encode(), "in dW is not a finite number"),
    "comma in numbers": (b"dW,2,0,5,1,5\n", "takes 2 numbers, and there are 4"),
    "semicolons": (b"dW;1;0.5\n", "after the name dW;1;0.5 comes"),
    "twice": (b"dW,1,1.0\ndW,1,2.0\n", "line 2: there are two arrays named dW"),
    "control characters": (b"d\x1b[2JW,1,1.0\n", r"'d\\x1b\[2JW'.* is no name"),
    "control characters in numbers": (b"dW,1,\x1b[2J\n", r"\\x1b\[2J.* is not a finite number"),
    "null": (b"dW,1,1.0\0\n", r"'1\.0\\\\?x00'"),
    "too large": (b"dW,1," + b" " * 300_001, "larger than 300,000 bytes"),
}

BAD_FILES = {
    f"{kind}: {name}": (kind, content, message)
    for kind, bad in ((".npz", BAD_NPZ), (".json", BAD_JSON), (".csv", BAD_CSV))
    for name, (content, message) in bad.items()
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_hostile_or_broken_file_is_refused_in_one_printable_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LIMIT", 100_000)
    monkeypatch.setattr(exchange, "TEXT_LIMIT", 300_000)
    kind, content, message = BAD_FILES[name]
    path = tmp_path / f"a{kind}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as refusal:
        read_arrays(path)
    text = str(refusal.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    assert len(text) < 600


def test_a_text_may_have_a_byte_order_mark_blank_lines_and_returns(tmp_path: Path) -> None:
    path = tmp_path / "a.CSV"
    path.write_bytes(b"\xef\xbb\xbfdW , 2x1 , +.5 , 2.E1\r\n\r\nJ,,-3\r\n")
    arrays = read_arrays(path).arrays
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "dW": [[0.5], [20]],
        "J": -3,
    }


def test_what_is_no_file_or_ends_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "a.csv")
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(ValueError, match="is a folder, not a file"):
        read_arrays(tmp_path / "b.csv")
    with pytest.raises(ValueError, match=r"c\.npy must end in \.npz, \.json or \.csv"):
        read_arrays(tmp_path / "c.npy")


@pytest.mark.parametrize("kind", KINDS)
def test_files_damaged_at_random_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    dice = random.Random(1)
    path = write_arrays(tmp_path / f"a{kind}", {"dW": np.linspace(0, 1, 6).reshape(2, 3), "J": 0.1})
    content = path.read_bytes()
    messages = []
    for _ in range(400):
        damaged = bytearray(content[: dice.choice([len(content), dice.randrange(len(content))])])
        for _ in range(dice.randrange(1, 4)):
            if damaged:
                damaged[dice.randrange(len(damaged))] = dice.choice([0, 255, dice.randrange(256)])
        path.write_bytes(damaged)
        try:
            arrays = read_arrays(path).arrays
        except ValueError as error:
            messages.append(str(error))
        else:
            assert all(np.isfinite(array).all() for array in arrays.values())
    assert len(messages) > 100
    assert all(message.isprintable() for message in messages), messages
