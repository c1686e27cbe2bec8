"""The server as a process of its own sees to what a process is for."""

import gc

import httpx

from serving.server import make_server
from tests.serving.conftest import Site, running


def test_what_stays_is_set_aside_from_garbage_collection_where_the_process_is_the_services(site: Site) -> None:
    site.deploy(1)
    threshold = gc.get_threshold()
    with running(site.settings) as address:
        assert httpx.get(f"{address}/readyz").status_code == 200
        assert (gc.get_freeze_count(), gc.get_threshold()) == (0, threshold)
    try:
        with running(site.settings, server=make_server(site.settings, port=0, has_process=True)) as address:
            assert httpx.get(f"{address}/readyz").status_code == 200
            # The modules alone are more; what is left to be walked is what came since.
            assert gc.get_freeze_count() > 50_000 > len(gc.get_objects())
            assert gc.get_threshold()[0] > threshold[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
