"""The first four numbered examples: they run, and print what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import scripts

NAMES = ["01_neuron", "02_one_hidden_layer", "03_activations", "04_matrix_formulas"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Path]]:
    """What each example prints in its short setting, and the folder where it was run."""
    outputs = {}
    for name in NAMES:
        folder = tmp_path_factory.mktemp(name)
        outputs[name] = scripts.printed(scripts.EXAMPLES / f"{name}.py", folder, "--short"), folder
    return outputs


def columns(text: str, header: str) -> list[list[float]]:
    """Return the numbers of the rows below a header line, up to the next empty line."""
    table = text.split(header)[1].strip("\n").split("\n\n")[0]
    number = r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]\d+)?(?![\w.])"
    return [[float(found) for found in re.findall(number, row)] for row in table.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_three_ways_agree_and_a_picture_is_the_only_file(
    name: str, printed: dict[str, tuple[str, Path]]
) -> None:
    text, folder = printed[name]
    rows = re.findall(r"^\S.*\) +(\d\.\de[+-]\d+) +(\d\.\de[+-]\d+)$", text, flags=re.MULTILINE)
    assert len(rows) >= 3
    for by_hand, numerical in rows:
        assert float(by_hand) < 1e-14
        assert float(numerical) < 1e-8
    assert text.endswith(f"picture: {Path('pictures') / f'{name}.png'}\n")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files == [folder / "pictures" / f"{name}.png"]
    content = files[0].read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 30_000


def test_the_three_steps_of_the_neuron_agree(printed: dict[str, tuple[str, Path]]) -> None:
    text, _ = printed["01_neuron"]
    steps = re.findall(
        r"^ +(?:\d\.)? +dL/d\w+ .*?(-?\d\.\d{6}) +(-?\d\.\d{6}) +(-?\d\.\d{6})$", text, re.MULTILINE
    )
    assert [float(by_hand) for by_hand, _, _ in steps] == pytest.approx(
        [-2.491825, -0.598688, -0.898031, 1.197375, -0.598688], abs=1e-6
    )
    for by_hand, *others in steps:
        assert others == [by_hand, by_hand]


def test_the_neuron_separates_two_kinds_of_iris(printed: dict[str, tuple[str, Path]]) -> None:
    text, _ = printed["01_neuron"]
    rows = columns(text, "  step        J       w1       w2        b   right")
    assert rows[-1][0] == 200
    assert rows[-1][-2:] == [100, 100]
    costs = [row[1] for row in rows]
    assert costs == sorted(costs, reverse=True)


def test_the_flower_has_the_published_numbers_next_to_the_computed_ones(
    printed: dict[str, tuple[str, Path]],
) -> None:
    text, _ = printed["02_one_hidden_layer"]
    gradients = re.findall(
        r"^d\w+\[\d, \d\] +(-?\d\.\d{8}) +(-?\d\.\d{8})$", text, flags=re.MULTILINE
    )
    assert len(gradients) == 8 + 4 + 4 + 1
    assert all(published == computed for published, computed in gradients)
    costs = re.findall(r"^ +\d+ (0\.\d{6}) +(0\.\d{6})", text, flags=re.MULTILINE)
    assert len(costs) == 10
    assert all(computed == published for computed, published in costs[:8])
    for computed, published in costs[8:]:
        assert float(computed) == pytest.approx(float(published), abs=3e-4)
    assert re.search(r"Logistic regression: 47(\.\d+)? % right, published 47 %", text)
    assert re.search(r"accuracy 90(\.\d+)? %, published 90 %", text)


def test_units_that_begin_alike_stay_alike(printed: dict[str, tuple[str, Path]]) -> None:
    text, _ = printed["03_activations"]
    weights = {}
    for start in ("all zero", "all 0.5", "random"):
        block = re.search(rf"weights begin {start}.*?\n((?: +-?\d.*\n){{4}})", text)
        assert block
        weights[start] = block[1].split("\n")[:4]
    assert set(weights["all zero"]) == {"     0.0000   0.0000"}
    assert len(set(weights["all 0.5"])) == 1
    assert len(set(weights["random"])) == 4


def test_identity_layers_collapse_to_one(printed: dict[str, tuple[str, Path]]) -> None:
    text, _ = printed["03_activations"]
    (two,) = re.findall(r"two layers +(.*)", text)
    (one,) = re.findall(r"one layer +(.*)", text)
    assert two == one
    assert re.search(r"from \d\.\d{4} to 0\.6931, which is log 2", text)


def test_each_way_says_its_own_at_the_kink(printed: dict[str, tuple[str, Path]]) -> None:
    text, _ = printed["03_activations"]
    rows = columns(text, "np.maximum  ag.relu, ag.leaky_relu  difference\n")
    assert rows == [[0, 1, 1, 0.5, 0, 0.5], [0.01, 1, 1, 0.505, 0.01, 0.505]]


def test_missing_keepdims_and_the_published_slip_are_named(
    printed: dict[str, tuple[str, Path]],
) -> None:
    text, _ = printed["03_activations"]
    assert "(4, 4)" in text
    assert "ValueError: operands could not be broadcast" in text
    assert "db1 has shape (5,) where (5, 1) belongs: use keepdims=True" in text
    assert "dW2 has Z1 where A1 belongs." in text
    assert "dZ1 lacks the factor 1 - A1**2" in text


def test_the_exercise_improves_as_the_hand_calculation_says(
    printed: dict[str, tuple[str, Path]],
) -> None:
    text, _ = printed["04_matrix_formulas"]
    weights, both = columns(text, "L before   rate 0.01    rate 0.1\n")[:2]
    assert weights[:3] == [36.0, 18.6278, 0.6931]  # log 2 exactly: all hidden units are dead
    assert both[:3] == [36.0, 15.2268, 0.5981]
    assert "The largest number in any dL/dW\nis 0.0 now" in text


def test_the_diagonal_derivative_of_softmax_is_named_and_the_whole_one_is_right(
    printed: dict[str, tuple[str, Path]],
) -> None:
    text, _ = printed["04_matrix_formulas"]
    assert "dA3 is wrong; 8 more follow from that." in text
    assert "dA3 has only the diagonal of the Jacobian" in text
    assert "dA3 = X3 - T" in text
    assert "All 9 gradients are right." in text
