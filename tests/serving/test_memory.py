"""The service does not grow with what it has answered; one that does is found by the same measure."""

import pytest

from benchmarks.serving_memory import LIMIT_MB, measure
from core.identity import SYSTEM, Identity
from tests.model_registry.tiny_world import ready_values
from tests.serving.conftest import PROJECT, Site


@pytest.mark.long
# A step of the allocator, 1 MB, must be no slope when it is prolonged; a leak shows sooner.
@pytest.mark.parametrize(("is_leaky", "n_requests"), [(False, 200_000), (True, 60_000)])
def test_a_million_requests_would_add_less_than_fifty_megabytes(site: Site, is_leaky: bool, n_requests: int) -> None:
    site.deploy(1)
    # Several keys, as one alone may not send as fast as the service answers.
    keys = [Identity(site.database).create_key(f"load-{n}", ["model.score"], by=SYSTEM)[1] for n in range(4)]
    site.database.dispose()
    bodies = [{"project": PROJECT, "features": ready_values(row), "reasons": 0} for row in range(50)]
    # Past the 5,000 answers that are kept on purpose: the second half must add nothing.
    grown = measure(site.settings.home, keys, bodies, n_requests, is_leaky=is_leaky)
    assert (grown.growth_mb_at_million < LIMIT_MB) is not is_leaky, grown
