"""Real data sets, how to split them and walk through them, and how to scale their columns."""

from .mnist import mnist, read_idx
from .scaling import MinMaxScaler, Standardizer
from .sets import digits, iris
from .splitting import batches, k_folds, one_hot, train_test_split
from .titanic import Table, TitanicFeatures, titanic

__all__ = [
    "MinMaxScaler",
    "Standardizer",
    "Table",
    "TitanicFeatures",
    "batches",
    "digits",
    "iris",
    "k_folds",
    "mnist",
    "one_hot",
    "read_idx",
    "titanic",
    "train_test_split",
]
