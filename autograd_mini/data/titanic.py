"""The passengers of the Titanic: reading Kaggle's files, and features for a network."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .files import TITANIC_TEST, TITANIC_TRAIN, PublicFile, find_or_download, read
from .scaling import Standardizer

__all__ = ["Table", "TitanicFeatures", "titanic"]

_HEADER = [
    *("PassengerId", "Survived", "Pclass", "Name", "Sex", "Age"),
    *("SibSp", "Parch", "Ticket", "Fare", "Cabin", "Embarked"),
]
_PASSENGERS = {TITANIC_TRAIN: 891, TITANIC_TEST: 418}
_TEXTS = ("Name", "Sex", "Ticket", "Cabin", "Embarked")
_MAY_BE_MISSING = ("Age", "Fare", "Cabin", "Embarked")
_CHOICES = {"Survived": ("0", "1"), "Pclass": ("1", "2", "3"), "Sex": ("male", "female")}

_TITLES = {"Mr": "Mr", "Mrs": "Mrs", "Mme": "Mrs", "Miss": "Miss", "Ms": "Miss", "Mlle": "Miss"}
_TITLES["Master"] = "Master"


@dataclass(frozen=True, repr=False)
class Table:
    """Columns of equal length: ``table["Age"]`` is one, ``len(table)`` counts the rows.

    Parameters
    ----------
    columns : dict of str to ndarray
        The columns by name, each of shape (n,).

    Raises
    ------
    ValueError
        If the columns do not have the same length.

    Examples
    --------
    >>> table = Table({"Age": np.array([22.0, np.nan]), "Sex": np.array(["male", "female"])})
    >>> table
    Table of 2 rows: Age (1 missing), Sex
    >>> table.rows([1])["Sex"]
    array(['female'], dtype='<U6')
    """

    columns: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        shapes = {name: column.shape for name, column in self.columns.items()}
        if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
            raise ValueError(f"columns need one dimension and the same length, got {shapes}")

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            return self.columns[name]
        except KeyError:
            raise KeyError(f"no column {name!r}; there are {', '.join(self.columns)}") from None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __repr__(self) -> str:
        counts = {name: int(np.sum(self.missing(name))) for name in self.columns}
        described = [f"{name} ({n} missing)" if n else name for name, n in counts.items()]
        return f"Table of {len(self)} rows: {', '.join(described)}"

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Return for each row whether its field in a column is empty: NaN or an empty text."""
        column = self[name]
        return np.asarray(column == "" if column.dtype.kind == "U" else np.isnan(column))

    def rows(self, chosen: ArrayLike) -> Table:
        """Return a table of some rows: those of the given numbers, or where a mask is True."""
        return Table({name: column[np.asarray(chosen)] for name, column in self.columns.items()})


def titanic(directory: str | os.PathLike[str] | None = None) -> tuple[Table, Table]:
    """Return the passengers of the Titanic: those whose fate is told, and those to predict.

    Parameters
    ----------
    directory : path, optional
        The folder with Kaggle's files ``train.csv`` and ``test.csv`` (also as
        ``titanic_train.csv`` and ``titanic_test.csv``; plain or gzipped), itself or in its folder
        ``titanic``. Without it, the environment variable ``AUTOGRAD_MINI_DATA`` names the folder;
        without that, they are downloaded once into pooch's cache, and checked by their SHA-256.

    Returns
    -------
    train : Table of 891 rows
        Numbers as float64, NaN where missing: PassengerId, Survived (0 or 1), Pclass (1 to 3), Age
        (years), SibSp (brothers, sisters and spouses aboard), Parch (parents and children aboard),
        Fare (pounds). Texts, empty where missing: Name, Sex (male or female), Ticket, Cabin,
        Embarked (the port: C Cherbourg, Q Queenstown, S Southampton).
    test : Table of 418 rows
        The same without Survived.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or lacks a file; it says where the files come from.
    ModuleNotFoundError
        If they must be downloaded and pooch is not installed.
    ConnectionError
        If no address served the files as they should be.
    ValueError
        If a file is cut off, or not what it should be; it names the file, the line and the column.

    Notes
    -----
    The files are those of the Kaggle competition "Titanic - Machine Learning from Disaster",
    https://www.kaggle.com/competitions/titanic, where they can be downloaded after logging in. The
    PyPI package ``titanic-model`` has train.csv, too.

    Examples
    --------
    With the files at hand::

        train, test = titanic("folder with the files")
        train["Age"]

    >>> titanic("no such folder")
    Traceback (most recent call last):
    FileNotFoundError: directory is no such folder, which is not a folder
    """
    without_fate = [name for name in _HEADER if name != "Survived"]
    return _table(TITANIC_TRAIN, _HEADER, directory), _table(TITANIC_TEST, without_fate, directory)


