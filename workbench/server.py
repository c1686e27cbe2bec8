"""The web server around the pages: signing in and out, security headers, and Streamlit behind them."""

import logging
from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, urlsplit

import streamlit as st
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import AuthenticationError, WorkbenchError
from core.i18n import LANGUAGES, MessageLike, msg, render
from core.identity import Actor
from core.settings import Settings
from workbench.flows import projects
from workbench.flows.context import Context, open_context
from workbench.sessions import COOKIE, LANGUAGE_COOKIE, LANGUAGE_LIFETIME_SECONDS, LIFETIME_SECONDS, issue_token
from workbench.ui.pieces import show_error
from workbench.ui.style import sign_in_style
from workbench.ui.texts import t

__all__ = ["create_app", "run", "sign_in_routes"]

_LOG = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_FORM_LIMIT_BYTES = 4096
_HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' ws: wss: data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
        "frame-src 'self' blob: data:; frame-ancestors 'none'"
    ),
}


class SecurityHeaders:
    """ASGI layer that adds the security headers Streamlit does not send."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def create_app(settings: Settings) -> st.App:
    """Return the ASGI application: sign-in pages, then the Streamlit pages behind them."""
    ctx = open_context(settings)
    return st.App(
        _HERE / "app.py",
        routes=sign_in_routes(ctx),
        middleware=[Middleware(SecurityHeaders)],
        on_script_error=_tell_fault,
    )


def sign_in_routes(ctx: Context) -> list[Route]:
    """Return the pages by which people sign in and out."""
    return [
        Route("/sign-in", _sign_in(ctx), methods=["GET", "POST"]),
        Route("/sign-out", _sign_out, methods=["GET"]),
    ]


def run(settings: Settings) -> None:
    """Serve the workbench on its host and port until it is stopped."""
    uvicorn.run(
        create_app(settings), host=settings.ui_host, port=settings.ui_port, log_level="warning", access_log=False
    )


def _tell_fault(error: Exception) -> bool:
    """Keep the trace for those who run the server, and say something useful to the one who looks."""
    _LOG.error("a page failed", exc_info=error)
    if isinstance(error, WorkbenchError):
        show_error(error)
    else:
        st.error(t("This page failed unexpectedly. What was entered elsewhere is kept; the server's log tells why."))
    return True


def _sign_in(ctx: Context) -> Callable[[Request], Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        language = _language(request, ctx)
        if request.method == "GET":
            return _page(ctx, language)
        if not _is_same_origin(request):
            return _page(ctx, language, error=msg("Please sign in on this page."), status=403)
        form = parse_qs((await request.body())[:_FORM_LIMIT_BYTES].decode("utf-8", "replace"))
        name = form.get("name", [""])[0]
        try:
            actor = await run_in_threadpool(_authenticate, form, name, ctx)
        except AuthenticationError as error:
            return _page(ctx, language, error=error.message, name=name, status=401)
        return _signed_in(actor, ctx, language, secure=request.url.scheme == "https")

    return handler


def _authenticate(form: dict[str, list[str]], name: str, ctx: Context) -> Actor:
    chosen = form.get("open_as", [""])[0]
    if chosen in {login.name for login in projects.local_logins(ctx)}:
        return ctx.identity.actor(chosen)
    return ctx.identity.authenticate(name, form.get("password", [""])[0])


def _signed_in(actor: Actor, ctx: Context, language: str, *, secure: bool) -> Response:
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        COOKIE,
        issue_token(actor.name, ctx.settings.secret()),
        max_age=LIFETIME_SECONDS,
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    # The pages go on in the language of the sign-in page, and their own switch writes this cookie: scripts may.
    response.set_cookie(LANGUAGE_COOKIE, language, max_age=LANGUAGE_LIFETIME_SECONDS, samesite="lax", secure=secure)
    return response


async def _sign_out(_request: Request) -> Response:
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(COOKIE)
    return response


def _is_same_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _language(request: Request, ctx: Context) -> str:
    for chosen in (request.query_params.get("language"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return chosen
    accepted = request.headers.get("accept-language", "").lower()
    return "zh" if accepted.startswith("zh") else ctx.settings.language


def _page(
    ctx: Context, language: str, *, error: MessageLike | None = None, name: str = "", status: int = 200
) -> HTMLResponse:
    def text(message: MessageLike) -> str:
        return escape(str(render(message, language)))

    template = Template((_HERE / "ui" / "sign_in.html").read_text("utf-8"))
    body = template.substitute(
        lang=language,
        style=sign_in_style(),
        title=text(msg("Sign in")),
        product=text(msg("Guarantee Risk Workbench")),
        sentence=text(msg("Build, review, deploy and watch credit-risk models.")),
        error=f'<p class="error" role="alert">{text(error)}</p>' if error else "",
        name=escape(name, quote=True),
        name_label=text(msg("User")),
        password_label=text(msg("Password")),
        button=text(msg("Sign in")),
        local=_local_users(ctx, language) or _first_use(ctx, language),
        languages=" · ".join(
            f'<a href="/sign-in?language={code}" lang="{code}">{label}</a>'
            for code, label in (("zh", "中文"), ("en", "English"))
            if code != language
        ),
    )
    return HTMLResponse(body, status_code=status, headers={"Cache-Control": "no-store"})


def _local_users(ctx: Context, language: str) -> str:
    logins = projects.local_logins(ctx)
    if not logins:
        return ""
    buttons = "".join(
        f'<button class="quiet" name="open_as" value="{escape(login.name, quote=True)}">'
        f"{escape(msg('Open as {name}', name=login.name).text(language))}</button>"
        for login in logins
    )
    hint = msg("This installation answers on this computer only, so its sample users open without a password.")
    return (
        f'<form class="local" method="post" action="/sign-in?language={language}">{buttons}'
        f'<p class="muted">{escape(hint.text(language))}</p></form>'
    )


def _first_use(ctx: Context, language: str) -> str:
    """Return what to do where nobody can sign in yet; nothing where somebody can."""
    if ctx.identity.users():
        return ""
    told = msg("Nobody can sign in here yet. On the server, one of these makes users; then load this page again:")
    commands = "".join(
        f"<p><code>{command}</code><br>{escape(what.text(language))}</p>"
        for command, what in (
            ("workbench users add NAME --role analyst", msg("a person of your own")),
            ("workbench demo", msg("the sample project and its four users")),
        )
    )
    return f'<div class="local"><p>{escape(told.text(language))}</p>{commands}</div>'
