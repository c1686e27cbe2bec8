"""One score with the typed client. Needs SCORER (address), SCORER_KEY and BODY (a file with the request)."""

import os
from pathlib import Path

from serving.client import ScoreRequest, ScoringClient

request = ScoreRequest.model_validate_json(Path(os.environ["BODY"]).read_bytes())
with ScoringClient(os.environ["SCORER"], os.environ["SCORER_KEY"]) as client:
    answer = client.score(request)
print(answer.model_dump_json())  # noqa: T201
