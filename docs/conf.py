"""The documentation site, as Sphinx reads it: ``python -m sphinx -W docs build/site``."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

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
    "mathml",
]
exclude_patterns = ["_ext", "_static"]
nb_custom_formats = {".percent": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = os.environ.get("SNNHW_DOCS_RUN", "cache")  # or "off", for pages without figures
nb_execution_cache_path = str(HERE.parent / "build" / "tutorials")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
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

html_math_renderer = "mathml"
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

PAGES = (
    (r"\]\(\.\./benchmarks/README\.md", "](speed.md"),
    (r"\]\(\.\./examples/tutorials/(\w+)\.py", r"](tutorials/\1.percent"),
)
"""Links to what stands outside of this folder -> to the pages here that show it."""


def _link(_app: Any, _page: str, source: list[str]) -> None:
    for there, here in PAGES:
        source[0] = re.sub(there, here, source[0])


def _scripts(_app: Any, _config: Any) -> None:
    """Tutorials are scripts of ``examples/``, and stand here while the site is made."""
    here = HERE / "tutorials"
    here.mkdir(exist_ok=True)
    for script in (HERE.parent / "examples" / "tutorials").glob("*.py"):
        module = script.stem == "settings"
        shutil.copy2(script, here / (script.name if module else f"{script.stem}.percent"))


def setup(app: Any) -> None:
    """Sphinx's door."""
    app.connect("config-inited", _scripts)
    app.connect("source-read", _link)