def _table(file: PublicFile, header: list[str], directory: str | os.PathLike[str] | None) -> Table:
    """Read one of the files and check every field."""
    path = find_or_download(file, directory)
    try:
        text = read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not a text in UTF-8") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: dict[str, list[Any]] = {name: [] for name in header}
    try:
        found = next(lines, [])
        if found != header:
            raise ValueError(f"the header should be {','.join(header)}, got {','.join(found)}")
        for fields in lines:
            if len(fields) != len(header):
                raise ValueError(f"{len(header)} fields expected, got {len(fields)}")
            for name, entry in zip(header, fields, strict=True):
                columns[name].append(_field(name, entry))
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path}, line {max(lines.line_num, 1)}: {error}") from None
    found_rows, rows = len(columns["Name"]), _PASSENGERS[file]
    if found_rows != rows or not text.endswith("\n"):
        raise ValueError(
            f"{path} has {found_rows} passengers and should have {rows}, each on a line that ends: "
            "it was cut off or changed, get it again"
        )
    return Table(
        {
            name: np.array(values, dtype=str if name in _TEXTS else np.float64)
            for name, values in columns.items()
        }
    )


def _field(name: str, text: str) -> str | float:
    """Return what a field says, checked."""
    if not text and name not in _MAY_BE_MISSING:
        raise ValueError(f"column {name} is empty")
    if name in _CHOICES and text not in _CHOICES[name]:
        raise ValueError(f"column {name} should be {' or '.join(_CHOICES[name])}, got {text!r}")
    if name in _TEXTS:
        return text
    if not text:
        return math.nan
    if not re.fullmatch(r"\d+\.?\d*", text, flags=re.ASCII):
        raise ValueError(f"column {name} should be a number from 0 up, got {text!r}")
    return float(text)


