"""`ag.draw`: the pictures that users see, save and share."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

import graphviz
import numpy as np
import pytest
from hostile import ABORTING, GARBAGE, HANGING, NAMES, dot_in
from networks import one_hidden_layer, recorded

import autograd_mini as ag
from autograd_mini.draw import dot
from autograd_mini.text import clean

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not here")
ENGINES = [pytest.param("dot", marks=needs_dot), "built in"]
SVG = "{http://www.w3.org/2000/svg}"


def a_run(name="w"):
    w = ag.Tensor([[1.0, 2.0, 3.0, 4.0, 5.0]], requires_grad=True, name=name)
    x = np.arange(5.0).reshape(5, 1)
    with ag.trace() as run:
        z = w @ x
        loss = np.sum(z * z) / 2
        loss.backward()
    return run.name({"x": x, "z": z, "loss": loss})


def boxes(svg):
    """The lines of each box, by id."""
    return {
        g.get("id"): ["".join(text.itertext()) for text in g.iter(f"{SVG}text")]
        for g in ET.fromstring(svg).iter(f"{SVG}g")
        if re.fullmatch(r"n\d+", g.get("id", ""))
    }


# ---- what it shows ------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_the_picture_shows_names_ops_shapes_and_gradients(engine):
    drawing = ag.draw(a_run(), engine=engine)
    assert drawing.back_end == engine
    shown = ["\n".join(lines) for lines in boxes(drawing.svg).values()]
    assert len(shown) == 6
    for text in ("w", "x", "z = matmul", "multiply", "sum", "loss = divide"):
        assert any(lines.startswith(text) for lines in shown), text
    assert any("(1, 5)" in lines and "grad" in lines for lines in shown)


def test_a_square_written_as_a_product_has_two_arrows():
    assert ag.draw(a_run(), legend=False).source.count("->") == 2 + 2 + 1 + 1


def test_the_graph_of_a_tensor_is_drawn_too():
    w = ag.Tensor(3.0, requires_grad=True)
    loss = (w - 1.0) ** 2
    assert "w" in str(ag.draw(loss, names={"w": w, "loss": loss}))


@pytest.mark.parametrize("engine", ENGINES)
def test_borders_show_how_large_gradients_are(engine):
    w = ag.Tensor([3e-9, 4e-9], requires_grad=True, name="w")
    with ag.trace() as run:
        np.sum((w * 1e9) ** 2 / 1e5).backward()
    svg = ag.draw(run, engine=engine, overlay=True).svg
    texts = [line.strip() for line in re.findall(r">([^<]*)</text>", svg)]
    assert [text for text in texts if text.startswith("grad norm")] == [
        *("grad norm 1e4 or more: exploding", "grad norm 1 to 100"),
        *("grad norm 1e-4 to 0.01", "grad norm 1e-6 to 1e-4"),
    ]


def test_the_text_is_a_tree():
    text = str(ag.draw(a_run()))
    assert text == ag.draw(a_run()).text
    assert text.startswith("loss = divide")
    assert "└─" in text


def test_the_graph_is_there_for_the_graphviz_package():
    drawing = ag.draw(a_run())
    assert isinstance(drawing.graphviz, graphviz.Digraph)
    assert drawing.source == drawing.graphviz.source


@pytest.mark.parametrize("engine", ENGINES)
def test_the_network_with_one_hidden_layer_is_at_most_1200_pixels_wide(engine):
    run = recorded(one_hidden_layer, sizes=(2, 4, 1), m=400)
    root = ET.fromstring(ag.draw(run, engine=engine).svg)
    assert float(root.get("width")) <= 1200


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMES, ids=range(25))
def test_a_hostile_name_is_text_in_every_output(name, engine):
    run = a_run(name)
    drawing = ag.draw(run, engine=engine)
    root = ET.fromstring(drawing.svg)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) not in ("script", "foreignObject", "a", "image")
        for key, value in element.attrib.items():
            assert not key.startswith("on")
            assert "javascript" not in value
            assert "href" not in key
    shown = {re.sub(r"[ \xa0]+", " ", lines[0]) for lines in boxes(drawing.svg).values()}
    expected = re.sub(r" +", " ", clean(name, 60)).strip()
    assert expected in {text.strip() for text in shown}
    assert len(boxes(drawing.svg)) == 6
    assert clean(name, 60) in drawing.text
    drawing.source.encode()


# ---- the same program, the same bytes -----------------------------------------------------------

PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
import hashlib, networks, test_draw
import autograd_mini as ag
for what in (networks.recorded(networks.one_hidden_layer), test_draw.a_run()):
    for engine in {engines}:
        drawing = ag.draw(what, engine=engine, derivatives=True)
        for text in (drawing.source, drawing.svg, drawing.text):
            print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_program_gives_the_same_bytes_in_every_process():
    engines = ["built in"] + ["dot"] * (shutil.which("dot") is not None)
    program = PROGRAM.format(folder=str(Path(__file__).parent), engines=engines)
    package = str(Path(ag.__file__).parent.parent)
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": package},
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 6 * len(engines)


# ---- what lays it out ---------------------------------------------------------------------------


def test_without_dot_the_built_in_layout_draws_silently(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    drawing = ag.draw(a_run())
    assert drawing.back_end == "built in"
    drawing.save(tmp_path / "graph.svg")
    assert len(boxes((tmp_path / "graph.svg").read_bytes())) == 6
    assert set(drawing._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (HANGING, r"dot took more than 1 s over this graph: the built-in layout drew"),
        (ABORTING, r"dot failed with status -6: assertion failed: the built-in layout drew"),
        (GARBAGE, r"dot gave an SVG that is not well-formed"),
        ("print('<svg/>')", r"dot gave something that is no SVG"),
    ],
)
def test_if_dot_fails_the_built_in_layout_draws_with_one_warning(
    tmp_path, monkeypatch, program, message
):
    monkeypatch.setattr(dot, "SECONDS", 1)
    monkeypatch.setenv("PATH", str(dot_in(tmp_path / "bin", program)))
    drawing = ag.draw(a_run())
    with pytest.warns(RuntimeWarning, match=message) as caught:
        svg = drawing.svg
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drawing.svg == svg == ag.draw(a_run(), engine="built in").svg
        assert drawing.back_end == "built in"
        drawing.save(tmp_path / "graph.svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "graph.svg"]


@pytest.mark.parametrize("how", ["save", "svg", "back_end"])
def test_the_warning_points_to_the_line_of_the_user(tmp_path, monkeypatch, how):
    monkeypatch.setenv("PATH", str(dot_in(tmp_path / "bin", ABORTING)))
    drawing = ag.draw(a_run())
    with pytest.warns(RuntimeWarning) as caught:
        drawing.save(tmp_path / "graph.svg") if how == "save" else getattr(drawing, how)
    assert caught[0].filename == __file__


def test_dot_or_nothing_can_be_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="dot is not on PATH"):
        _ = ag.draw(a_run(), engine="dot").svg
    monkeypatch.setenv("PATH", str(dot_in(tmp_path, ABORTING)))
    with pytest.raises(RuntimeError, match="assertion failed"):
        _ = ag.draw(a_run(), engine="dot").svg


def test_the_built_in_layout_starts_no_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(dot_in(tmp_path, ABORTING)))
    assert len(boxes(ag.draw(a_run(), engine="built in").svg)) == 6


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "begin"),
    [
        (".svg", b"<svg"),
        (".gv", b"digraph {"),
        (".dot", b"digraph {"),
        (".txt", b"loss = divide"),
        pytest.param(".png", b"\x89PNG", marks=needs_dot),
        pytest.param(".pdf", b"%PDF", marks=needs_dot),
        pytest.param(".PNG", b"\x89PNG", marks=needs_dot),
    ],
)
def test_one_file_is_saved_whole_and_replaces_what_was_there(tmp_path, suffix, begin):
    path = tmp_path / f"graph{suffix}"
    path.write_text("old")
    drawing = ag.draw(a_run())
    assert drawing.save(path) == path
    assert path.read_bytes().startswith(begin)
    assert drawing.save(str(path)) == path
    assert [*tmp_path.iterdir()] == [path]


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        ag.draw(a_run()).save(tmp_path / "graph.gv")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_not_made(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(dot_in(tmp_path, ABORTING)))  # nor is dot asked in vain
    with pytest.raises(FileNotFoundError, match=r"no such folder.*missing"):
        ag.draw(a_run()).save(tmp_path / "missing" / "graph.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["dot"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no folder that root may not")
def test_a_folder_that_cannot_be_written_in_is_named():
    with pytest.raises(OSError, match=r"/proc/graph\.txt"):
        ag.draw(a_run()).save("/proc/graph.txt")


def test_an_unknown_suffix_is_refused(tmp_path):
    for name in ("graph.jpg", "graph", ".svg"):
        with pytest.raises(ValueError, match=r"the suffix is one of .svg .png .pdf .gv .dot .txt"):
            ag.draw(a_run()).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_without_dot_png_and_pdf_say_what_to_do(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match=r"install Graphviz, or save as .svg"):
        ag.draw(a_run()).save(tmp_path / f"graph.{suffix}")
    monkeypatch.setenv("PATH", str(dot_in(tmp_path / "bin", GARBAGE)))
    with pytest.raises(RuntimeError, match=f"no {suffix.upper()}: save as .svg"):
        ag.draw(a_run()).save(tmp_path / f"graph.{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


# ---- notebooks ----------------------------------------------------------------------------------


def test_a_notebook_shows_the_picture_and_a_terminal_the_tree():
    drawing = ag.draw(a_run())
    bundle = drawing._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"text/plain": drawing.text, "image/svg+xml": drawing.svg}


def test_showing_a_drawing_never_raises(monkeypatch):
    drawing = ag.draw(a_run(), engine="dot")
    monkeypatch.setenv("PATH", "")
    bundle = drawing._repr_mimebundle_()
    assert bundle["text/plain"].startswith(drawing.text)
    assert bundle["text/plain"].endswith("(no picture: Graphviz's program dot is not on PATH)")
    assert "image/svg+xml" not in bundle


# ---- bad arguments ------------------------------------------------------------------------------


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match=r"a Trace|a run"):
        ag.draw([1.0])
    with pytest.raises(ValueError, match="nothing"):
        ag.draw(ag.Trace())
    with pytest.raises(ValueError, match="engine is one of 'auto', 'dot', 'built in', not 'neato'"):
        ag.draw(a_run(), engine="neato")


def test_what_is_too_large_is_refused_at_once_and_can_be_forced():
    x = ag.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20):
        y = np.sin(y)
    with pytest.raises(ValueError, match="max_nodes"):
        ag.draw(y, max_nodes=10)
    assert len(boxes(ag.draw(y, max_nodes=None, engine="built in").svg)) == 21


def test_derivatives_of_an_earlier_backward_pass_have_no_labels() -> None:
    a, b = (ag.Tensor(x, requires_grad=True) for x in (1.0, 2.0))
    with ag.trace() as run:
        first = a * b
        first.backward()
        second = a * 3.0
        second.backward()
    labels = [arrow.label for arrow in ag.draw(run, derivatives=True).diagram.arrows]
    assert labels == ["", "", "3"]
