"""What is printed of eight typical neurons is what is kept, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kernel_texts import FOLDERS, GOLDEN, PROGRAMS, texts


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def printed(folder: str) -> dict[Path, str]:
    return dict(texts(folder))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_kernel_is_printed_as_it_is_kept(name: str, folder: str, printed: dict[Path, str]) -> None:
    for kind in ("forward", "backward"):
        file = GOLDEN / folder / name / f"{kind}.py"
        assert printed[file] == file.read_text(), (
            "read the difference; then: python tests/kernels/kernel_texts.py"
        )


def test_no_other_text_is_kept(folder: str, printed: dict[Path, str]) -> None:
    kept = {file for file in (GOLDEN / folder).rglob("*") if file.is_file() and file.suffix != ".pyc"}
    assert kept == printed.keys()
    assert len(PROGRAMS) == 8


KINDS = {
    "kernels": {
        "per_neuron": r"p0s = carray\(p0s_at, \(C,\)\)",
        "static_input": r"x0s = carray\(x0s_at, \(R, C,\)\)",
        "synaptic": r"S1\[i\] = s1_\[i\]",
        "quantised": r"= nearest\(",
        "noise": r"x1s = carray",
        "recurrent": r"multiply\(product, x0_0_, w0_0s",
        "own_model": r"S1\[i\] = s1_\[i\]",
    },
    "triton": {
        "per_neuron": r"p0 = tl.load\(p0s \+ c, mask=inside",
        "static_input": r"x0 = tl.load\(x0s \+ place",
        "synaptic": r"S1 = tl.load\(s1s \+ place",
        "quantised": r"= nearest\(",
        "noise": r"x1_3 = tl.load\(",
        "recurrent": r"x0 = tl.load\(x0s \+ place",
        "own_model": r"S1 = tl.load\(s1s \+ place",
    },
}


def test_they_are_of_eight_kinds(folder: str, printed: dict[Path, str]) -> None:
    """What each is kept for stands in it, and not in the plain one."""
    read = {file.parts[-2:]: text for file, text in printed.items()}
    for name, words in KINDS[folder].items():
        assert re.search(words, read[name, "forward.py"]), name
        assert not re.search(words, read["leaky", "forward.py"]), name
