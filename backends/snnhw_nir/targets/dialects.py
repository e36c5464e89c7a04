"""What each reader of NIR makes of a file: data, with the release in which it was measured.

A reader that is not listed may well work; nobody has held it to anything here, so it is not claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from snnhw.errors import InputError
from snnhw.words import did_you_mean
from snnhw_nir.cycles import Recurrence
from snnhw_nir.graph import SCHEMA
from snnhw_nir.targets.orders import Order

__all__ = ["APART", "DIALECTS", "UNVERIFIED", "Apart", "Dialect", "Rule", "dialect_of"]

Is = Literal[
    "zero", "one number", "equal to v_reset", "1", "1, with r or without", "1 or more", "more than 1"
]
Reset = Literal["to_value", "subtract", "subtract_late"]


@dataclass(frozen=True)
class Rule:
    """What a reader takes for granted about one field.

    Attributes:
        types: of node; field: of theirs, a time also ``in steps``, or ``gain`` for what an input of 1 adds
            within a step, and ``current gain`` for what it adds to the current.
        must: what it has to be; because: what the reader does otherwise.
        modelled: whether `snnhw_nir.targets.meant` does likewise, where a file is read as by this reader;
            otherwise such a file is refused.
    """

    types: tuple[str, ...]
    field: str
    must: Is
    because: str
    modelled: bool = False


@dataclass(frozen=True)
class Dialect:
    """How one reader reads.

    Attributes:
        verified: the releases it was measured with.
        nodes: types that it reads, and can be relied on; reads: others, which are not written for it.
        dt: length of a step that it takes for granted; None: whatever it is told. ``fixed``: it cannot
            be told another.
        reset: what a spike does to the membrane; ``subtract_late``: a step after it, as in snnTorch.
        exact: whether a gain that is 1 but for rounding is exactly 1 there.
        late: by how many steps a spike is late, for each layer of neurons.
        rules: what it takes for granted.
        loop: where it delays a cycle; pairs: whether a neuron and a product may be all of one.
        order: in which it computes nodes.
        several: whether it takes more than one Input or Output.
        joins: whether it adds up what meets at an Output.
        dots: whether names with dots stay what they are.
        gain: where it reads the gain of a LIF: its ``r``; nowhere, so that it goes into ``weights``; or its
            ``r`` where that is 1 or ``tau / dt``, and any other goes into weights.
        ties: whether a membrane that is exactly at its threshold ``rests`` or ``fires``.
        batch_counts: whether it takes the batch for the first axis of what a Flatten flattens; channels_last:
            whether it flattens channels last.
        chains: whether it reads nodes in a row only, from one called ``input`` to one called ``output``.
        dilation: whether it reads convolutions with one.
        unpadded: pools whose padding it leaves out; groups: whether it reads convolutions in groups.
        nested: whether it was held to graphs within graphs.
        notes: what to know besides, each with the type of node that it is about, or "".
    """

    name: str
    verified: str
    nodes: frozenset[str] = frozenset(SCHEMA)
    reads: frozenset[str] = frozenset()
    dt: float | None = None
    fixed: bool = False
    schemes: tuple[str, ...] = ("euler",)
    reset: Reset = "to_value"
    exact: bool = False
    late: int = 0
    rules: tuple[Rule, ...] = ()
    pairs: bool = True
    loop: Recurrence = "spikes"
    order: Order = "any"
    several: bool = True
    joins: bool = True
    dots: bool = True
    gain: Literal["r", "weights", "r or weights"] = "r"
    ties: Literal["rests", "fires"] = "rests"
    batch_counts: bool = False
    channels_last: bool = False
    chains: bool = False
    dilation: bool = True
    unpadded: tuple[str, ...] = ()
    groups: bool = True
    nested: bool = True
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Apart:
    """A reader whose neurons are others than NIR's, whatever a file says, so that none is written for it.

    Attributes:
        measured: the releases in which it was measured.
        habits: where it parts from NIR, each in words.
    """

    measured: str
    habits: tuple[str, ...]


_TORCH: Final = """
    T_destination add_module add_submodule apply bfloat16 buffers call_super_init children clear code compile
    cpu cuda delete_all_unused_submodules delete_submodule double dump_patches eval extra_repr float forward
    get_buffer get_extra_state get_parameter get_submodule graph half ipu items keys load_state_dict meta
    modules mtia named_buffers named_children named_modules named_parameters parameters pop print_readable
    recompile register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule shape_env share_memory
    state_dict to to_empty to_folder train training type update values xpu zero_grad
