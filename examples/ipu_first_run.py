"""What nobody could tell without an IPU, asked of the first one, in one command.

    python examples/ipu_first_run.py                       on an IPU, through PopTorch
    python examples/ipu_first_run.py -o ipu_model=true     on the SDK's simulator
    python examples/ipu_first_run.py -o emulate=true       on the emulator, to try the script

Each check is a command, whose output goes into the folder ``ipu-first-run``; `docs/ipu.md` says what each of
them is to settle. One that fails does not keep the others from running.
"""

import argparse
import subprocess
import sys
from pathlib import Path

TUTORIAL = str(Path(__file__).with_name("ipu_mnist.py"))


def checks(options: list[str], updates: int, select: str) -> dict[str, list[str]]:
    """Name -> what is run, without the interpreter."""

    def tutorial(*more: str, backend: str = "ipu") -> list[str]:
        given = [*options, *more] if backend == "ipu" else list(more)
        return [TUTORIAL, "--backend", backend, "--updates", str(updates), *given]

    suite = ["-m", "snnhw", "conformance", "ipu", *options]
    chosen = ["--select", select] if select else []
    few = ["-o", "chunk=1", "--select", select or "gradient"]
    return {
        "conformance": [*suite, "--json", "conformance.json", *chosen],
        "conformance-chunks": [*suite, "--json", "conformance-chunks.json", *few],
        "tutorial-cpu": tutorial(backend="cpu"),
        "tutorial": tutorial(),
        "tutorial-parts": tutorial("-o", "gradient_accumulation=4"),
        "tutorial-half": tutorial("-o", "dtype=float16"),
        "tutorial-long": tutorial("--time-steps", "100"),
        "tutorial-chunks": tutorial("--time-steps", "100", "-o", "chunk=25"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--updates", type=int, default=250, help="of the tutorial, in each of its checks")
    parser.add_argument("--select", default="", help="a part of the conformance suite")
    parser.add_argument("--folder", type=Path, default=Path("ipu-first-run"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    options = [part for option in given.option for part in ("-o", option)]
    failed = 0
    for name, command in checks(options, given.updates, given.select).items():
        log = given.folder / f"{name}.txt"
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(  # noqa: S603  # our own scripts
                [sys.executable, *command],
                cwd=given.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        failed += done.returncode != 0
        last = log.read_text(encoding="utf-8").strip().rpartition("\n")[2]
        print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {name}: {last}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
