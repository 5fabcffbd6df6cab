"""What stands before the page: who may ask, for what, and what becomes of what they send.

Every request passes here before Gradio sees it. Uploads are taken here too: each lies in a folder
of its own, so that equal ones of two people are two.
"""

import asyncio
import contextlib
import ipaddress
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ser import formats
from ser.inference import sandbox

FORGET_S = 300.0  # what was sent and never asked about is removed then; an upload takes no longer
MAX_STORED = 500_000_000  # bytes of uploads at the same time
MAX_ASKED = 100_000  # bytes of any other request
PREFIX = "ser-app-"
UPLOAD = "/gradio_api/upload"
NO_PROGRESS = 'data: {"msg": "done"}\n\n'  # Gradio's page asks how far an upload is
# what the page and its Python client use of what Gradio offers
OPEN = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|(assets|static)/.*)?"
    r"|/gradio_api/(info|app_id|startup-events|theme\.css|cancel|reset|upload(_progress)?|file=.+"
    r"|queue/(join|data)|heartbeat/[\w-]+|call/(v2/)?\w+(/\w+)?)"
)
HEADERS = {
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}
_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class _Parser(MultiPartParser):
    spool_max_size = 1 << 16  # bytes of each upload in memory; the rest in a file without a name


@contextlib.contextmanager
def folder_of_uploads() -> Iterator[Path]:
    """Make a folder for uploads, and remove it at the end; those of killed servers first."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):  # of another user, or in use
            if not old.is_symlink():
                with FileLock(old / "lock", timeout=0):
                    shutil.rmtree(old, ignore_errors=os.name == "nt")
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        with FileLock(folder / "lock"):
            yield folder


class Guard:
    """An ASGI application around another, which keeps uploads in `folder`."""

    def __init__(self, app: Any, folder: Path, host: str) -> None:
        self.app, self.folder = app, folder
        self.receiving, self.kept = 0, dict[str, int]()  # bytes on their way, and of each upload
        self.everywhere = host in ("0.0.0.0", "::", "")
        own = socket.gethostname().lower()
        self.names = {"localhost", "127.0.0.1", "::1", host.lower()}
        self.names |= {own, f"{own}.local"} if self.everywhere else set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":  # the beginning and end of the server
            await self.app(scope, receive, send)
            return

        async def send_safely(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].lower() not in HEADERS]
                message = {**message, "headers": [*kept, *_RAW]}
            await send(message)

        request, path = Request(scope, receive), scope["path"]
        response: Response | None = None
        try:
            self._refuse(request, path)
            if path == UPLOAD and request.method == "POST":
                response = JSONResponse([await self._take(request)])
            elif path == f"{UPLOAD}_progress":
                response = PlainTextResponse(NO_PROGRESS, media_type="text/event-stream")
            elif request.method == "POST":
                receive = await self._checked(request)
        except HTTPException as error:
            response = PlainTextResponse(error.detail, error.status_code)
        except ClientDisconnect:
            return
        await (response or self.app)(scope, receive, send_safely)

    def _refuse(self, request: Request, path: str) -> None:
        """Refuse what another site asks, under its own name (DNS rebinding) or from there."""
        headers, host = request.headers, request.headers.get("host", "")
        if not self.is_own(host):
            raise HTTPException(421, f"this page is not called {host!r}: open it by its address.")
        origin = headers.get("origin", f"//{host}")
        elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        followed_link = headers.get("sec-fetch-dest") == "document" and request.method == "GET"
        if urlsplit(origin).netloc.lower() != host.lower() or (elsewhere and not followed_link):
            raise HTTPException(403, "another site may not ask this page.")
        if not OPEN.fullmatch(path):
            raise HTTPException(404, "there is nothing here.")
        name = path.partition("/file=")[2]
        if name and not self._is_upload(name):
            raise HTTPException(404, "there is no such recording.")
        if "transfer-encoding" in headers:
            raise HTTPException(411, "say how long it is.")

    def is_own(self, host: str) -> bool:
        """Tell whether a Host header names this server."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name not in self.names and self.everywhere:
                ipaddress.ip_address(name)  # an address cannot be made to point elsewhere
                return True
        except ValueError:
            return False
        return name in self.names

    def _is_upload(self, path: Any) -> bool:
        with contextlib.suppress(OSError, TypeError, ValueError):
            return Path(path).resolve().parent.parent == self.folder
        return False

    async def _checked(self, request: Request) -> Any:
        """Let only files be named that were sent here, and give the request anew."""
        if int(request.headers.get("content-length", 0)) > MAX_ASKED:
            raise HTTPException(413, f"at most {MAX_ASKED:,} bytes are taken.")
        body = await request.body()
        try:
            named = _paths(json.loads(body or b"null"))
        except (ValueError, TypeError, RecursionError) as error:
            raise HTTPException(400, "expected JSON.") from error
        if not all(self._is_upload(path) for path in named):
            raise HTTPException(400, "that file was not sent to this page: send it again.")
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return messages.pop() if messages else await request.receive()

        return receive

    async def _take(self, request: Request) -> str:
        """Store one upload, as long as there is room."""
        received = 0

        async def arriving() -> AsyncGenerator[bytes, None]:
            nonlocal received
            async for part in request.stream():
                received += len(part)
                self.receiving += len(part)
                if received > sandbox.MAX_BYTES + MAX_ASKED:
                    raise HTTPException(413, f"at most {sandbox.MAX_BYTES / 1e6:.0f} MB are taken.")
                if self.receiving + sum(list(self.kept.values())) > MAX_STORED:
                    raise HTTPException(503, "too much is waiting for answers: try again later.")
                yield part

        try:
            async with asyncio.timeout(FORGET_S):
                form = await _Parser(request.headers, arriving(), max_files=1).parse()
            (file,) = form.getlist("files")
            path = await asyncio.to_thread(self._store, cast(UploadFile, file))
            self.kept[path] = received
            await form.close()
        except (MultiPartException, AttributeError, KeyError, ValueError) as error:
            raise HTTPException(400, "expected one file, as a form.") from error
        except TimeoutError as error:
            raise HTTPException(408, f"it took longer than {FORGET_S:.0f} s.") from error
        finally:
            self.receiving -= received
        asyncio.get_running_loop().call_later(FORGET_S, self.forget, path)
        return path

    def _store(self, upload: UploadFile) -> str:
        suffix = Path(upload.filename or "").suffix.lower()
        folder = self.folder / secrets.token_hex(16)
        folder.mkdir()
        path = folder / f"recording{suffix if suffix in formats.SUFFIXES else ''}"
        with path.open("xb") as file:
            shutil.copyfileobj(upload.file, file)
        return str(path)

    def forget(self, path: str) -> None:
        """Remove an upload."""
        if self.kept.pop(path, None) is not None:
            shutil.rmtree(Path(path).parent, ignore_errors=True)


def _paths(value: Any) -> set[Any]:
    """List what JSON names as a file."""
    if isinstance(value, dict):
        return {value["path"]} if "path" in value else set().union(*map(_paths, value.values()))
    return set().union(*map(_paths, value)) if isinstance(value, list) else set()
