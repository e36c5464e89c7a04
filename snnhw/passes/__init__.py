"""Program to program, and program to plan: small functions that every backend shares."""

from __future__ import annotations

from snnhw.passes.expand import became, expand, lacking
from snnhw.passes.graph import Component, components, static_ports
from snnhw.passes.resolve import resolve_loss
from snnhw.passes.scan import Layout, Request, ScanKernel, Value, derive

__all__ = [
    "Component",
    "Layout",
    "Request",
    "ScanKernel",
    "Value",
    "became",
    "components",
    "derive",
    "expand",
    "lacking",
    "resolve_loss",
    "static_ports",
]