@dataclass
class TitanicFeatures:
    """Columns of numbers made of a passenger's entry, for a network to learn from.

    ==================  ==============================================================  ============
    columns             what they are                                                   made of
    ==================  ==============================================================  ============
    Mr, Mrs, Miss,      1 for the passenger's title, 0 for the others; Mme counts as    Name
    Master, rare        Mrs, Mlle and Ms as Miss, all further ones as rare
    class 1 ... 3       1 for the passenger's class                                     Pclass
    deck A ... unknown  1 for the first letter of the cabin; most cabins are unknown,   Cabin
                        which is a category of its own
    port C, Q, S        1 for the port; a missing port counts as the most frequent one  Embarked
    female              1 for women, 0 for men                                          Sex
    family              how many of the family are aboard, the passenger included       SibSp, Parch
    alone               1 where that is the passenger only                              SibSp, Parch
    log fare            log(1 + fare); a missing fare counts as the median of the       Fare, Pclass
                        class
    age                 in years; a missing age counts as the median of all with the    Age, Name
                        same title
    age missing         1 where the age is missing                                      Age
    ==================  ==============================================================  ============

    A category has a column only if at least `smallest_group` training rows have it (deck T, say,
    has one passenger): rows of another category have 0 in all columns of that kind. Then every
    column is standardised to mean 0 and standard deviation 1.

    All that is estimated (medians, the most frequent port, which categories there are, means and
    standard deviations) comes from the rows given to `fit`, so that held-out rows stay unseen.

    Parameters
    ----------
    smallest_group : int
        How many training rows a category needs for a column of its own.

    Attributes
    ----------
    names : list of str
        What each column is, in order; empty before `fit`.

    Examples
    --------
    >>> passengers = Table({
    ...     "Name": np.array(["Kelly, Mr. James", "Hirvonen, Mrs. Alexander", "Ali, Mr. Ahmed"]),
    ...     "Sex": np.array(["male", "female", "male"]),
    ...     "Pclass": np.array([3.0, 1.0, 3.0]),
    ...     "SibSp": np.array([0.0, 1.0, 0.0]),
    ...     "Parch": np.array([0.0, 1.0, 0.0]),
    ...     "Age": np.array([34.0, 22.0, np.nan]),
    ...     "Fare": np.array([7.75, 12.25, 7.0]),
    ...     "Cabin": np.array(["", "C85", ""]),
    ...     "Embarked": np.array(["Q", "S", "Q"]),
    ... })
    >>> features = TitanicFeatures(smallest_group=2).fit(passengers)
    >>> features.names  # doctest: +NORMALIZE_WHITESPACE
    ['Mr', 'class 3', 'deck unknown', 'port Q', 'female', 'family', 'alone', 'log fare', 'age',
     'age missing']
    >>> features.transform(passengers)[:, features.names.index("age")]
    array([ 0.70710678, -1.41421356,  0.70710678])
    """

    smallest_group: int = 10
    names: list[str] = field(default_factory=list, init=False)

    def fit(self, train: Table) -> TitanicFeatures:
        """Estimate from training rows all that is estimated, and return the same object.

        Parameters
        ----------
        train : Table, n rows
            Passengers as `titanic` returns them; Survived is not looked at.

        Returns
        -------
        TitanicFeatures

        Raises
        ------
        ValueError
            If there are no rows, or none of them has an age, a fare or a port.
        """
        fresh = TitanicFeatures(self.smallest_group)
        fresh._estimate(train)
        vars(self).update(vars(fresh))  # all at once: after an error the old estimates stand
        return self

    def _estimate(self, train: Table) -> None:
        """Estimate all that is estimated."""
        for name in ("Age", "Fare", "Embarked"):
            if np.all(train.missing(name)):
                raise ValueError(
                    f"none of the {len(train)} training rows has {name}: "
                    "what is usual cannot be estimated"
                )
        self._ages = _medians(train["Age"], _titles(train))
        self._fares = _medians(train["Fare"], train["Pclass"])
        ports, counts = np.unique(train["Embarked"][~train.missing("Embarked")], return_counts=True)
        self._port = ports[np.argmax(counts)]
        self._categories: list[list[str]] = []
        for values in self._kinds(train):
            found, counts = np.unique(values, return_counts=True)
            self._categories.append(found[counts >= self.smallest_group].tolist())
        columns = self._columns(train)
        self.names = list(columns)
        self._scale = Standardizer().fit(np.column_stack(list(columns.values())))

    def transform(self, table: Table) -> NDArray[np.float64]:
        """Return the features of passengers.

        Parameters
        ----------
        table : Table, n rows

        Returns
        -------
        ndarray of float64, shape (n, d)
            One row per passenger, its columns as in `names`.

        Raises
        ------
        RuntimeError
            If `fit` was not called before.
        """
        if not self.names:
            raise RuntimeError("nothing is estimated yet: call fit with the training rows first")
        return self._scale.transform(np.column_stack(list(self._columns(table).values())))

    def _kinds(self, table: Table) -> list[NDArray[np.str_]]:
        """Return for each kind of category the one that each row has."""
        decks = np.where(table.missing("Cabin"), "unknown", table["Cabin"].astype("U1"))
        ports = np.where(table.missing("Embarked"), self._port, table["Embarked"])
        return [
            _titles(table),
            np.strings.add("class ", table["Pclass"].astype(int).astype(str)),
            np.strings.add("deck ", decks),
            np.strings.add("port ", ports),
        ]

    def _columns(self, table: Table) -> dict[str, NDArray[Any]]:
        """Return the features by name, before they are standardised."""
        columns: dict[str, NDArray[Any]] = {}
        for values, categories in zip(self._kinds(table), self._categories, strict=True):
            columns |= {category: values == category for category in categories}
        family = 1 + table["SibSp"] + table["Parch"]
        fares = _filled(table["Fare"], table["Pclass"], self._fares)
        return columns | {
            "female": table["Sex"] == "female",
            "family": family,
            "alone": family == 1,
            "log fare": np.log1p(fares),
            "age": _filled(table["Age"], _titles(table), self._ages),
            "age missing": table.missing("Age"),
        }


def _titles(table: Table) -> NDArray[np.str_]:
    """Return each passenger's title, as in "Braund, Mr. Owen Harris"."""
    found = [re.search(r", ([^.]+)\.", name) for name in table["Name"]]
    return np.array([_TITLES.get(match[1], "rare") if match else "rare" for match in found])


def _medians(values: NDArray[np.float64], groups: NDArray[Any]) -> dict[Any, float]:
    """Return the median of each group that has known values, and that of all under None."""
    known = ~np.isnan(values)
    medians = {g: float(np.median(values[known & (groups == g)])) for g in np.unique(groups[known])}
    return {**medians, None: float(np.median(values[known]))}


def _filled(
    values: NDArray[np.float64], groups: NDArray[Any], medians: dict[Any, float]
) -> NDArray[np.float64]:
    """Return the values, each missing one replaced by the median of its group, or else of all."""
    usual = [medians.get(group, medians[None]) for group in groups]
    return np.where(np.isnan(values), usual, values)
