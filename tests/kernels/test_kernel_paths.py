"""What the CPU decides by itself can be forced, is shown, and changes nothing else."""

from __future__ import annotations

from dataclasses import fields
from itertools import permutations
from typing import Any

import pytest
import torch

import snnhw as snn
from snnhw.errors import InputError
from snnhw.ir import Input, Linear, sequential
from snnhw.plugin import Run
from snnhw.tensors.execution import paths
from snnhw_cpu.limits import USUAL, Limits
from snnhw_cpu.network import network_of
from snnhw_cpu.paths import PATHS
from snnhw_cpu.plugin import CpuBackend, CpuOptions


def forced(text: str) -> Limits:
    return paths.forced(PATHS, text, USUAL)


def compiled(**options: object) -> snn.nn.Model:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), snn.Leaky(beta=0.9, init_hidden=True))
    return snn.compile(net, torch.zeros(4, 3), backend="cpu", time_steps=2, options=options)


def test_every_limit_belongs_to_a_path_and_every_way_moves_one() -> None:
    moved = {field for path in PATHS.values() for way in path.ways.values() for field in way}
    assert moved == {field.name for field in fields(Limits)}
    for name, path in PATHS.items():
        assert len(path.ways) > 1, name
        assert len({forced(f"{name}:{way}") for way in path.ways}) == len(path.ways), name


def test_nothing_is_forced_unasked() -> None:
    assert forced("") == USUAL == CpuOptions().limits


def test_several_are_forced_at_once() -> None:
    assert forced("linear:skip,threads:one") == Limits(way="skip", wake=forced("threads:one").wake)


def test_the_order_in_which_they_are_asked_for_is_nothing() -> None:
    """Ways of two decisions may move the same limit."""
    for first, second in permutations(
        [f"{name}:{way}" for name, path in PATHS.items() for way in path.ways], 2
    ):
        if first.partition(":")[0] != second.partition(":")[0]:
            assert forced(f"{first},{second}") == forced(f"{second},{first}")
    assert forced("tiles:whole,threads:many").tile == forced("tiles:whole").tile


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("x" * 10_000, r"there is no 'x+\.\.\.x+' in 'x+\.\.\.x+'\. Accepted, as name:way [^x]+$"),
        ("\n", r"there is no '\\n' in '\\n'\. Accepted"),
        (
            "linea:skip",
            r"there is no 'linea' in 'linea:skip'\. Did you mean 'linear'\? Accepted, as name:way",
        ),
        ("linear:sparse", "'linear:sparse' names no way of linear; accepted: dense or skip or lookup"),
        ("linear", "'linear' names no way of linear; accepted: dense or skip or lookup"),
        ("linear:skip,linear:dense", "'linear' is forced twice in 'linear:skip,linear:dense'; name one way"),
    ],
)
def test_what_is_no_path_is_refused(asked: str, words: str) -> None:
    with pytest.raises(InputError, match=f"backend 'cpu' refuses these options: paths: {words}"):
        compiled(paths=asked)


def test_to_be_deterministic_and_to_skip_is_a_contradiction() -> None:
    with pytest.raises(
        InputError, match="deterministic=true keeps to dense products; leave it out, or paths="
    ):
        compiled(deterministic=True, paths="linear:skip")
    assert CpuOptions(deterministic=True).limits.way == "dense"


def test_explain_shows_what_is_decided_how_and_what_is_forced() -> None:
    program = sequential({"x": Input((3,)), "fc": Linear(3, 2)}, train=False)
    run = Run(1, {"x": (3,)}, 1, options=CpuOptions(paths="linear:skip"))
    heading, *rows = CpuBackend().explain(program, run).tables["paths"]
    assert heading == ("path", "ways", "runs", "decided by")
    shown = {row[0]: row for row in rows}
    assert shown.keys() == PATHS.keys() == CpuBackend().capabilities().paths.keys()
    assert shown["linear"][1:3] == ("dense, skip, lookup", "skip, as forced")
    assert shown["threads"][2:] == (
        "as it is decided",
        (
            "a further thread for every 400,000 elements times steps, as far as there are tiles of them; for "
            "a while after a wait for a core that others keep busy, small work takes one"
        ),
    )


@pytest.mark.parametrize("given", [{"deterministic": True}, {"precision": "bf16", "paths": "linear:skip"}])
def test_explain_shows_what_another_option_settles(given: dict[str, Any]) -> None:
    program = sequential({"x": Input((3,)), "fc": Linear(3, 2)}, train=False)
    _, *rows = (
        CpuBackend().explain(program, Run(1, {"x": (3,)}, 1, options=CpuOptions(**given))).tables["paths"]
    )
    option = "deterministic=true" if "deterministic" in given else "precision=bf16"
    assert {row[0]: row[2] for row in rows}["linear"] == f"dense, as of {option}"


def test_a_network_is_made_of_the_limits() -> None:
    program = sequential({"x": Input((3,)), "fc": Linear(3, 2)}, train=False)
    network = network_of(program, precision="full", limits=forced("chains:apart,loops:again"))
    assert (network.sizes.block, network.sizes.held, network.sizes.passing) == (0, 1, 1)


def test_equal_limits_share_their_kernels() -> None:
    program = sequential({"x": Input((3,)), "fc": Linear(3, 2)}, train=False)
    one, other = (network_of(program, precision="full", limits=forced("rows:one")) for _ in range(2))
    assert one.provider == other.provider
    assert hash(one.provider) == hash(other.provider)
    assert one.provider != network_of(program, precision="full", limits=USUAL).provider
