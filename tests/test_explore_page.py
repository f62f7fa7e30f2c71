"""The step-through page in a real browser."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium, complaints, opened, requested  # noqa: F401 - a fixture
from hostile import NAMES
from networks import one_hidden_layer
from networks import recorded as run_of

import autograd_mini as ag
from autograd_mini import nn, optim
from autograd_mini.explore import explore
from autograd_mini.trace import Trace

pytestmark = pytest.mark.browser
PARTS = Path(ag.__file__).parent / "explore"


def by_hand(run: Trace) -> dict[str, np.ndarray]:
    """Gradients of the network, with a square forgotten in dZ1."""
    A2, Y, A1, W2, X = (run[name].array for name in ["A2", "Y", "A1", "W2", "X"])
    dZ2 = (A2 - Y) / 5
    dZ1 = W2.T @ dZ2 * (1 - A1)
    return {"dZ2": dZ2, "dW2": dZ2 @ A1.T, "dZ1": dZ1, "dW1": dZ1 @ X.T}


@pytest.fixture(scope="module")
def run() -> Trace:
    return run_of(one_hidden_layer)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def plain(run: Trace, folder: Path) -> Path:
    return explore(run, path=folder / "plain.html")


@pytest.fixture(scope="module")
def checked(run: Trace, folder: Path) -> Path:
    return explore(run, by_hand(run), path=folder / "checked.html")


@pytest.fixture
def page(chromium: Any) -> Any:  # noqa: F811
    """The browser, as wide as a desk's, in light colours."""
    look(chromium, 1400, 900)
    return chromium


