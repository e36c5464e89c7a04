"""Start a worker: ``python .../snnhw_ipu/worker``. Frames on standard input and output.

The folder is imported as a package of its own, by its place: the environment it runs in has no snnhw,
and the packages installed beside snnhw must not become visible in it.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location

PACKAGE = "snnhw_ipu_worker"


def main() -> None:
    """Serve until the pipe is closed."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
    place = os.path.join(folder, "__init__.py")
    spec = spec_from_file_location(PACKAGE, place, submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    package = module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    from importlib import import_module

    import_module(PACKAGE + ".server").serve()


if __name__ == "__main__":
    main()
