"""The sign-in page tells a newcomer how the first user is made, and nobody else."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from core.identity import SYSTEM
from workbench.flows.context import Context
from workbench.server import sign_in_routes


def sign_in_page(ctx: Context, language: str) -> str:
    async def ask() -> str:
        transport = httpx.ASGITransport(Starlette(routes=sign_in_routes(ctx)))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return (await client.get(f"/sign-in?language={language}")).text

    return asyncio.run(ask())


@pytest.mark.parametrize(("language", "words"), [("en", "Nobody can sign in here yet"), ("zh", "还没有可登录的用户")])
def test_an_empty_installation_says_how_to_make_a_user(ctx: Context, language: str, words: str) -> None:
    page = sign_in_page(ctx, language)
    assert words in page and "workbench users add NAME --role analyst" in page
    ctx.identity.create_user("li", "only-here-17", ["analyst"], by=SYSTEM)
    page = sign_in_page(ctx, language)
    assert words not in page and "workbench users add" not in page