def look(driver: Any, width: int, height: int, scale: int = 1, colours: str = "light") -> None:
    """Set the window's size in pixels of the page, how much they are enlarged, and the colours."""
    size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = [{"name": "prefers-color-scheme", "value": colours}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": scheme})


def recorded(path: Path) -> dict[str, Any]:
    """The data in a page."""
    found = re.search(r'id="record">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])


def one(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def every(driver: Any, selector: str) -> list[Any]:
    return driver.find_elements("css selector", selector)


def press(driver: Any, *keys: str) -> None:
    """Type into what has the focus."""
    for key in keys:
        driver.switch_to.active_element.send_keys(key)


def go(driver: Any, position: int) -> None:
    """Move the slider."""
    driver.execute_script(
        "const slider = document.getElementById('slider'); slider.value = arguments[0];"
        "slider.dispatchEvent(new Event('input'))",
        position,
    )


def title(driver: Any) -> str:
    return one(driver, "#panel h2 .name").text


def position_of(data: dict[str, Any], phase: str, name: str) -> int:
    """The position of the slider at which a quantity's value or gradient is shown."""
    ids = {node["name"]: node["id"] for node in data["nodes"]}
    steps = [(step["phase"], step["node"]) for step in data["steps"]]
    return steps.index((phase, ids[name])) + 1


def tables(driver: Any, kind: str) -> list[dict[str, Any]]:
    """The tables of a kind that are in the panel: name, and the text of all digits by index."""
    return driver.execute_script(
        "return [...document.querySelectorAll(`#panel table[data-of=${arguments[0]}]`)].map(t =>"
        "({name: t.dataset.name, cells: [...t.querySelectorAll('td[data-index]')].map(c =>"
        "c.dataset.value)}))",
        kind,
    )


def numbers(table: dict[str, Any], like: np.ndarray) -> np.ndarray:
    """A table as an array of the shape and the dtype of another one."""
    return np.array([float(text) for text in table["cells"]]).astype(like.dtype).reshape(like.shape)


def names_of(data: dict[str, Any]) -> list[str]:
    """What the steps are headed with."""
    names = {node["id"]: node["name"] for node in data["nodes"]}
    return [
        names[step["node"]] if step["phase"] == "forward" else f"d{names[step['node']]}"
        for step in data["steps"]
    ]


# ---- moving ------------------------------------------------------------------------------------


def test_buttons_step_through_all_and_back(page: Any, plain: Path) -> None:
    opened(page, plain)
    expected = names_of(recorded(plain))
    assert one(page, "#position").text == f"Start, {len(expected)} steps"
    seen = []
    while one(page, "#next").get_attribute("aria-disabled") == "false":
        one(page, "#next").click()
        seen.append(title(page))
    assert seen == expected
    one(page, "#previous").click()
    assert title(page) == expected[-2]
    one(page, "#first").click()
    assert "From the inputs to J" in title(page)
    one(page, "#last").click()
    assert title(page) == expected[-1]
    assert complaints(page) == []


def test_keys_step_through_all_and_back(page: Any, plain: Path) -> None:
    opened(page, plain)
    expected = names_of(recorded(plain))
    seen = []
    for _ in expected:
        press(page, "\ue014")  # arrow to the right
        seen.append(title(page))
    assert seen == expected
    press(page, "\ue014")
    assert title(page) == expected[-1]
    press(page, "\ue012")  # arrow to the left
    assert title(page) == expected[-2]
    press(page, "\ue011")  # home
    assert "From the inputs to J" in title(page)
    press(page, "\ue010")  # end
    assert title(page) == expected[-1]
    assert f"Step {len(expected)} of" in one(page, "#live").get_attribute("textContent")


def test_space_plays_and_pauses(page: Any, plain: Path) -> None:
    opened(page, plain)
    press(page, " ")
    assert one(page, "#play").get_attribute("aria-label") == "Pause"
    press(page, " ")
    assert one(page, "#play").get_attribute("aria-pressed") == "false"


def test_everything_is_reached_by_tab_and_has_a_name(page: Any, checked: Path) -> None:
    opened(page, checked)
    unnamed = page.execute_script(
        "return [...document.querySelectorAll('button, input, [tabindex=\"0\"]')].filter(e =>"
        "!(e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.outerHTML)"
    )
    assert unnamed == []
    reached = []
    for _ in range(60):
        press(page, "\ue004")  # tab
        reached.append(page.switch_to.active_element.get_attribute("id"))
        outline = page.switch_to.active_element.value_of_css_property("outline-style")
        tag = page.switch_to.active_element.tag_name
        assert tag in ("body", "g", "html") or outline != "none", f"{tag} has no visible focus"
    wanted = ["search", "theme", "first", "previous", "play", "next", "last", "slider", "canvas"]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted


def test_a_box_of_the_graph_leads_to_its_step(page: Any, plain: Path) -> None:
    opened(page, plain)
    boxes = {box.get_attribute("data-node"): box for box in every(page, ".box")}
    data = recorded(plain)
    ids = {node["name"]: str(node["id"]) for node in data["nodes"]}
    assert set(boxes) == set(ids.values())
    assert "pending" in boxes[ids["A1"]].get_attribute("class")
    assert "not yet computed" in boxes[ids["A1"]].get_attribute("aria-label")
    boxes[ids["A1"]].click()
    assert title(page) == "A1"
    assert "pending" not in boxes[ids["A1"]].get_attribute("class")
    boxes[ids["W1"]].click()  # nothing computed it: it is looked at where we are
    assert title(page) == "W1"
    go(page, len(data["steps"]))
    boxes[ids["A1"]].click()
    assert title(page) == "dA1"
    assert every(page, ".arrow.returning")


def test_the_boxes_of_the_graph_are_reached_by_tab_and_arrow_keys(page: Any, plain: Path) -> None:
    opened(page, plain)
    one(page, "#canvas").send_keys("\ue004")  # tab
    first = page.switch_to.active_element
    assert (first.tag_name, first.get_attribute("tabindex")) == ("g", "0")
    seen = {first.get_attribute("data-node")}
    for _ in range(20):
        press(page, "\ue015")  # down
        here = page.switch_to.active_element
        seen.add(here.get_attribute("data-node"))
        assert [box.id for box in every(page, ".box[tabindex='0']")] == [here.id]
    assert len(seen) > 5
    assert one(page, "#position").text.startswith("Start")  # nothing was stepped
    at = page.switch_to.active_element.get_attribute("data-node")
    names = {str(node["id"]): node["name"] for node in recorded(plain)["nodes"]}
    press(page, "\ue007")  # enter
    assert title(page) == names[at]


def neuron() -> Trace:
    """A single neuron: all its quantities are one number."""
    w1, w2, b = (ag.Tensor(x, requires_grad=True) for x in (-3.0, 1.0, 6.88))
    x1, x2 = 2.0, 0.5
    with ag.trace() as run:
        n = x1 * w1 + x2 * w2 + b
        o = np.tanh(n)
        L = (o - 1.0) ** 2
        L.backward()
    return run.name({"w1": w1, "w2": w2, "b": b, "x1": x1, "x2": x2, "n": n, "o": o, "L": L})


def second_derivative() -> Trace:
    """A gradient of a gradient: some numbers on the way have none."""
    x = ag.Tensor(1.3, requires_grad=True)
    with ag.trace() as run:
        y = x**3 * np.sin(x)
        (dy,) = ag.gradients(y, [x], create_graph=True)
        z = dy**2
        z.backward()
    return run.name({"x": x, "y": y, "dy": dy, "z": z})


def training() -> Trace:
    """Three steps of gradient descent: the first two have no gradient of the last cost."""
    rng = np.random.default_rng(9)
    X = rng.normal(size=(8, 2))
    y = X @ np.array([[2.0], [-1.0]]) + 0.5
    W = ag.Tensor(np.zeros((2, 1)), requires_grad=True)
    b = ag.Tensor(0.0, requires_grad=True)
    optimizer = optim.SGD([W, b], lr=0.1)
    with ag.trace() as run:
        for _ in range(3):
            loss = np.mean((X @ W + b - y) ** 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return run.name({"X": X, "y": y, "W": W, "b": b, "loss": loss})


@pytest.mark.parametrize("program", [neuron, second_derivative, training])
def test_every_box_and_every_step_is_shown_without_an_error(
    page: Any, folder: Path, program: Any
) -> None:
    path = explore(program(), path=folder / f"{program.__name__}.html")
    opened(page, path)
    data = recorded(path)
    titles = names_of(data)
    values = {node["id"]: node["value"]["data"][0] for node in data["nodes"]}
    for position in range(len(titles) + 1):
        go(page, position)
        assert complaints(page) == [], position
        assert position == 0 or title(page) == titles[position - 1]
        assert one(page, "#position").text.startswith(f"Step {position} " if position else "Start")
        page.execute_script(
            "document.querySelectorAll('#panel td[data-index]').forEach(cell => cell.click())"
        )
        assert complaints(page) == [], position
    for start in (0, len(titles)):
        for box in every(page, ".box"):
            go(page, start)
            page.execute_script("arguments[0].dispatchEvent(new MouseEvent('click'))", box)
            assert complaints(page) == [], box.get_attribute("aria-label")
            assert "current" in box.get_attribute("class").split()
            shown = float(one(page, "#panel .full").get_attribute("data-value"))
            assert start or shown == values[int(box.get_attribute("data-node"))]


def test_search_finds_a_quantity(page: Any, plain: Path) -> None:
    opened(page, plain)
    one(page, "#search").send_keys("tanh")
    assert [found.text for found in every(page, "#found button")] == ["A1 A1 = tanh(Z1)"]
    assert len(every(page, ".box.found")) == 1
    press(page, "\ue007")  # enter
    assert title(page) == "A1"


# ---- numbers -----------------------------------------------------------------------------------


def test_all_numbers_are_those_of_numpy(page: Any, run: Trace, plain: Path) -> None:
    opened(page, plain)
    data = recorded(plain)
    for name in ["Z1", "A1", "Z2", "A2", "J"]:
        go(page, position_of(data, "forward", name))
        value = run[name].array
        (table,) = [t for t in tables(page, "value") if t["name"] == name]
        assert numbers(table, value).tobytes() == value.tobytes()
    for name in ["J", "A2", "Z2", "W2", "b2", "A1", "Z1", "W1", "b1"]:
        go(page, position_of(data, "backward", name))
        assert run[name].gradient is not None
        gradient = run[name].gradient.array
        shown = tables(page, "gradient") or tables(page, "contribution")
        (table,) = [t for t in shown if t["name"] == f"d{name}"]
        assert numbers(table, gradient).tobytes() == gradient.tobytes()
        selected = one(page, "#panel .full").get_attribute("data-value")
        assert float(selected) == gradient.reshape(-1)[0]


def test_contributions_add_up_to_the_gradient(page: Any, run: Trace, plain: Path) -> None:
    opened(page, plain)
    go(page, position_of(recorded(plain), "backward", "A2"))
    gradient = run["A2"].gradient
    assert gradient is not None
    shares = [numbers(table, gradient.array) for table in tables(page, "contribution")]
    assert len(shares) == len(run["A2"].shares) == 2
    assert (shares[0] + shares[1]).tobytes() == gradient.array.tobytes()
    assert "2 contributions" in one(page, "#panel .sentence").text
    assert one(page, "#panel .sum").is_displayed()


def test_upstream_gradient_and_local_derivative_are_shown(
    page: Any, run: Trace, plain: Path
) -> None:
    opened(page, plain)
    go(page, position_of(recorded(plain), "backward", "Z1"))
    (upstream,), (local,) = tables(page, "upstream"), tables(page, "local")
    assert run["A1"].gradient is not None
    assert upstream["name"] == "dA1"
    assert numbers(upstream, run["A1"].gradient.array).tolist() == run["A1"].gradient.array.tolist()
    A1 = run["A1"].array
    np.testing.assert_allclose(numbers(local, A1), 1 - A1**2, rtol=1e-15)
    sentence = one(page, "#panel .sentence").text
    assert sentence.startswith("dZ1: the gradient of J by Z1. It gets one contribution, through A1")


def test_an_entry_of_a_gradient_is_traced_to_the_entries_that_made_it(
    page: Any, plain: Path
) -> None:
    opened(page, plain)
    go(page, position_of(recorded(plain), "backward", "W1"))
    one(page, "#panel table[data-name=dW1] td[data-index='1,0']").click()
    used = page.execute_script(
        "return [...document.querySelectorAll('#panel table')].map(t => [t.dataset.name,"
        "[...t.querySelectorAll('td.used')].map(c => c.dataset.index)])"
    )
    assert [indices for _, indices in used] == [
        [],
        [f"1,{k}" for k in range(5)],
        [f"0,{k}" for k in range(5)],
    ]
    assert used[2][0] == "X"
    formula = one(page, "#panel .numbers").text.replace("\n", "")
    assert "dW1[1, 0]" in formula
    assert "X[0, 4]" in formula
    chosen = one(page, "#panel table[data-name=dW1] td.chosen")
    assert chosen.get_attribute("data-index") == "1,0"
    assert one(page, "#panel .full").get_attribute("data-value") == chosen.get_attribute(
        "data-value"
    )


def test_arrow_keys_in_a_table_choose_an_entry_and_do_not_step(page: Any, plain: Path) -> None:
    opened(page, plain)
    go(page, position_of(recorded(plain), "backward", "W1"))
    one(page, "#panel table[data-name=dW1] td.chosen").click()
    press(page, "\ue015", "\ue014", "\ue014", "\ue014")  # down, three times to the right
    chosen = one(page, "#panel table[data-name=dW1] td.chosen")
    assert chosen.get_attribute("data-index") == "1,2"
    assert page.switch_to.active_element == chosen
    assert title(page) == "dW1"


def test_special_numbers_and_large_arrays_are_shown(page: Any, folder: Path) -> None:
    x = ag.Tensor(np.arange(1.0, 2001).reshape(40, 50), requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        run = ag.trace(lambda: np.sum(x * np.array(np.inf) * 0.0 + x.sum()))
        opened(page, explore(run, path=folder / "special.html"))
    assert complaints(page) == []
    one(page, ".leaves button").click()
    assert "of 40 \u00d7 50" in one(page, "#panel .array .note").text
    go(page, 1)
    assert one(page, "#panel td.special").text == "\u221e"
    assert one(page, "#panel td.special").get_attribute("data-value") == "Infinity"


def lines(driver: Any) -> list[str]:
    """The lines of the formula with numbers, up to the full result."""
    return [found.text for found in every(driver, "#panel .numbers > .formula")]


def test_the_numbers_of_a_formula_are_those_of_the_entries(page: Any, folder: Path) -> None:
    layer = nn.Linear(2, 3, rng=np.random.default_rng(0))
    X = np.array([[1.0, -2.0], [0.5, 0.2]])
    with ag.trace() as run:
        Z = layer(X)
        P = ag.softmax(Z, axis=1)
        Q = np.log(P)[1:2]
        np.sum(Q).backward()
    run.name({"X": X, "Z": Z, "P": P, "Q": Q})
    path = explore(run, path=folder / "layer.html")
    opened(page, path)
    data = recorded(path)

    def shown(phase: str, name: str, index: str) -> list[str]:
        go(page, position_of(data, phase, name))
        one(page, f"#panel table[role=grid] td[data-index='{index}']").click()
        return lines(page)

    def text(number: float) -> str:
        return f"{float(f'{number:.4g}'):g}".replace("-", "\u2212")

    W, b, z, p = (np.asarray(x) for x in (layer.weight.data, layer.bias.data, Z.data, P.data))
    entries, _ = shown("forward", "Z", "1,2")
    assert entries.replace("\u00a0", " ") == (
        "X[1, 0] \u00b7 weight[2, 0] + X[1, 1] \u00b7 weight[2, 1] + bias[2]"
    )
    _, numbers_ = shown("forward", "P", "0,1")
    shares = " + ".join(f"exp({text(x)})" for x in z[0])
    assert numbers_ == f"exp({text(z[0, 1])}) / ({shares})"
    last, _ = shown("forward", "Q", "0,1")
    assert last.endswith("[1, 1]")
    *_, numbers_ = shown("backward", "Z", "1,0")
    assert run["P"].gradient is not None
    g = [x if x[0] != "\u2212" else f"({x})" for x in map(text, run["P"].gradient.array[1])]
    terms = " + ".join(f"{x} \u00b7 {text(y)}" for x, y in zip(g, p[1], strict=True))
    assert numbers_.replace("\u00a0", " ") == f"{text(p[1, 0])} \u00b7 ({g[0]} \u2212 ({terms}))"
    assert complaints(page) == []
    assert b.shape == (3,)
    assert W.shape == (3, 2)


def test_marked_entries_are_told_to_a_screen_reader_too(page: Any, plain: Path) -> None:
    opened(page, plain)
    go(page, position_of(recorded(plain), "backward", "W1"))
    for index in ("1,0", "2,1"):
        one(page, f"#panel table[data-name=dW1] td[data-index='{index}']").click()
        told = page.execute_script(
            "return [...document.querySelectorAll('#panel td')].map(c =>"
            "[c.classList.contains('used'), c.textContent.endsWith(' marked')])"
        )
        assert any(used for used, _ in told)
        assert all(used == marked for used, marked in told)


def test_what_is_not_known_exactly_is_said(page: Any, folder: Path) -> None:
    table = ag.Tensor(np.arange(9.0).reshape(3, 3), requires_grad=True, name="table")
    rows = np.array([2, 0])
    with ag.trace() as run:
        np.sum(np.max(table[rows], axis=1)).backward()
    run.name({"rows": rows})
    opened(page, explore(run, path=folder / "exact.html"))
    go(page, 1)
    used = every(page, "#panel table[data-name=table] td.used")
    assert [cell.get_attribute("data-index") for cell in used] == ["2,0"]
    of_rows = every(page, "#panel figure")[-1].text
    assert of_rows.endswith("What made the chosen entry is among the marked.")
    go(page, 2)
    assert "the entries that made the chosen entry are marked" in one(page, ".sentence").text


def test_a_gradient_that_backward_was_given_is_not_called_1(page: Any, folder: Path) -> None:
    w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with ag.trace() as run:
        a = w * w
        a.backward(np.array([1.0, 10.0]))
    run.name({"a": a})
    path = explore(run, path=folder / "given.html")
    opened(page, path)
    assert "backward was given the gradient of a" in one(page, ".story").text
    go(page, position_of(recorded(path), "backward", "a"))
    assert one(page, ".sentence").text.endswith(
        "It is what backward was given. The way back begins here."
    )


# ---- gradients by hand -------------------------------------------------------------------------


def test_the_first_wrong_line_is_selected_on_load(page: Any, checked: Path) -> None:
    opened(page, checked)
    assert title(page) == "dZ1"
    here = one(page, "#checks [aria-current]")
    assert "dZ1 first wrong" in here.text
    assert [chip.text.split()[1] for chip in every(page, "#checks .check")] == [
        *["dZ2", "dW2", "dZ1", "dW1"]
    ]
    assert "may follow from it" in every(page, "#checks .check")[-1].text
    verdict = one(page, "#panel .verdict.wrong")
    assert "first that is wrong" in verdict.text
    sentences = recorded(checked)["manual"]["lines"][2]["sentences"]
    assert sentences
    assert all(text in verdict.text for text in sentences)


def test_wrong_entries_are_marked_beside_the_true_ones(
    page: Any, run: Trace, checked: Path
) -> None:
    opened(page, checked)
    assert run["Z1"].gradient is not None
    true = run["Z1"].gradient.array
    hand = by_hand(run)["dZ1"]
    (yours,), (right,) = tables(page, "hand"), tables(page, "true")
    assert numbers(yours, hand).tobytes() == hand.tobytes()
    assert numbers(right, true).tobytes() == true.tobytes()
    wrong = every(page, "#panel table[data-of=hand] td.wrong")
    assert len(wrong) == np.sum(~np.isclose(hand, true, rtol=1e-6, atol=0))
    assert all("\u2717" in cell.text for cell in wrong)  # not by colour alone
    worst = np.unravel_index(np.argmax(np.abs(hand - true)), true.shape)
    chosen = one(page, "#panel table[data-of=true] td.chosen").get_attribute("data-index")
    assert chosen == ",".join(str(i) for i in worst)


def test_right_gradients_open_at_the_start(page: Any, run: Trace, folder: Path) -> None:
    hand = {"dZ2": by_hand(run)["dZ2"]}
    opened(page, explore(run, hand, folder / "right.html"))
    assert "From the inputs" in title(page)
    one(page, "#checks .check").click()
    assert title(page) == "dZ2"
    assert "right" in one(page, "#panel .verdict.right h3").text


def test_of_a_large_array_the_worst_entries_are_listed(page: Any, folder: Path) -> None:
    w = ag.Tensor(np.arange(2500.0).reshape(50, 50), requires_grad=True, name="w")
    hand = 2 * w.data
    hand[40, 30] += 7
    opened(page, explore(ag.trace(lambda: np.sum(w * w)), {"dw": hand}, folder / "large.html"))
    assert title(page) == "dw"
    (worst,) = every(page, "#panel table[data-of=worst] tbody tr")
    assert worst.text.split() == ["[40,", "30]", "4067", "4060"]
    chosen = every(page, "#panel table[role=grid] td.chosen")
    assert {cell.get_attribute("data-index") for cell in chosen} == {"0,0"}
    assert {cell.get_attribute("tabindex") for cell in chosen} == {"0"}
    assert one(page, "#panel .full").get_attribute("data-value") == "0"


def test_a_convention_is_named(page: Any, run: Trace, folder: Path) -> None:
    hand = {"dZ2": run["A2"].array - run["Y"].array, "dW2": by_hand(run)["dW2"]}
    opened(page, explore(run, hand, folder / "convention.html"))
    assert "right, times m = 5" in one(page, "#checks .check").text
    one(page, "#checks .check").click()
    assert "right, times m = 5" in one(page, "#panel .verdict h3").text


def test_true_numbers_are_in_the_scale_of_those_by_hand(
    page: Any, run: Trace, folder: Path
) -> None:
    dZ2 = run["A2"].array - run["Y"].array
    wrong = run["W2"].array.T @ dZ2 * (1 - run["A1"].array)
    opened(page, explore(run, {"dZ2": dZ2, "dZ1": wrong}, folder / "scale.html"))
    assert title(page) == "dZ1"
    captions = [found.text for found in every(page, "#panel .verdict .arrays figcaption")]
    assert captions[:2] == ["your dZ1 4 \u00d7 5", "true dZ1 (times m = 5) 4 \u00d7 5"]
    assert run["Z1"].gradient is not None
    (right,) = tables(page, "true")
    true = 5 * run["Z1"].gradient.array
    np.testing.assert_allclose(numbers(right, true), true, rtol=1e-12)
    assert right["name"] == "5 \u00b7 dZ1"
    one(page, "#panel .verdict summary").click()
    assert "by central differences (times m = 5)" in one(page, "#panel details figcaption").text
    (numerical,) = tables(page, "numerical")
    np.testing.assert_allclose(numbers(numerical, true), true, rtol=1e-6)
    (own,) = tables(page, "contribution")  # what follows is about the gradient itself
    np.testing.assert_array_equal(numbers(own, true), run["Z1"].gradient.array)
    assert complaints(page) == []


# ---- looks -------------------------------------------------------------------------------------

CONTRAST = """
const colour = text => text.match(/[\\d.]+/g).map(Number);
const light = rgb => rgb.slice(0, 3).map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const found = [];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || !e.checkVisibility() || e.closest('.unseen, .skip, svg, script, style')) continue;
  if (e.closest('[aria-disabled=true]')) continue;
  let ground = e;
  while (ground && (colour(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0) {
    ground = ground.parentElement;
  }
  const back = light(colour(getComputedStyle(ground || document.body).backgroundColor));
  const front = light(colour(getComputedStyle(e).color));
  const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
  if (ratio < 4.5) found.push([e.tagName, e.className, e.textContent.slice(0, 40), ratio]);
}
for (const box of document.querySelectorAll('.box')) {
  const back = light(colour(getComputedStyle(box.querySelector('.shape')).fill));
  for (const text of box.querySelectorAll(':scope > text')) {
    const front = light(colour(getComputedStyle(text).fill));
    const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    if (ratio < 4.5) found.push(['box', box.getAttribute('class'), text.textContent, ratio]);
  }
}
return found;
"""


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_text_is_readable_in_both_themes(page: Any, checked: Path, colours: str) -> None:
    look(page, 1400, 900, colours=colours)
    opened(page, checked)
    assert one(page, "html").get_attribute("data-theme") == colours
    for position in [0, 1, 2, *range(16, len(recorded(checked)["steps"]) + 1)]:
        go(page, position)
        assert page.execute_script(CONTRAST) == [], position
    one(page, "#theme").click()
    assert one(page, "html").get_attribute("data-theme") != colours


@pytest.mark.parametrize(("width", "scale"), [(700, 2), (480, 1), (1400, 1)])
def test_nothing_is_cut_when_enlarged_twice_or_narrow(
    page: Any, checked: Path, width: int, scale: int
) -> None:
    look(page, width, 450 if scale == 2 else 900, scale)
    opened(page, checked)
    for position in range(len(recorded(checked)["steps"]) + 1):
        go(page, position)
        cut = page.execute_script(
            "return [...document.querySelectorAll('body, body *')].filter(e =>"
            "e.clientWidth && e.scrollWidth > e.clientWidth + 1"
            "&& !e.closest('.scroll, #canvas, .unseen, svg')"
            "&& getComputedStyle(e).display !== 'inline').map(e => e.tagName + e.className)"
        )
        assert cut == [], position
        outside = page.execute_script(
            "return [...document.querySelectorAll('button, h2, h3, p, input')].filter(e =>"
            "e.checkVisibility() && !e.closest('.unseen, #canvas, .skip')"
            "&& (e.getBoundingClientRect().right > innerWidth + 1"
            "|| e.getBoundingClientRect().left < -1)).map(e => e.textContent)"
        )
        assert outside == [], position


def test_a_long_graph_is_printed_in_letters_that_can_be_read(page: Any, folder: Path) -> None:
    w = ag.Tensor(0.5, requires_grad=True, name="w")

    def chain() -> Any:
        y = w
        for _ in range(30):
            y = np.tanh(y * 1.1)
        return y

    path = explore(ag.trace(chain), path=folder / "chain.html")
    opened(page, path)
    look(page, 700, 1000)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    width, height = page.execute_script(
        "const box = document.querySelector('#canvas svg').getBoundingClientRect();"
        "return [box.width, box.height]"
    )
    graph = recorded(path)["graph"]
    assert graph["height"] > 1000
    assert (width, height) == pytest.approx((graph["width"], graph["height"]), abs=1)


def test_the_page_prints(page: Any, checked: Path) -> None:
    opened(page, checked)
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


# ---- safety ------------------------------------------------------------------------------------


def test_nothing_is_asked_of_the_network(page: Any, checked: Path) -> None:
    opened(page, checked)
    for position in range(len(recorded(checked)["steps"]) + 1):
        go(page, position)
    addresses = [address for address in requested(page) if address != "about:blank"]
    assert addresses == [checked.as_uri()]
    assert complaints(page) == []


def test_hostile_names_run_nothing(page: Any, folder: Path) -> None:
    leaves = [ag.Tensor(float(i), requires_grad=True, name=name) for i, name in enumerate(NAMES)]

    def total() -> Any:
        value = leaves[0] * 2.0
        for leaf in leaves[1:]:
            value = value + leaf * 2.0
        return value

    run = ag.trace(total)
    path = explore(run, path=folder / "hostile.html")
    opened(page, path)
    before = page.execute_script("return document.querySelectorAll('*').length")
    for position in range(len(recorded(path)["steps"]) + 1):
        go(page, position)
        assert page.execute_script(
            "return document.querySelectorAll('script').length === 2 &&"
            "!document.querySelector('img, iframe, object, embed, a:not(.skip), #panel style')"
        ), position
    assert before > 100
    handlers = page.execute_script(
        "return [...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
        ".filter(a => a.name.startsWith('on') || /javascript:/.test(a.name)).map(a => a.name)"
    )
    assert handlers == []
    one(page, "#search").send_keys("script")
    assert every(page, "#found button")
    assert complaints(page) == []
    assert [address for address in requested(page) if address != "about:blank"] == [path.as_uri()]


def test_an_attack_on_the_page_itself_is_refused(page: Any, plain: Path) -> None:
    opened(page, plain)
    page.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        "document.body.append(script)"
    )
    assert page.execute_script("return window.ran ?? null") is None
    assert any("Content Security Policy" in message for message in complaints(page))


def test_the_parts_are_small_and_plain() -> None:
    texts = {name: (PARTS / name).read_text() for name in ["page.html", "page.css", "page.js"]}
    assert sum(len(text.encode()) for text in texts.values()) <= 100_000
    for name, text in texts.items():
        assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(", text), name
        assert "style=" not in text, name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), name
