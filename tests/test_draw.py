"""The first picture of a run."""

import errno
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import autograd_mini as ag

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not here")


def a_run(name="w"):
    w = ag.Tensor([[1.0, 2.0, 3.0, 4.0, 5.0]], requires_grad=True, name=name)
    x = np.arange(5.0).reshape(5, 1)
    with ag.trace() as run:
        z = w @ x
        loss = np.sum(z * z) / 2
        loss.backward()
    return run.name({"x": x, "z": z, "loss": loss})


def test_the_picture_shows_names_ops_shapes_and_gradients():
    source = ag.draw(a_run()).source
    assert 'label="w\n(1, 5) float64\ngrad of norm 219"' in source.replace("\\n", "\n")
    assert "z = matmul" in source
    assert "loss = divide(., 2)" in source
    assert source.count("->") == 2 + 2 + 1 + 1  # z * z has two edges


def test_the_same_program_gives_the_same_text():
    assert ag.draw(a_run()).source == ag.draw(a_run()).source


def test_text_is_saved_whole_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "graph.gv"
    path.write_text("old")
    drawing = ag.draw(a_run())
    assert drawing.save(path) == path
    assert path.read_text() == drawing.source
    assert [p.name for p in tmp_path.iterdir()] == ["graph.gv"]


@needs_dot
def test_a_hostile_name_stays_a_name(tmp_path):
    hostile = '"]; evil [label="<script>alert(1)</script>\x1b\x00\\N &copy; \u202e' + "x" * 500
    path = ag.draw(a_run(hostile)).save(tmp_path / "graph.svg")
    root = ET.parse(path).getroot()
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}script"))) == 0
    shown = '"]; evil [label="<script>alert(1)</script>\ufffd\ufffd\\N &copy; \ufffd'
    assert any(text.startswith(shown) and text.endswith("…") for text in texts)
    nodes = [g for g in root.iter("{http://www.w3.org/2000/svg}g") if g.get("class") == "node"]
    assert len(nodes) == 6


@needs_dot
def test_a_notebook_shows_svg():
    assert ag.draw(a_run())._repr_svg_().lstrip().startswith("<?xml")


def test_without_dot_text_is_drawn_and_pictures_say_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    drawing = ag.draw(a_run())
    drawing.save(tmp_path / "graph.gv")
    with pytest.raises(FileNotFoundError, match=r"install Graphviz, or save the drawing as .gv"):
        drawing.save(tmp_path / "graph.svg")
    assert drawing._repr_svg_() is None
    assert [p.name for p in tmp_path.iterdir()] == ["graph.gv"]


def test_a_failing_or_endless_dot_is_reported(tmp_path, monkeypatch):
    drawing = ag.draw(a_run())
    monkeypatch.setattr(shutil, "which", lambda _: "dot")
    failed = subprocess.CompletedProcess([], 1, b"", b"bad graph")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="dot failed: bad graph"):
        drawing.save(tmp_path / "graph.svg")

    def endless(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", endless)
    with pytest.raises(RuntimeError, match="more than 20 s"):
        drawing.save(tmp_path / "graph.png")


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        ag.draw(a_run()).save(tmp_path / "graph.gv")
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(TypeError, match="draw takes a run, not Tensor"):
        ag.draw(ag.Tensor(1.0))
    with pytest.raises(ValueError, match="nothing to draw"):
        ag.draw(ag.Trace())
    with pytest.raises(ValueError, match=r"the suffix is one of .gv .dot .svg .png .pdf"):
        ag.draw(a_run()).save(tmp_path / "graph.txt")
