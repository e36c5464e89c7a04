"""Questions answered one after the other, in a thread of its own.

The thread is what makes Ctrl-C harmless: who asked stops waiting, the answer is still worked out to its end,
and the next question waits for that. There are no locks, which an interrupt could leave behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy.typing as npt

__all__ = ["Answer", "Arrays", "Turns"]

Arrays = Mapping[str, npt.NDArray[Any]]
Answer = tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]
Answering = Callable[[str, Mapping[str, Any], Arrays], Answer]
Box = SimpleQueue[Answer | BaseException]
"""Where one answer is put, or what was raised in its place."""


class _Question(NamedTuple):
    number: int
    name: str
    header: Mapping[str, Any]
    arrays: Arrays
    box: Box


class Turns:
    """A thread that answers.

    Args:
        answering: gives the answer to one question.
        name: of the thread.
        ending: what is done in it when it is no longer needed.
    """

    def __init__(self, answering: Answering, name: str, ending: Callable[[], None] = lambda: None) -> None:
        self._questions: SimpleQueue[_Question | None] = SimpleQueue()
        self._numbers = count(1)
        self._answering, self._ending = answering, ending
        self._asked = self._answered = 0
        Thread(target=self._talk, name=name, daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether there is a question without an answer."""
        return self._answered < self._asked

    def ask(self, name: str, header: Mapping[str, Any], arrays: Arrays) -> Box:
        """Queue a question. It is asked, or not, by one call that nothing comes between."""
        question = _Question(next(self._numbers), name, header, arrays, SimpleQueue())
        self._asked = question.number
        self._questions.put(question)
        return question.box

    def end(self) -> None:
        """Let the thread end, after the questions that were asked so far."""
        self._questions.put(None)

    def _talk(self) -> None:
        while (question := self._questions.get()) is not None:
            found: Answer | BaseException
            try:
                found = self._answering(question.name, question.header, question.arrays)
            except BaseException as error:  # noqa: BLE001  # it is for the one who asked
                found = error
            self._answered = question.number
            question.box.put(found)
            del question, found  # or the last arrays would live until the next question
        self._ending()
