"""The passengers of the Titanic: the published numbers, what is refused, and the features."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autograd_mini import data
from autograd_mini.data.files import TITANIC_TEST, TITANIC_TRAIN
from autograd_mini.data.titanic import Table, TitanicFeatures

SHARED = Path(__file__).parents[2] / "shared" / "data"

needs_the_files = pytest.mark.skipif(
    not (SHARED / "titanic_train.csv").is_file(), reason="Kaggle's files are not at hand"
)

HEADER = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"
ROWS = [
    '1,0,3,"Braund, Mr. Owen Harris",male,22,1,0,A/5 21171,7.25,,S',
    '2,1,1,"Cumings, Mrs. John Bradley (Florence Briggs Thayer)",female,38,1,0,PC 17599,71.3,C85,C',
    '3,1,3,"Heikkinen, Miss. Laina",female,,0,0,STON/O2. 3101282,,,',
    '4,0,2,"Brewe, Dr. Arthur ""Art"" Jackson",male,0.42,0,1,112379,39.6,F G73,Q',
]
TEST_HEADER = HEADER.replace("Survived,", "")
TEST_ROW = '892,3,"Kelly, Mr. James",male,34.5,0,0,330911,7.8292,,Q'


def written(folder: Path, train: str, test: str = f"{TEST_HEADER}\n{TEST_ROW}\n") -> Path:
    """Write the two files into a folder, and return it."""
    (folder / "train.csv").write_bytes(train.encode("utf-8"))
    (folder / "test.csv").write_bytes(test.encode("utf-8"))
    return folder


def read(folder: Path | None, passengers: int = 4) -> tuple[Table, Table]:
    """Read files that have so many passengers to train on, and one to predict."""
    module = sys.modules["autograd_mini.data.titanic"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PASSENGERS", {TITANIC_TRAIN: passengers, TITANIC_TEST: 1})
        return data.titanic(folder)


def text_of(*rows: str) -> str:
    """Return the text of a file with some rows to train on."""
    return "".join(f"{line}\n" for line in (HEADER, *rows))


def small(folder: Path) -> Table:
    """Return the four rows above as they are read."""
    return read(written(folder, text_of(*ROWS)))[0]


# ---- the real files ------------------------------------------------------------------------------


@needs_the_files
def test_the_training_file_has_the_published_numbers() -> None:
    # shared oracles, section G: Kaggle's train.csv
    train, test = data.titanic(SHARED)
    assert list(train.columns) == HEADER.split(",")
    assert len(train) == 891
    assert train["Survived"].sum() == 342
    missing = {name: int(train.missing(name).sum()) for name in train.columns}
    assert {name: n for name, n in missing.items() if n} == {
        "Age": 177,
        "Cabin": 687,
        "Embarked": 2,
    }
    assert round(float(np.nanmean(train["Age"])), 6) == 29.699118
    assert round(float(np.mean(train["Fare"])), 6) == 32.204208
    survived = train["Survived"]
    shares = [survived[train["Sex"] == sex].mean() for sex in ("female", "male")]
    assert np.round(shares, 6).tolist() == [0.742038, 0.188908]
    shares = [survived[train["Pclass"] == number].mean() for number in (1, 2, 3)]
    assert np.round(shares, 6).tolist() == [0.629630, 0.472826, 0.242363]
    assert round(float(np.mean(survived == 0)), 6) == 0.616162
    assert round(float(np.mean(survived == (train["Sex"] == "female"))), 6) == 0.786756
    assert list(test.columns) == TEST_HEADER.split(",")
    assert len(test) == 418


@needs_the_files
def test_the_features_of_the_real_passengers_are_finite_and_standardised() -> None:
    train, test = data.titanic(SHARED)
    features = TitanicFeatures().fit(train)
    assert features.names == [
        *("Master", "Miss", "Mr", "Mrs", "rare", "class 1", "class 2", "class 3"),
        *("deck A", "deck B", "deck C", "deck D", "deck E", "deck F", "deck unknown"),
        *("port C", "port Q", "port S"),
        *("female", "family", "alone", "log fare", "age", "age missing"),
    ]
    X, X_test = features.transform(train), features.transform(test)
    assert X.shape == (891, len(features.names))
    assert X_test.shape == (418, len(features.names))
    assert np.isfinite(X_test).all()
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(X.std(axis=0), 1)


# ---- reading -------------------------------------------------------------------------------------


def test_numbers_are_float64_with_nan_and_texts_are_str_with_nothing_where_missing(
    tmp_path: Path,
) -> None:
    table = small(tmp_path)
    assert table["Survived"].tolist() == [0.0, 1.0, 1.0, 0.0]
    np.testing.assert_array_equal(table["Age"], [22, 38, np.nan, 0.42])
    np.testing.assert_array_equal(table["Fare"], [7.25, 71.3, np.nan, 39.6])
    assert table["Age"].dtype == np.float64
    assert table["Cabin"].tolist() == ["", "C85", "", "F G73"]
    assert table["Embarked"].tolist() == ["S", "C", "", "Q"]
    assert table["Name"][3] == 'Brewe, Dr. Arthur "Art" Jackson'
    assert repr(table) == (
        "Table of 4 rows: PassengerId, Survived, Pclass, Name, Sex, Age (1 missing), SibSp, Parch, "
        "Ticket, Fare (1 missing), Cabin (2 missing), Embarked (1 missing)"
    )


@pytest.mark.parametrize("names", [("train.csv", "test.csv"), ("titanic_train.csv.gz",) * 1])
def test_files_are_found_under_both_names_plain_and_gzipped(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    written(tmp_path, text_of(*ROWS))
    if names[0].endswith(".gz"):
        for name in ("train", "test"):
            content = (tmp_path / f"{name}.csv").read_bytes()
            (tmp_path / f"titanic_{name}.csv.gz").write_bytes(gzip.compress(content))
            (tmp_path / f"{name}.csv").unlink()
    train, test = read(tmp_path)
    assert (len(train), len(test)) == (4, 1)
    assert "Survived" not in test.columns


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    table = read(written(tmp_path, "\ufeff" + "\r\n".join([HEADER, *ROWS]) + "\r\n"))[0]
    assert table["PassengerId"].tolist() == [1, 2, 3, 4]
    assert table["Embarked"].tolist() == ["S", "C", "", "Q"]


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOGRAD_MINI_DATA", str(written(tmp_path, text_of(*ROWS))))
    assert len(read(None)[0]) == 4


def test_without_files_it_says_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"(?i)kaggle"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (lambda text: text.replace("Pclass", "Class"), 1, "the header should be PassengerId,"),
        (lambda text: "", 1, "the header should be"),
        (lambda text: text.replace(",71.3,C85", ",71.3"), 3, "12 fields expected, got 11"),
        (lambda text: text.replace("\n2,", "\n\n2,"), 3, "12 fields expected, got 0"),
        (lambda text: text.replace(",22,", ",old,"), 2, "column Age .* number .*, got 'old'"),
        (lambda text: text.replace(",22,", ",nan,"), 2, "column Age .* number .*, got 'nan'"),
        (lambda text: text.replace(",22,", ",2_2,"), 2, "column Age .* number .*, got '2_2'"),
        (
            lambda text: text.replace(",39.6,", ",-39.6,"),
            5,
            "column Fare .* number .*, got '-39.6'",
        ),
        (lambda text: text.replace("\n1,0,", "\n1,2,"), 2, "column Survived .* 0 or 1, got '2'"),
        (lambda text: text.replace("\n2,1,1,", "\n2,1,4,"), 3, "column Pclass .*, got '4'"),
        (lambda text: text.replace(",female,,", ",Female,,"), 4, "column Sex .*, got 'Female'"),
        (lambda text: text.replace(",male,22", ",,22"), 2, "column Sex is empty"),
        (lambda text: text.replace("3,1,3,", "3,1,,"), 4, "column Pclass is empty"),
        (lambda text: text[: text.rindex("Jackson")], 5, "unexpected end of data"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_the_line_and_the_column(
    change: Callable[[str], str], line: int, message: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, change(text_of(*ROWS)))
    with pytest.raises(ValueError, match=rf"train\.csv, line {line}: .*{message}"):
        read(folder)


@pytest.mark.parametrize("characters", [1, 2, len(ROWS[-1]) + 1, len(text_of(*ROWS)) - len(HEADER)])
def test_a_file_that_was_cut_off_is_refused_wherever_that_was(
    characters: int, tmp_path: Path
) -> None:
    folder = written(tmp_path, text_of(*ROWS)[:-characters])
    with pytest.raises(
        ValueError, match=r"train\.csv has \d passengers and should have 4.* cut off"
    ):
        read(folder)


@needs_the_files
def test_the_number_of_passengers_is_checked(tmp_path: Path) -> None:
    train, test = (SHARED / f"titanic_{part}.csv" for part in ("train", "test"))
    lines = test.read_text(encoding="utf-8").splitlines(keepends=True)
    written(tmp_path, train.read_text(encoding="utf-8"), "".join(lines[:-1]))
    with pytest.raises(ValueError, match=r"test\.csv has 417 passengers and should have 418"):
        data.titanic(tmp_path)


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path: Path) -> None:
    written(tmp_path, HEADER)
    (tmp_path / "train.csv").write_bytes(HEADER.encode() + b"\n1,0,3,\xff")
    with pytest.raises(ValueError, match=r"train\.csv, line 2: not a text in UTF-8"):
        read(tmp_path)


def test_a_gzipped_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    written(tmp_path, HEADER)
    (tmp_path / "train.csv").write_bytes(gzip.compress(text_of(*ROWS).encode())[:-20])
    with pytest.raises(ValueError, match=r"train\.csv"):
        read(tmp_path)


# ---- tables --------------------------------------------------------------------------------------


def test_rows_are_chosen_by_number_or_by_mask(tmp_path: Path) -> None:
    table = small(tmp_path)
    assert table.rows([3, 0])["PassengerId"].tolist() == [4, 1]
    assert table.rows(table["Sex"] == "female")["PassengerId"].tolist() == [2, 3]
    assert len(table.rows(np.zeros(4, dtype=bool))) == 0


def test_columns_of_unequal_length_and_unknown_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"same length, got .*\(2,\).*\(3,\)"):
        Table({"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(KeyError, match=r"no column 'age'; there are PassengerId, .*Age"):
        small(tmp_path)["age"]


# ---- features ------------------------------------------------------------------------------------


def unscaled(features: TitanicFeatures, train: Table, table: Table) -> dict[str, np.ndarray]:
    """Return the columns of a table as they were before `train` standardised them."""
    columns = features._columns(table)
    raw = np.column_stack(list(features._columns(train).values())).astype(float)
    spread = np.where(raw.std(axis=0) == 0, 1, raw.std(axis=0))
    expected = (np.column_stack(list(columns.values())) - raw.mean(axis=0)) / spread
    np.testing.assert_allclose(features.transform(table), expected, atol=1e-14)
    return columns


def test_each_feature_is_what_the_table_of_the_docstring_says(tmp_path: Path) -> None:
    train = small(tmp_path)
    features = TitanicFeatures(smallest_group=1).fit(train)
    columns = unscaled(features, train, train)
    assert list(columns) == features.names
    expected: dict[str, list[float]] = {
        "Mr": [1, 0, 0, 0],
        "Mrs": [0, 1, 0, 0],
        "Miss": [0, 0, 1, 0],
        "rare": [0, 0, 0, 1],
        "class 1": [0, 1, 0, 0],
        "class 2": [0, 0, 0, 1],
        "class 3": [1, 0, 1, 0],
        "deck C": [0, 1, 0, 0],
        "deck F": [0, 0, 0, 1],
        "deck unknown": [1, 0, 1, 0],
        "port C": [0, 1, 1, 0],  # each port once: the first of the three stands for the missing one
        "port Q": [0, 0, 0, 1],
        "port S": [1, 0, 0, 0],
        "female": [0, 1, 1, 0],
        "family": [2, 2, 1, 2],
        "alone": [0, 0, 1, 0],
        "log fare": np.log1p([7.25, 71.3, 7.25, 39.6]).tolist(),  # the other one in class 3
        "age": [22, 38, 22, 0.42],  # no Miss has an age: the median of all
        "age missing": [0, 0, 1, 0],
    }
    assert set(columns) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(columns[name], values, err_msg=name)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Sagesser, Mlle. Emma", "Miss"),
        ("Reynaldo, Ms. Encarnacion", "Miss"),
        ("Aubart, Mme. Leontine Pauline", "Mrs"),
        ("Palsson, Master. Gosta Leonard", "Master"),
        ("Rothes, the Countess. of (Lucy Noel Martha Dyer-Edwards)", "rare"),
        ("Uruchurtu, Don. Manuel E", "rare"),
        ("no title at all", "rare"),
    ],
)
def test_titles_are_gathered_into_five(name: str, title: str, tmp_path: Path) -> None:
    text = text_of(*ROWS, ROWS[0].replace("Braund, Mr. Owen Harris", name))
    table = read(written(tmp_path, text), passengers=5)[0]
    columns = TitanicFeatures(smallest_group=1).fit(table)._columns(table)
    assert [kind for kind in ("Mr", "Mrs", "Miss", "Master", "rare") if kind in columns
            and columns[kind][-1]] == [title]  # fmt: skip


def test_a_missing_age_is_the_median_of_the_training_rows_with_the_same_title(
    tmp_path: Path,
) -> None:
    text = text_of(ROWS[0], *(ROWS[0].replace(",22,", f",{age},") for age in (30, 41)))
    train = read(written(tmp_path, text), passengers=3)[0]
    later = train.rows([0, 1])
    later.columns["Age"][:] = np.nan  # type: ignore[index]
    features = TitanicFeatures(smallest_group=1).fit(train)
    assert features._columns(later)["age"].tolist() == [30, 30]
    assert train["Age"].tolist() == [22, 30, 41]


def test_nothing_is_estimated_from_the_rows_to_predict(tmp_path: Path) -> None:
    train = small(tmp_path)
    features = TitanicFeatures(smallest_group=1).fit(train)
    alone = features.transform(train.rows([2]))
    among_others = features.transform(train)[2:3]
    np.testing.assert_array_equal(alone, among_others)


def test_a_category_that_training_rows_do_not_have_is_0_in_all_columns_of_its_kind(
    tmp_path: Path,
) -> None:
    train = small(tmp_path)
    features = TitanicFeatures(smallest_group=1).fit(train.rows([0, 1, 2]))
    columns = features._columns(train.rows([3]))  # Dr., class 2, deck F, port Q
    for prefix in ("M", "class", "deck", "port"):
        ours = [values.tolist() for name, values in columns.items() if name.startswith(prefix)]
        assert len(ours) >= 2
        assert all(values == [0] for values in ours)
    assert np.isfinite(features.transform(train.rows([3]))).all()


def test_a_category_needs_enough_training_rows_for_a_column(tmp_path: Path) -> None:
    names = TitanicFeatures(smallest_group=2).fit(small(tmp_path)).names
    assert names[:3] == ["class 3", "deck unknown", "port C"]
    assert names[3:] == ["female", "family", "alone", "log fare", "age", "age missing"]


def test_features_refuse_what_they_cannot_estimate(tmp_path: Path) -> None:
    train = small(tmp_path)
    with pytest.raises(RuntimeError, match="call fit with the training rows first"):
        TitanicFeatures().transform(train)
    with pytest.raises(ValueError, match="none of the 1 training rows has Age"):
        TitanicFeatures().fit(train.rows([2]))
    with pytest.raises(ValueError, match="none of the 0 training rows has Age"):
        TitanicFeatures().fit(train.rows(train["Age"] > 99))


def test_a_fit_that_fails_leaves_the_estimates_from_before(tmp_path: Path) -> None:
    train = small(tmp_path)
    features = TitanicFeatures(smallest_group=1).fit(train)
    before = features.transform(train)
    broken = Table({**train.columns, "Age": train["Age"] + 9, "SibSp": np.full(len(train), np.nan)})
    with pytest.raises(ValueError, match="X has the value nan"):
        features.fit(broken)
    np.testing.assert_array_equal(features.transform(train), before)
