"""The data sets that ship with the package, and how they are split and walked through."""

import gzip
import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("name", ["digits", "iris"])
@pytest.mark.parametrize("damage", ["shorter", "one bit", "other data"])
def test_damaged_data_file_is_refused(
    name: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = resources.files(data).joinpath(f"{name}.csv.gz").read_bytes()
    damaged = {
        "shorter": content[: len(content) // 2],
        "one bit": content[:500] + bytes([content[500] ^ 1]) + content[501:],
        "other data": gzip.compress(b"1,2,3\n"),
    }[damage]
    tmp_path.joinpath(f"{name}.csv.gz").write_bytes(damaged)
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match=rf"{name}\.csv\.gz of autograd_mini is damaged"):
        getattr(data, name)()


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("digits", "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"),
        ("iris", "111f8932a62b6c883fdc21a018d7459e603d6468fd8bdb4d1e0f0b125f2c9f39"),
    ],
)
def test_decompressed_file_is_the_table_that_was_checked_against_the_source(
    name: str, digest: str
) -> None:
    content = resources.files(data).joinpath(f"{name}.csv.gz").read_bytes()
    assert hashlib.sha256(gzip.decompress(content)).hexdigest() == digest


def test_licence_names_authors_and_licences_of_all_that_ships() -> None:
    text = resources.files(data).joinpath("LICENSES.md").read_text(encoding="utf-8")
    for words in ("E. Alpaydin and C. Kaynak", "CC BY 4.0", "test part", "digits.csv.gz"):
        assert words in text
    for words in ("R. A. Fisher (1936)", "10.24432/C56C76", "BSD 3-Clause", "rows 34 and 37"):
        assert words in text
    shipped = [file.name for file in resources.files(data).iterdir() if ".csv" in file.name]
    assert sorted(shipped) == ["digits.csv.gz", "iris.csv.gz"]
    assert all(f"## {name}" in text for name in shipped)


# ---- Iris: published facts, ../shared/oracles.md section G --------------------------------------


def test_iris_has_the_promised_shapes_and_dtypes() -> None:
    X, y = data.iris()
    assert (X.shape, X.dtype) == ((150, 4), np.float64)
    assert (y.shape, y.dtype) == ((150,), np.int64)
    np.testing.assert_array_equal(y, np.repeat([0, 1, 2], 50))


def test_iris_equals_that_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = data.iris()
    reference = datasets.load_iris()
    np.testing.assert_array_equal(X, reference.data)
    np.testing.assert_array_equal(y, reference.target)


def correlations(X: np.ndarray, y: np.ndarray) -> list[float]:
    """The correlation of each column with the class."""
    return [round(float(np.corrcoef(column, y)[0, 1]), 4) for column in X.T]


def test_iris_has_the_published_means_and_correlations_with_the_class() -> None:
    X, y = data.iris()
    # The text that scikit-learn prints: means 5.84 3.05 3.76 1.20, correlations 0.7826 -0.4194
    # 0.9490 0.9565.  It describes the copy of the UCI repository, which differs in two rows.
    assert X.mean(axis=0).round(2).tolist() == [5.84, 3.06, 3.76, 1.2]
    assert correlations(X, y) == [0.7826, -0.4267, 0.9490, 0.9565]


def test_iris_differs_from_the_copy_of_the_repository_in_two_rows() -> None:
    X, y = data.iris()
    assert X[[34, 37]].tolist() == [[4.9, 3.1, 1.5, 0.2], [4.9, 3.6, 1.4, 0.1]]
    X[[34, 37]] = 4.9, 3.1, 1.5, 0.1
    assert X.mean(axis=0).round(3).tolist() == [5.843, 3.054, 3.759, 1.199]
    assert correlations(X, y) == [0.7826, -0.4194, 0.9490, 0.9565]


# ---- held out -----------------------------------------------------------------------------------


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


# ---- folds --------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32)


