"""The data sets that ship with the package, and how they are split."""

import gzip
import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from autograd_mini import data


def test_digits_have_the_promised_shapes_dtypes_and_values() -> None:
    X, y = data.digits()
    assert X.shape == (1797, 64)
    assert X.dtype == np.float64
    assert y.shape == (1797,)
    assert y.dtype == np.int64
    assert set(np.unique(X)) == set(range(17))
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_equal_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = data.digits()
    reference = datasets.load_digits()
    np.testing.assert_array_equal(X, reference.data)
    np.testing.assert_array_equal(y, reference.target)


def test_digits_belong_to_the_caller() -> None:
    X, y = data.digits()
    X[:] = 0
    y[:] = 0
    again_X, again_y = data.digits()
    assert again_X.any()
    assert again_y.any()


@pytest.mark.parametrize("damage", ["shorter", "one bit", "other data"])
def test_damaged_digits_are_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = resources.files(data).joinpath("digits.csv.gz").read_bytes()
    damaged = {
        "shorter": content[: len(content) // 2],
        "one bit": content[:1000] + bytes([content[1000] ^ 1]) + content[1001:],
        "other data": gzip.compress(b"1,2,3\n"),
    }[damage]
    tmp_path.joinpath("digits.csv.gz").write_bytes(damaged)
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match=r"digits\.csv\.gz of autograd_mini is damaged"):
        data.digits()


def test_decompressed_digits_are_the_table_that_was_checked_against_the_source() -> None:
    content = resources.files(data).joinpath("digits.csv.gz").read_bytes()
    assert hashlib.sha256(gzip.decompress(content)).hexdigest() == (
        "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
    )


def test_licence_names_the_authors_and_the_licence_of_the_digits() -> None:
    text = resources.files(data).joinpath("LICENSES.md").read_text(encoding="utf-8")
    for words in ("E. Alpaydin and C. Kaynak", "CC BY 4.0", "test part", "digits.csv.gz"):
        assert words in text


def test_split_keeps_every_row_exactly_once_with_its_label() -> None:
    X, y = np.arange(34).reshape(17, 2), np.arange(17) * 2
    X_train, X_test, y_train, y_test = data.train_test_split(X, y, rng=np.random.default_rng(3))
    assert len(X_test) == 3
    np.testing.assert_array_equal(np.sort(np.concatenate([y_train, y_test])), y)
    np.testing.assert_array_equal(X_train[:, 0], y_train)
    np.testing.assert_array_equal(X_test[:, 0], y_test)


def test_split_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    X = np.arange(100)
    first, again, other = (
        data.train_test_split(X, X, rng=np.random.default_rng(seed))[1] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_split_copies_and_keeps_dtypes() -> None:
    X = np.ones((10, 3), dtype=np.float32)
    X_train, X_test, y_train, _ = data.train_test_split(
        X, list(range(10)), test_size=0.5, rng=np.random.default_rng(0)
    )
    X_train[:] = 7
    X_test[:] = 7
    assert (X == 1).all()
    assert X_train.dtype == np.float32
    assert y_train.dtype == np.array([0]).dtype


@pytest.mark.parametrize(
    ("X", "y"), [(np.ones((4, 2)), np.ones(5)), (np.ones(()), np.ones(1)), (np.ones(1), 1.0)]
)
def test_split_of_unequal_numbers_of_rows_names_both_shapes(
    X: np.ndarray, y: np.ndarray | float
) -> None:
    with pytest.raises(ValueError, match=r"one row per example.*\(.*\) and \(.*\)"):
        data.train_test_split(X, y, rng=np.random.default_rng(0))


@pytest.mark.parametrize("test_size", [0, 1, 1.5, -0.1, float("nan"), 20])
def test_split_refuses_a_fraction_that_is_none(test_size: float) -> None:
    with pytest.raises(ValueError, match="fraction between 0 and 1"):
        data.train_test_split(
            np.ones(9), np.ones(9), test_size=test_size, rng=np.random.default_rng(0)
        )


@pytest.mark.parametrize(("test_size", "side"), [(0.01, "test on"), (0.99, "train on")])
def test_split_refuses_to_leave_a_side_empty(test_size: float, side: str) -> None:
    with pytest.raises(ValueError, match=f"of 9 rows leaves no row to {side}"):
        data.train_test_split(
            np.ones(9), np.ones(9), test_size=test_size, rng=np.random.default_rng(0)
        )


def test_split_wants_an_explicit_generator_and_says_how_to_write_it() -> None:
    with pytest.raises(TypeError, match=r"np\.random\.default_rng\(seed\)"):
        data.train_test_split(np.ones(9), np.ones(9), rng=0)  # type: ignore[arg-type]


def test_one_hot_rows_have_their_one_where_the_label_says() -> None:
    labels = np.array([3, 0, 2, 3])
    rows = data.one_hot(labels, 4)
    assert rows.shape == (4, 4)
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows.argmax(axis=1), labels)
    np.testing.assert_array_equal(rows.sum(axis=1), 1)


@pytest.mark.parametrize("label", [-1, 3])
def test_one_hot_refuses_a_label_that_is_no_class(label: int) -> None:
    with pytest.raises(ValueError, match=f"labels must be 0 to 2, got {label}"):
        data.one_hot([0, label], 3)


def test_one_hot_refuses_labels_of_a_wrong_shape_or_dtype() -> None:
    with pytest.raises(ValueError, match=r"shape \(n,\), got \(1, 2\)"):
        data.one_hot([[0, 1]], 3)
    with pytest.raises(TypeError, match="labels must be integers, got float64"):
        data.one_hot([0.0, 1.0], 3)
