"""A compiled network, as torch users call it. Arrays are converted here, at the edge, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from torch import Tensor, nn

from snnhw.arrays import check_forwards
from snnhw.errors import InputError, ProgramError, Unsupported
from snnhw.ir import Input, Optimizer, Output, Params, Program, files
from snnhw.nn.alone import OneAtATime
from snnhw.nn.axes import check_axes
from snnhw.nn.evaluated import Evaluated, StepLoss
from snnhw.nn.habits import instead
from snnhw.nn.sequences import Sequences
from snnhw.nn.sound import Sound
from snnhw.nn.writing import names_of, write_into
from snnhw.plugin import Arrays, Backend, Executable, Result, Run, Train, label_of
from snnhw.session.checkpoint import Checkpoint, check_carried, read_checkpoint, write_checkpoint
from snnhw.tensors.arrays import as_tensor

if TYPE_CHECKING:
    from snnhw.parity.live import Live

__all__ = ["Model"]

Signals = Tensor | tuple[Tensor, ...]

NONE: Final[Mapping[str, Any]] = {}


class Model:
    """A network on a backend, as `snnhw.compile` gives it. A context manager.

    A model serves one call at a time: a call while another one runs, in this thread or in another, is a
    `snnhw.errors.BusyError`.

    Attributes:
        program: what was compiled.
        executable: the backend's own object, see `snnhw.plugin.Executable`, held to one call at a time
            and to finite values.
        plugin: the backend; job: what it was compiled for, see `snnhw.plugin.Train`.
    """

    def __init__(
        self,
        executable: Executable,
        program: Program,
        names: Mapping[str, str],
        plugin: Backend,
        job: Run,
        *,
        sequences: Sequences | None = None,
    ) -> None:
        sound: Any = Sound(executable, program)
        self.executable: Executable = OneAtATime(sound)
        self.program = program
        self.plugin, self.job = plugin, job
        self._sequences = sequences or Sequences(program, job)
        # What a step left at the backend when the state was last set here, and that.
        self._kept: tuple[Arrays | None, Arrays | None] = (self._left(), None)
        self._names = names
        self._inputs = program.named(Input)
        self._outputs = program.named(Output)

    def step(
        self, x: Any, y: Any = None, state: Arrays | None = None, *, lengths: Any = None
    ) -> tuple[float, Signals]:
        """One update of the parameters; of a model with ``tbptt``, one for each part of the sequence.

        Args:
            x: ``[T, B, ...]``, or ``[B, ...]`` when static; name -> array when there are several.
            y: targets, ``[B]`` class numbers; name -> array when there are several; None where the loss takes
                none.
            state: what to start from; None: from rest.
            lengths: the number of steps of each sample, ``[B]``, best in main memory; None: all T. For a
                model that was compiled with ``lengths=True``.

        Returns:
            the loss before the update (of several, their mean over all steps of samples), and the outputs
            ``[T, B, ...]`` in the order of the network's own return. On a device, the loss is an array
            without axes that can be used like a number: whoever asks for its value, as ``float()`` does,
            waits for the device.

        Raises:
            InputError: an input, a target or a state in main memory holds NaN or infinite values; nothing has
                been computed then. Or the step led to such values: names the layer, and the parameters that
                are not finite. Arrays on other devices are not looked at, which would wait for them.
        """
        targets = {} if y is None else _named(y, ("target",), "target")
        sequences, given = self._sequences, self._signals(x, targets)
        counted = sequences.lengths(given, lengths)
        carried, losses, outputs = sequences.given(state), [], []
        for part in sequences.trained(given, targets, counted):
            found = self.executable.step(part.inputs, part.targets, carried)
            losses.append((found.loss, part.weight))
            if part.inputs or not given:  # else the other processes' alone
                carried = found.state
                outputs.append(found.outputs)
        self.state = sequences.taken(carried)
        loss, signals = _mean(losses), sequences.joined(outputs, given)
        return StepLoss(loss) if isinstance(loss, float) else loss, self._returned(signals)

    def run(self, x: Any, state: Arrays | None = None, *, lengths: Any = None) -> Result:
        """Evaluate: outputs and recordings ``[T, B, ...]`` by name, as tensors, and the final state.

        Args:
            x, state, lengths: as for `step`. Behind the end of a sample signals are 0, and its state stays
                that of its last step.

        Raises:
            InputError: as `step` does.
        """
        sequences, given = self._sequences, self._signals(x)
        counted = sequences.lengths(given, lengths)
        carried, outputs, recordings = sequences.given(state), [], []
        for part in sequences.parts(given, NONE, counted):
            found = self.executable.run(part.inputs, carried)
            carried = found.state
            outputs.append(found.outputs)
            recordings.append(found.recordings)
        self.state = sequences.taken(carried)
        recorded = sequences.own(sequences.joined(recordings, given), counted)
        return Result(sequences.joined(outputs, given), recorded, self.state or {})

    def __call__(self, x: Any, state: Arrays | None = None, *, lengths: Any = None) -> Signals:
        """The outputs of `run`, in the order of the network's own return.

        Without a gradient: who calls ``backward()`` on them is told what trains.
        """
        found = self._returned(self.run(x, state, lengths=lengths).outputs)
        return (
            tuple(each.as_subclass(Evaluated) for each in found)
            if isinstance(found, tuple)
            else found.as_subclass(Evaluated)
        )

    def _signals(self, x: Any, targets: Mapping[str, Any] = NONE) -> dict[str, Any]:
        given, found = _named(x, self._inputs, "input"), {}
        for name, array in given.items():
            check_forwards("input", name, array)
            tensor = as_tensor("input", name, array)
            found[name] = tensor.plain() if isinstance(tensor, Evaluated) else tensor
            check_axes(name, tuple(found[name].shape), self.program, self.job, targets)
        return found

    def _returned(self, outputs: Arrays) -> Signals:
        tensors = _tensors(outputs)
        found = tuple(tensors[name] for name in self._outputs)
        return found[0] if len(found) == 1 else found

    def verify(self, x: Any, state: Arrays | None = None, *, lengths: Any = None) -> Live:
        """Hold this model, as it is now, to the float64 reference.

        Is it, after all training, loading and setting, still the model of its parameters: does it give, in
        every bit, what one gives that is compiled afresh from them? And does what they give differ from the
        reference by more than rounding to the dtype explains? (Products do that were asked for in a coarser
        precision.) Compiles twice, and runs the reference, which is slow: for a look now and then, on a batch
        or two.

        Args:
            x, state, lengths: as for `run`; as many steps as are computed at once.

        Returns:
            what was found; its ``ok`` is the answer, ``str()`` of it says it in words.

        Raises:
            InputError: as for `run`.
        """
        from snnhw.parity.live import hold_live

        sequences, given = self._sequences, self._signals(x)
        program, job = sequences.compiled
        (part,) = sequences.parts(given, NONE, sequences.lengths(given, lengths))
        state = sequences.given(state)
        return hold_live(self.executable, self.plugin, program, job, inputs=part.inputs, state=state)

    @property
    def state(self) -> Arrays | None:
        """The state after the last call, to pass to the next for one long sequence.

        Backends with a `state` of their own put it in place together with what else a step changes: a step
        that is interrupted leaves neither or both.
        """
        before, own = self._kept
        left = self._left()
        return own if left is before else self._sequences.taken(left)

    @state.setter
    def state(self, state: Arrays | None) -> None:
        self._kept = (self._left(), state)

    def _left(self) -> Arrays | None:
        left: Arrays | None = getattr(self.executable, "state", None)
        return left

    @property
    def params(self) -> Params:
        """The present parameters, copied to the host."""
        return self.executable.get_params()

    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Continue with other settings of the same optimizer, as a schedule does."""
        self.executable.set_optimizer(optimizer)

    def write_back(self, net: nn.Module) -> None:
        """Copy the trained parameters, and what training measured, into the torch module that was compiled,
        or into any other that computes the same, whatever its layers are called.

        Raises:
            InputError: the module lacks one of them, or has it in another size, or is another network;
                nothing was copied then.
        """
        write_into(net, names_of(net, self._names, self.program), self.params)

    def save(self, path: str) -> None:
        """Write structure, equations and present parameters to one ``.snn`` file."""
        files.save(path, self.program, self.params)

    def save_checkpoint(self, path: str | os.PathLike[str], beside: Arrays = NONE) -> None:
        """Write all that training goes on from to one ``.safetensors`` file: parameters, what the optimizer
        remembers and how it is set, gradients that wait for the rest of an update, the count of sequences,
        what the backend has decided by measurement, and `state`.

        Args:
            beside: name -> array, of your own, such as the place in your data.

        Raises:
            OSError: the file cannot be written; the name holds what it held before.
        """
        write_checkpoint(path, Checkpoint(self.executable.save_state(), self.state, beside))

    def load_checkpoint(self, path: str | os.PathLike[str]) -> Arrays:
        """Go on from what `save_checkpoint` wrote. A run that stopped there and one that did not are the
        same, in every bit.

        Returns:
            what was saved ``beside``.

        Raises:
            LoadError: the file is no checkpoint, or damaged; names it.
            InputError: it is one of another program, loss, optimizer or `accumulate`, or holds what no run
                can come to; says what differs. The model is as it was.
        """
        saved = read_checkpoint(path)
        try:
            if saved.carried is not None:
                check_carried(self.program, saved.carried)
            self.executable.load_state(saved.run)
        except (InputError, ProgramError) as error:
            raise InputError(f"cannot go on from '{os.fspath(path)}': {error}") from error
        self.state = saved.carried
        return saved.beside

    def torch_module(self) -> nn.Module:
        """A differentiable module that shares this model's parameters, for a training loop of one's own, with
        any of torch's optimizers and schedulers: ``module(x, state) -> (outputs by name, state)``, all steps
        at once.

        Raises:
            Unsupported: the backend computes no gradients for others.
            InputError: the model was compiled with ``lengths=True``.
        """
        if self._sequences.ending is not None:
            raise InputError(
                "torch_module() runs all samples to the last step; compile without lengths=True, and give "
                "the loss each sample's length: snnhw.functional.ce_rate_loss()(spikes, y, lengths)"
            )
        given: Callable[[], nn.Module] | None = getattr(self.executable, "torch_module", None)
        if given is None:
            reason = (
                "its gradients do not leave it, so that it gives no torch module; train with step(), or "
                "compile for a backend that runs on torch"
            )
            raise Unsupported(self.plugin.name, [reason])
        return given()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a compiled network has no '{name}'{instead(name)}")

    def __repr__(self) -> str:
        job, label = self.job, label_of(self.plugin, self.job.options)
        task = f"training with {job.optimizer}" if isinstance(job, Train) else "evaluation"
        head = f"{type(self).__name__} on '{self.plugin.name}'{f' ({label})' if label else ''}, for {task}:"
        return "\n".join([head, *(f"  {line}" for line in str(self.program).splitlines())])

    def close(self) -> None:
        """Let go of the device."""
        self.executable.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _mean(losses: list[tuple[Any, int]]) -> Any:
    """Of losses and how much each counts."""
    if len(losses) == 1:
        return losses[0][0]
    return sum(loss * weight for loss, weight in losses) / sum(weight for _, weight in losses)


def _named(given: Any, names: tuple[str, ...], what: str) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, tuple) and len(given) == len(names):
        return dict(zip(names, given, strict=True))
    if len(names) != 1:
        raise InputError(f"this network has several {what}s; give a mapping with {', '.join(names)}")
    return {names[0]: given}


def _tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {name: as_tensor("result", name, x) for name, x in arrays.items()}
