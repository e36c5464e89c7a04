"""The documentation site, as Sphinx reads it: ``python -m sphinx -W docs build/site``."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "snnhw"
author = "the snnhw developers"
copyright = "the snnhw developers"  # noqa: A001  # Sphinx's name
version = release = installed("snnhw")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "generated",
]
exclude_patterns = ["_ext", "_static"]
nb_execution_mode = "off"  # pages of the guides are run by tests, tutorials by their own builder
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "dollarmath"]
suppress_warnings = ["misc.highlighting_failure"]  # diagrams that forges draw stand here as their text

default_role = "py:obj"  # `name` in a docstring is a link where there is such a name
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them
autodoc_default_options = {"members": True, "show-inheritance": True}
autosummary_generate = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Class attributes", "Attributes")]

html_theme = "furo"
html_title = "snnhw"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5fa5", "color-brand-content": "#0b5fa5"},
    "dark_css_variables": {"color-brand-primary": "#7ab8f0", "color-brand-content": "#7ab8f0"},
}

PAGES = {"../benchmarks/README.md": "speed.md"}
"""Pages that stand outside of this folder -> those here that show them."""


def _link(_app: Any, _page: str, source: list[str]) -> None:
    """Links that hold in the repository lead to the site's own pages."""
    for there, here in PAGES.items():
        source[0] = source[0].replace(f"]({there}", f"]({here}")


def setup(app: Any) -> None:
    """Sphinx's door."""
    app.connect("source-read", _link)
