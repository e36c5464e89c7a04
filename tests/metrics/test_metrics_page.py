"""The page: whole in one file, with every figure in words and every picture told apart without colours."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import matplotlib as mpl
import pytest
import torch
from torch import nn

import snnhw as snn
from snnhw.metrics import NetworkReport
from snnhw.metrics.page import page
from snnhw.metrics.pictures import INK, pictures
from snnhw.metrics.record import LABEL

X = (torch.rand(6, 4, 5, generator=torch.Generator().manual_seed(0)) > 0.4).float()


@pytest.fixture(scope="module")
def found() -> NetworkReport:
    torch.manual_seed(0)
    net: Any = nn.Sequential(
        nn.Linear(5, 7, bias=False),
        snn.Leaky(beta=0.9, init_hidden=True, reset_mechanism="zero", reset_delay=False),
        nn.Linear(7, 3, bias=False),
        snn.Leaky(beta=0.9, init_hidden=True, reset_mechanism="zero", reset_delay=False),
    )
    net[0].weight.data.abs_()
    return snn.report(net, X, torch.arange(4) % 3, backend="reference", target="loihi2")


class Read(HTMLParser):
    """Tags that are open, and all words."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert not any(
            name in ("src", "href") and not value.startswith(("#", "data:")) for name, value in attrs
        )
        if tag not in ("meta", "path", "use"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "use"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_the_page_is_whole_and_loads_nothing(found: NetworkReport) -> None:
    text = page(found, "a <net> & data")
    read = Read()
    read.feed(text)
    assert not read.open
    words = set(read.words)
    assert {"a <net> & data", "accuracy", f"{found.accuracy:.2%}", LABEL, "loihi2", "time step"} <= words
    assert {title for title, _ in pictures(found)} <= words
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)


def test_pictures_take_the_colour_of_the_page(found: NetworkReport) -> None:
    before = dict(mpl.rcParams)
    drawn = dict(pictures(found))
    assert dict(mpl.rcParams) == before
    assert len(drawn) == 4
    for svg in drawn.values():
        assert "currentColor" in svg
        assert INK not in svg
        assert not re.search(r"(fill|stroke): ?#(000000|ffffff)", svg)  # unseen on a page of that colour
    lines = set(re.findall(r"stroke-dasharray: [\d., ]+", drawn["Activity of layers over time"]))
    assert lines, "the second layer is told apart without its colour"


def test_what_never_fires_and_never_varies_can_be_drawn() -> None:
    net = nn.Sequential(nn.Linear(5, 2, bias=False), snn.Leaky(beta=0.9, init_hidden=True))
    net[0].weight.data.zero_()  # type: ignore[operator]
    silent = snn.report(net, X, backend="reference")
    assert silent.spikes == 0
    assert "all are 0" in page(silent, "silent")
    bare = snn.report(nn.Sequential(nn.Flatten()), X, backend="reference")
    assert "<svg" not in page(bare, "without layers")
    assert (bare.dense, bare.activation_sparsity) == (0, 0)
