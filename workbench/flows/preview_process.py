"""Previews from a process of its own, which keeps Featuretools and the tables ready between clicks.

Importing Featuretools takes seconds and holds the interpreter meanwhile: in the process of the pages it would stop them
for everybody. Here it is imported once, in ``python -m workbench.flows.preview_process``, which reads one question per
line (JSON), answers each with a line, and ends when its questioner does or has been silent for long.
"""

import json
import select
import subprocess
import sys
import threading
from collections import OrderedDict
from typing import IO, Any

from core.errors import UnavailableError, WorkbenchError
from core.i18n import Message, MessageLike, msg
from core.settings import Settings
from features.spec import FeatureSpec
from workbench.flows.context import Context, open_context
from workbench.flows.feature_preview import Ground, Preview, ground, ground_key, preview
from workbench.flows.results import from_json, to_json
from workbench.flows.scorer_process import environment

__all__ = ["PreviewProcess", "answer_all"]

_SILENT_FOR_S = 900.0
_ANSWERS_KEPT = 64


class PreviewProcess:
    """The questioner's end: asks without waiting, and starts the process when it is needed; safe from any thread.

    One question is under way at a time; of those that come meanwhile only the latest waits, because the clicks before
    it are out of date.

    Parameters
    ----------
    settings : Settings
        Where the installation is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None
        self._answers: OrderedDict[str, Preview | WorkbenchError] = OrderedDict()
        self._asked: str | None = None
        self._next: str | None = None

    @property
    def is_warm(self) -> bool:
        """Whether it has answered since it was started, so that the next answer is quick."""
        return bool(self._answers) and self._process is not None

    def warm_up(self) -> None:
        """Start the process, so that the first question need not wait for it."""
        with self._lock:
            self._running()

    def ask(self, project: str, label: str | None, choice: FeatureSpec, data: str) -> Preview | WorkbenchError | None:
        """Return the answer, or None while it is being worked out: ask again in a moment.

        Parameters
        ----------
        project, label : str
            Of what.
        choice : FeatureSpec
            What would be chosen.
        data : str
            Fingerprint of the data, so that an answer about older data is not given.
        """
        question = {"project": project, "label": label, "choice": choice.model_dump(mode="json"), "data": data}
        key = json.dumps(question, sort_keys=True)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
            if self._asked is None:
                self._send(key)
            elif self._asked != key:
                self._next = key
        return None

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _stream(process.stdin).close()
        if self._listener is not None:
            self._listener.join()

    def _send(self, key: str) -> None:
        process = self._running()
        self._asked = key
        _stream(process.stdin).write(key + "\n")
        _stream(process.stdin).flush()

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workbench.flows.preview_process"],
                env=environment(self._settings) | {"PYTHONWARNINGS": "ignore"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True, name="previews")
            self._listener.start()
        return self._process

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        with _stream(process.stdout) as answers:
            for line in answers:
                self._take(_read_answer(json.loads(line)))
        gone = UnavailableError(
            msg("the preview stopped without an answer"), fix=msg("Change something and try again.")
        )
        with self._lock:
            is_waited_for = self._process is process and self._asked is not None
        if is_waited_for:
            self._take(gone)

    def _take(self, answer: Preview | WorkbenchError) -> None:
        with self._lock:
            if self._asked is not None:
                self._answers[self._asked] = answer
                while len(self._answers) > _ANSWERS_KEPT:
                    self._answers.popitem(last=False)
            self._asked, waiting, self._next = None, self._next, None
            if waiting is not None and waiting not in self._answers:
                self._send(waiting)


def answer_all(questions: IO[str], answers: IO[str], ctx: Context) -> None:
    """Answer questions, one per line, until there are no more."""
    from features.proposal import warm_up

    warm_up()
    held: Ground | None = None
    while select.select([questions], [], [], _SILENT_FOR_S)[0]:
        line = questions.readline()
        if not line:
            return
        question = json.loads(line)
        try:
            if held is None or held.fingerprint != ground_key(ctx, question["project"], question["label"]):
                held = ground(ctx, question["project"], question["label"])
            found = preview(held, FeatureSpec.model_validate(question["choice"]))
            told: dict[str, Any] = {"preview": to_json(found)}
        except WorkbenchError as error:
            told = {"error": _error_json(error)}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def _error_json(error: WorkbenchError) -> dict[str, Any]:
    def as_json(text: MessageLike) -> Any:
        return text.to_json() if isinstance(text, Message) else text

    return {"message": as_json(error.message), "where": error.where, "fix": as_json(error.fix), "code": error.code}


def _read_answer(told: dict[str, Any]) -> Preview | WorkbenchError:
    def as_message(value: Any) -> MessageLike:
        return Message.from_json(value) if isinstance(value, dict) else str(value)

    if "preview" in told:
        return from_json(Preview, told["preview"])
    error = told["error"]
    return WorkbenchError(
        as_message(error["message"]), where=error["where"], fix=as_message(error["fix"]), code=error["code"]
    )


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise UnavailableError(msg("the preview stopped without an answer"))
    return stream


if __name__ == "__main__":
    answer_all(sys.stdin, sys.stdout, open_context())
