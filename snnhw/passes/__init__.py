"""Program to program, and program to plan: small functions that every backend shares."""

from __future__ import annotations

from snnhw.passes.ending import Ending, ending
from snnhw.passes.expand import became, expand, lacking
from snnhw.passes.graph import Component, components, static_ports
from snnhw.passes.loop import Argument, Body, Pass, ScanLoop, Store, backward_loop, forward_loop
from snnhw.passes.magnitude import exact_float
from snnhw.passes.recurrence import CellPart, LoopKernel, Part, Port, Product, Saturating, Section, Wire
from snnhw.passes.recurrence_arguments import LoopArgument, arguments, sizes, width
from snnhw.passes.resolve import resolve_loss
from snnhw.passes.scan import NOWHERE, Layout, Request, ScanKernel, Value, derive

__all__ = [
    "NOWHERE",
    "Argument",
    "Body",
    "CellPart",
    "Component",
    "Ending",
    "Layout",
    "LoopArgument",
    "LoopKernel",
    "Part",
    "Pass",
    "Port",
    "Product",
    "Request",
    "Saturating",
    "ScanKernel",
    "ScanLoop",
    "Section",
    "Store",
    "Value",
    "Wire",
    "arguments",
    "backward_loop",
    "became",
    "components",
    "derive",
    "ending",
    "exact_float",
    "expand",
    "forward_loop",
    "lacking",
    "resolve_loss",
    "sizes",
    "static_ports",
    "width",
]
