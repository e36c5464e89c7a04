"""Calls that are recorded give what direct ones give; what a GPU would record, a stand-in computes again."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from cuda_calls import WITH_TRITON, backend
from torch import Tensor

from snnhw.ir import MODELS, Adam, CERate, Dropout, Input, Linear, Loss, Neuron, Op, Program, Term, sequential
from snnhw.plugin import Train
from snnhw.tensors.execution.calls import Calls, Function, Groups, directly
from snnhw.tensors.execution.commit import Change
from snnhw.tensors.execution.executable import TorchExecutable
from snnhw.tensors.execution.repeated import CHANGED, MOST, Recording, Records, Repeated, carried_out
from snnhw_cuda.options import CudaOptions

pytestmark = WITH_TRITON


class StandIn:
    """Records in main memory: the same tensors are read, and the same written, at every call. As on a device,
    what is changed in place while it records stays as it was."""

    def __init__(self) -> None:
        self.recorded = self.replayed = self.updates = 0

    def __call__(self, function: Function, given: Groups, _: Sequence[Tensor]) -> Recording:
        self.recorded += 1
        self.updates += CHANGED in given
        changed = given.get(CHANGED, {}).values()
        before = [x.clone() for x in changed]
        found = function(given)
        for x, kept in zip(changed, before, strict=True):
            x.copy_(kept)

        def again() -> None:
            self.replayed += 1
            for name, group in function(given).items():
                for key, x in group.items():
                    found[name][key].detach().copy_(x)

        return Recording(found, [again])

    def changes(self, make: Callable[[], list[Change]], tensors: Sequence[Tensor]) -> Recording:
        return carried_out(self, make, tensors)


def repeated(record: Records) -> Repeated:
    return Repeated(record, warm=2, log=logging.getLogger("snnhw.cuda"))


def program_of(*middle: Op) -> Program:
    ops: dict[str, Op] = {"x": Input((4,)), "fc": Linear(4, 3)}
    ops |= {f"op{n}": op for n, op in enumerate(middle)}
    return sequential({**ops, "lif": Neuron(MODELS["Leaky"])})


def executable(calls: Calls, program: Program) -> TorchExecutable:
    """By the kernels of the CPU: what they are makes no difference to who calls them."""
    from snnhw_cuda.network import scheduled

    options = CudaOptions()
    loss = Loss((Term(CERate(), of="lif.spk"),))
    job = Train(3, {"x": (4,)}, 5, options=options, loss=loss, optimizer=Adam(lr=0.05), clip_norm=1.0)
    generator = torch.Generator().manual_seed(1)
    params = {
        key: torch.rand(spec.shape, generator=generator).numpy() for key, spec in program.params().items()
    }
    return TorchExecutable(
        scheduled(program, options),
        params,
        job,
        device=torch.device("cpu"),
        dtype=torch.float32,
        calls=calls,
    )


def batches(count: int, batch: int = 5, steps: int = 3) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    for _ in range(count):
        x = torch.rand(steps, batch, 4, generator=generator)
        yield x, torch.randint(3, (batch,), generator=generator)


def session(calls: Calls) -> list[Tensor]:
    """Everything that a session gives: steps and runs, other shapes, states, rates and parameters between."""
    found: list[Tensor] = []
    with executable(calls, program_of()) as model:
        for n, (x, y) in enumerate(batches(12)):
            result = model.step({"x": x}, {"target": y}, model.state if n % 2 else None)
            found += [torch.as_tensor(result.loss), *result.outputs.values(), *result.state.values()]
            found += model.run({"x": x}).outputs.values()
        model.set_optimizer(Adam(lr=0.5))
        saved = model.save_state()
        for x, y in batches(4, batch=2):
            found.append(torch.as_tensor(model.step({"x": x}, {"target": y}).loss))
        model.load_state(saved)
        model.set_params({"fc.weight": torch.ones(3, 4).numpy()})
        for x, y in batches(4, steps=2):
            found.append(torch.as_tensor(model.step({"x": x}, {"target": y}).loss))
        found += [torch.from_numpy(x) for x in model.get_params().values()]
    return found


def test_recorded_calls_give_what_direct_ones_give() -> None:
    stand_in = StandIn()
    ours, theirs = session(repeated(stand_in)), session(directly)
    assert stand_in.recorded >= 5
    assert stand_in.updates >= 2
    assert stand_in.replayed > 6
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_what_a_call_gave_stays_as_it_was() -> None:
    with executable(repeated(StandIn()), program_of()) as model:
        results = [model.step({"x": x}, {"target": y}) for x, y in batches(6)]
        before = [[x.clone() for x in result.outputs.values()] for result in results]
        for x, y in batches(3):
            model.step({"x": x}, {"target": y})
        for result, kept in zip(results, before, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(result.outputs.values(), kept, strict=True))


def test_random_numbers_are_never_recorded() -> None:
    stand_in = StandIn()
    with executable(repeated(stand_in), program_of(Dropout(0.5))) as model:
        for x, y in batches(5):
            model.step({"x": x}, {"target": y})
    assert stand_in.recorded == 0


def test_what_cannot_be_recorded_is_called_directly_and_told(caplog: pytest.LogCaptureFixture) -> None:
    class Refuses(StandIn):
        def __call__(self, *_: object) -> Any:
            raise RuntimeError("operation not permitted when stream is capturing")

    with caplog.at_level(logging.WARNING), executable(repeated(Refuses()), program_of()) as model:
        losses = [model.step({"x": x}, {"target": y}).loss for x, y in batches(5)]
    with executable(directly, program_of()) as model:
        assert losses == [model.step({"x": x}, {"target": y}).loss for x, y in batches(5)]
    (told,) = caplog.messages
    assert told.startswith(
        "each step launches its kernels one by one, as it cannot be recorded: operation not"
    )


def test_few_calls_are_recorded_each_once_and_none_is_kept_after_the_end() -> None:
    stand_in = StandIn()
    calls = repeated(stand_in)
    model = executable(calls, program_of())
    for _ in range(2):  # shapes that come again are not recorded again
        for steps in range(1, MOST + 3):
            for x, y in batches(3, steps=steps):
                model.step({"x": x}, {"target": y})
    assert stand_in.recorded - stand_in.updates == len(calls._kept["step"]) == MOST
    assert len(calls._kept["update"]) <= MOST
    model.close()
    assert model._calls is directly


def test_a_copy_has_no_recordings() -> None:
    from snnhw_cuda.graphs import OnDevice

    device = OnDevice(torch.device("cuda:1"))
    for copied in (copy.deepcopy(repeated(device)), pickle.loads(pickle.dumps(repeated(device)))):
        assert (copied._record, len(copied._kept)) == (device, 0)


def test_an_update_is_recorded_for_its_settings_and_never_twice_made() -> None:
    """The oldest recording makes room for that of new settings, as a schedule gives them."""
    from snnhw_cuda.graphs import WARM

    def trained(calls: Calls) -> list[Tensor]:
        with executable(calls, program_of()) as model:
            for x, y in batches(WARM + 1):
                model.step({"x": x}, {"target": y})
            for rate in range(1, MOST + 2):
                model.set_optimizer(Adam(lr=rate / 100))
                for x, y in batches(WARM + 2):
                    model.step({"x": x}, {"target": y})
            return [torch.as_tensor(x) for x in model.save_state().values()]

    stand_in = StandIn()
    calls = repeated(stand_in)
    ours, theirs = trained(calls), trained(directly)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert stand_in.updates > MOST
    assert len(calls._kept["update"]) == MOST


@pytest.mark.parametrize("stops", ["update", "copy"])
def test_a_step_that_is_stopped_has_changed_nothing(stops: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes between the two recordings of a step, or before the first."""

    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    stand_in = StandIn()
    with executable(repeated(stand_in), program_of()) as model:
        *rest, (x, y) = batches(8)
        for earlier, target in rest:
            model.step({"x": earlier}, {"target": target})
        assert stand_in.updates == 1
        before = {key: torch.as_tensor(x).clone() for key, x in model.save_state().items()}
        with monkeypatch.context() as patched:
            if stops == "update":
                patched.setattr(Repeated, "changes", interrupted)
            else:
                patched.setattr(Tensor, "clone", interrupted)
            with pytest.raises(KeyboardInterrupt):
                model.step({"x": x}, {"target": y})
        assert all(torch.equal(torch.as_tensor(x), before[key]) for key, x in model.save_state().items())
        loss = model.step({"x": x}, {"target": y}).loss
    with executable(directly, program_of()) as model:
        assert [model.step({"x": x}, {"target": y}).loss for x, y in batches(8)][-1] == loss


def test_explain_says_when_calls_are_recorded_and_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnhw_cuda.explain._machine_code", lambda *_: (("read", "elsewhere"),))
    loss = Loss((Term(CERate(), of="lif.spk"),))

    def said(program: Program, **options: Any) -> tuple[str, ...]:
        job = Train(3, {"x": (4,)}, 5, options=CudaOptions(**options), loss=loss, optimizer=Adam(lr=0.05))
        _, computes, changes = backend().explain(program, job).tables["calls"]
        assert (computes[1:] == changes[1:]) == bool(options or program.clocked)
        return computes[1:]

    assert said(program_of())[0] == "as a CUDA graph, from the third one of the same shapes on"
    one_by_one = "its kernels one by one"
    assert said(program_of(), graphs=False) == (one_by_one, "graphs=false")
    assert said(program_of(), interpret=True) == (one_by_one, "interpret=true")
    assert said(program_of(Dropout(0.5))) == (one_by_one, "random numbers are others at every call")
    assert not CudaOptions(interpret=True).records