@given(st.data())
def test_folds_test_every_row_exactly_once_and_train_on_the_rest(source: st.DataObject) -> None:
    rows = source.draw(st.integers(2, 60))
    k = source.draw(st.integers(2, rows))
    y = source.draw(st.sampled_from([np.arange(rows) % 3, np.zeros((rows, 2)), np.ones(rows)]))
    folds = list(data.k_folds(y, k, np.random.default_rng(source.draw(seeds))))
    assert len(folds) == k
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), range(rows))
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(rows))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(-2, 4), min_size=2, max_size=80), seeds, st.data())
def test_each_fold_has_its_share_of_every_class(
    labels: list[int], seed: int, source: st.DataObject
) -> None:
    k = source.draw(st.integers(2, len(labels)))
    y = np.array(labels)
    for train, test in data.k_folds(y, k, np.random.default_rng(seed)):
        for label in np.unique(y):
            count, share = np.sum(y == label), np.sum(y[test] == label)
            assert share in (count // k, -(-count // k))
            assert share + np.sum(y[train] == label) == count


def test_folds_of_bools_are_stratified_and_those_of_floats_are_not() -> None:
    survived = np.arange(40) < 10
    for _, test in data.k_folds(survived, 5, np.random.default_rng(0)):
        assert survived[test].sum() == 2
    values = survived.astype(float)
    shares = [values[test].sum() for _, test in data.k_folds(values, 5, np.random.default_rng(0))]
    assert set(shares) != {2}


def test_folds_are_the_same_for_the_same_seed_and_another_for_another() -> None:
    for y in (np.arange(30) % 2, np.arange(30), np.linspace(0, 1, 30)):
        first, again, other = (
            [test.tolist() for _, test in data.k_folds(y, 3, np.random.default_rng(seed))]
            for seed in (0, 0, 1)
        )
        assert first == again != other


@pytest.mark.parametrize("k", [1, 0, -3, 6])
def test_folds_refuse_a_number_that_leaves_a_part_empty(k: int) -> None:
    with pytest.raises(ValueError, match=f"from 2 to the number of rows, which is 5; got {k}"):
        data.k_folds(np.ones(5), k, np.random.default_rng(0))


def test_folds_refuse_what_is_not_labels_a_whole_number_or_a_generator() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"shape \(n,\), got \(5, 1\): write y\.ravel\(\)"):
        data.k_folds(np.ones((5, 1), dtype=int), 2, rng)
    with pytest.raises(ValueError, match="one row per example"):
        data.k_folds(3, 2, rng)
    with pytest.raises(TypeError, match="float"):
        data.k_folds(np.ones(5), 2.0, rng)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"np\.random\.default_rng\(seed\)"):
        data.k_folds(np.ones(5), 2, 0)  # type: ignore[arg-type]


# ---- batches ------------------------------------------------------------------------------------


@given(st.integers(1, 50), st.integers(1, 60), st.none() | seeds)
def test_batches_have_every_row_exactly_once_with_its_label(
    rows: int, size: int, seed: int | None
) -> None:
    X, y = np.arange(rows * 6, dtype=np.float32).reshape(rows, 3, 2), np.arange(rows) * 2
    rng = None if seed is None else np.random.default_rng(seed)
    epoch = list(data.batches(X, y, size, rng))
    assert [len(X_batch) for X_batch, _ in epoch[:-1]] == [size] * (len(epoch) - 1)
    assert 1 <= len(epoch[-1][0]) <= size
    X_all, y_all = (np.concatenate(parts) for parts in zip(*epoch, strict=True))
    assert (X_all.dtype, y_all.dtype) == (X.dtype, y.dtype)
    np.testing.assert_array_equal(X_all, X[y_all // 2])
    np.testing.assert_array_equal(np.sort(y_all), y)
    if rng is None:
        np.testing.assert_array_equal(y_all, y)


def test_batches_are_shuffled_anew_in_each_epoch_and_alike_for_the_same_seed() -> None:
    def epochs(seed: int) -> list[list[int]]:
        rng = np.random.default_rng(seed)
        rows = np.arange(50)
        return [
            np.concatenate([y for _, y in data.batches(rows, rows, 8, rng)]).tolist()
            for _ in range(2)
        ]

    first, second = epochs(0)
    assert first != second
    assert epochs(0) == [first, second]
    assert epochs(1) != [first, second]


def test_batches_draw_once_when_they_are_called() -> None:
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    epoch = data.batches(np.arange(9), np.arange(9), 4, rng)
    np.testing.assert_array_equal(next(epoch)[0], other.permutation(9)[:4])
    assert rng.bit_generator.state == other.bit_generator.state


@pytest.mark.parametrize("seed", [None, 0])
def test_batches_are_copies(seed: int | None) -> None:
    X, y = np.ones((6, 2)), np.ones(6)
    rng = None if seed is None else np.random.default_rng(seed)
    for X_batch, y_batch in data.batches(X, y, 6, rng):
        X_batch[:] = 7
        y_batch[:] = 7
    assert (X == 1).all()
    assert (y == 1).all()


def test_batches_refuse_bad_arguments_when_they_are_called() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"one row per example each, got shapes \(4, 2\) and \(5,"):
        data.batches(np.ones((4, 2)), np.ones(5), 2, rng)
    with pytest.raises(ValueError, match=r"no rows to make batches of: X has shape \(0, 2\)"):
        data.batches(np.ones((0, 2)), np.ones(0), 2, rng)
    with pytest.raises(ValueError, match="at least 1 row, got size=0"):
        data.batches(np.ones((4, 2)), np.ones(4), 0, rng)
    with pytest.raises(TypeError, match="float"):
        data.batches(np.ones((4, 2)), np.ones(4), 2.0, rng)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got int: write rng=np\.random\.default_rng\(seed\)"):
        data.batches(np.ones((4, 2)), np.ones(4), 2, 0)  # type: ignore[arg-type]


# ---- one-hot rows -------------------------------------------------------------------------------


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
