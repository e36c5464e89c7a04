"""Start a worker: ``python .../snnhw_ipu/worker``. Frames on standard input and output.

The folder is imported as a package of its own, by its place: the environment it runs in has no snnhw,
and the packages installed beside snnhw must not become visible in it. Any Python reads this file, be it
only to say that it is too old, so there is nothing new in it, not even an annotation.
"""

import sys

PACKAGE = "snnhw_ipu_worker"
OLD = """an IPU worker needs Python 3.8 or newer, and %s is Python %s; give the interpreter
of the Poplar environment as option python=... or in SNNHW_IPU_PYTHON"""
LACKING = """the environment of %s cannot run an IPU worker: %s
PopTorch 3.3 and 3.4 want: pip install torch==2.0.1 "numpy<2" """

if __name__ == "__main__":
    if sys.version_info < (3, 8):  # noqa: UP036  # the one place that an older one reaches
        sys.exit(OLD % (sys.executable, sys.version.split()[0]))
    import os
    from importlib import import_module
    from importlib.util import module_from_spec, spec_from_file_location

    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
    spec = spec_from_file_location(
        PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    package = module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    try:
        server = import_module(PACKAGE + ".server")
    except ImportError as error:
        import traceback

        traceback.print_exc()
        sys.exit(LACKING % (sys.executable, error))
    server.serve()