"""

TORCH: Final = frozenset(_TORCH.split())
"""Names that no node may have where nodes become modules of torch 2.13."""

_BOTH: Final = ("LIF", "CubaLIF")
_LAYERS: Final = frozenset({"Input", "Output", "Affine", "Linear", "Conv2d", "Flatten"})
_ALL: Final = (
    Dialect(
        "nir",
        "the specification, nir 1.0.8",
        schemes=("euler", "exponential", "euler_old", "exponential_old"),
    ),
    Dialect(
        "snntorch",
        "snntorch 1.0.0, nirtorch 2.6",
        nodes=_LAYERS | {"AvgPool2d", "LIF", "CubaLIF"},
        dt=1e-4,
        fixed=True,
        exact=True,
        pairs=False,
        loop="current",
        order="in turn",
        several=False,
        nested=False,
        groups=False,
        joins=False,
        dots=False,
        batch_counts=True,
        rules=(
            Rule(_BOTH, "v_leak", "zero", "it refuses any other"),
            Rule(_BOTH, "v_reset", "zero", "it resets to 0 whatever the file says", modelled=True),
            Rule(_BOTH, "v_threshold", "one number", "it has one threshold per layer"),
            Rule(("LIF",), "gain", "one number", "it divides the threshold by the gain of the first neuron"),
            Rule(("CubaLIF",), "gain", "1", "it refuses any other"),
            Rule(("CubaLIF",), "current gain", "one number", "it divides the threshold by it"),
        ),
    ),
    Dialect(
        "spikingjelly",
        "spikingjelly 2.0.0, nirtorch 2.6",
        nodes=_LAYERS | {"Conv1d", "AvgPool2d", "IF", "LIF", "CubaLIF"},
        dt=1e-4,
        exact=True,
        loop="current",
        order="in turn",
        several=False,
        nested=False,
        groups=False,
        joins=False,
        dots=False,
        gain="r or weights",
        ties="fires",
        rules=(
            *(
                Rule(("IF", *_BOTH), field, "one number", "it has one number per layer")
                for field in ("tau", "tau_syn", "tau_mem", "r", "v_leak", "v_reset", "v_threshold", "w_in")
            ),
            Rule(("IF", *_BOTH), "v_reset", "zero", "its membranes start from v_reset", modelled=True),
            Rule(("LIF",), "v_leak", "equal to v_reset", "it refuses any other"),
            Rule(("CubaLIF",), "v_leak", "zero", "it refuses any other"),
            Rule(("IF", "CubaLIF"), "gain", "1", "it refuses any other"),
            Rule(("LIF",), "gain", "1, with r or without", "it refuses any other"),
            Rule(("CubaLIF",), "current gain", "1", "it refuses any other"),
            Rule(("LIF",), "tau in steps", "more than 1", "it refuses a step or less"),
            Rule(("CubaLIF",), "tau_syn in steps", "1 or more", "it refuses less than a step"),
            Rule(("CubaLIF",), "tau_mem in steps", "1 or more", "it refuses less than a step"),
        ),
    ),
    Dialect(
        "norse",
        "norse 1.1.0, nirtorch 2.6",
        nodes=_LAYERS | {"SumPool2d", "LIF", "CubaLIF"},
        reads=frozenset({"IF"}),
        loop="current",
        order="depth first",
        several=False,
        nested=False,
        groups=False,
        dots=False,
        gain="weights",
        batch_counts=True,
        unpadded=("SumPool2d",),
        rules=(
            Rule(_BOTH, "v_reset", "zero", "it resets to 0 whatever the file says", modelled=True),
            Rule(_BOTH, "v_leak", "zero", "it adds v_leak to the current too, and starts from it"),
            Rule(("LIF",), "r", "1", "it ignores r", modelled=True),
        ),
        notes=(("", "give it the step: norse.torch.from_nir(graph, dt=...)"),),
    ),
    Dialect(
        "spyx",
        "spyx 1.0.0",
        nodes=_LAYERS | {"SumPool2d", "IF", "LIF", "CubaLIF"},
        dt=1.0,
        reset="subtract_late",
        late=1,
        several=False,
        nested=False,
        groups=False,
        dilation=False,
        joins=False,
        dots=False,
        chains=True,
        channels_last=True,
        unpadded=("SumPool2d",),
        rules=(
            Rule(("IF", *_BOTH), "gain", "1", "it ignores r", modelled=True),
            Rule(("CubaLIF",), "current gain", "1", "it ignores w_in", modelled=True),
            Rule(_BOTH, "v_leak", "zero", "it ignores v_leak", modelled=True),
            Rule(
                ("IF", *_BOTH),
                "v_reset",
                "zero",
                "it resets by subtraction whatever the file says",
                modelled=True,
            ),
        ),
        notes=(
            ("", "give it the step: spyx.nir.from_nir(graph, x, dt=...)"),
            ("Conv2d", "give it images with their channels last, [T, B, H, W, C]"),
            *((kind, "each layer of neurons gives its spikes one step late") for kind in ("IF", *_BOTH)),
        ),
    ),
)

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in _ALL}
"""Name of a target -> how it reads."""

APART: Final[Mapping[str, Apart]] = {
    "sinabs": Apart(
        "sinabs 3.1.3, nirtorch 2.6",
        (
            "it takes a tau in seconds for a number of steps, and is told no dt: tau=2e-3 forgets at once",
            "it ignores r: an input of 1 adds 1 to the membrane within a step",
            "it resets by subtraction, whatever v_reset says",
            "a membrane at n times its threshold gives n spikes in one step, and one exactly at it fires",
            "the membrane of an IF goes no lower than -v_threshold",
        ),
    )
}
"""Name of a reader that is no target -> why not."""

UNVERIFIED: Final = (
    "hxtorch", "jaxsnn", "lava", "nengo", "rockpool", "spikeforge", "spinnaker2",
)  # fmt: skip
"""Readers that are known, and were not held to anything here."""


def dialect_of(target: str) -> Dialect:
    """The dialect of that name.

    Raises:
        InputError: there is none, or the reader was not verified.
    """
    if target in DIALECTS:
        return DIALECTS[target]
    listed = ", ".join(f"{name} ({dialect.verified})" for name, dialect in DIALECTS.items())
    if target in APART:
        apart = APART[target]
        raise InputError(
            f"no file makes '{target}' ({apart.measured}) compute the same: {'; '.join(apart.habits)}. "
            f"Targets: {listed}"
        )
    if target in UNVERIFIED:
        raise InputError(
            f"target '{target}' is not verified: nobody has held what it reads to what was written. "
            f"Verified: {listed}. target='nir' writes what the specification says"
        )
    raise InputError(f"there is no target '{target}'.{did_you_mean(target, DIALECTS)} Targets: {listed}")
