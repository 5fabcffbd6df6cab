"""Serve the web page: to this machine unless told otherwise.

Whoever asks must pass `ser.inference.guard`.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
from typing import Any

import matplotlib

from ser.inference import guard
from ser.inference.model import Model
from ser.inference.page import build
from ser.project import SerError, first_line

END_S = 3  # after so long, the end of the server waits for nobody
HEAD = """<script>
const said = document.documentElement.dataset;
if (!navigator.mediaDevices) said.microphone = "insecure";
else navigator.mediaDevices.enumerateDevices().then(found => {
  if (!found.some(device => device.kind === "audioinput")) said.microphone = "none";
});
</script>
<style>
/* on a telephone, numbers in the card's tables are not broken into digits; wide ones scroll */
.prose { overflow-x: auto }
.prose th, .prose td { overflow-wrap: normal !important; word-break: normal !important }
[data-microphone=none] .if-none, [data-microphone=insecure] .if-insecure { display: block }
body:not(.dark) { --neutral-400: #6b6b75 }
.dark { --color-accent: var(--primary-400) !important }
</style>"""
_ARENAS = -8  # M_ARENA_MAX: threads that share memory give back what others freed


class Server:
    """A page that runs, until `close`."""

    def __init__(self, model: Model, card: str, host: str, listening: socket.socket) -> None:
        import fastapi
        import gradio
        import uvicorn

        matplotlib.use("Agg")
        with contextlib.suppress(AttributeError, OSError, TypeError):  # glibc's
            ctypes.CDLL(None).mallopt(_ARENAS, 2)
        self._stack = contextlib.ExitStack()
        self.folder = self._stack.enter_context(guard.folder_of_uploads())
        os.environ["GRADIO_TEMP_DIR"] = str(self.folder)
        inside = fastapi.FastAPI()
        self.guard = guard.Guard(inside, self.folder, host)
        page = build(model, card, self.guard.forget)
        gradio.mount_gradio_app(
            inside,
            page,
            "/",
            footer_links=[],
            show_error=False,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            theme=_theme(),
            head=HEAD,
        )
        page.has_launched = True  # with it, Gradio opens files of `folder` only
        config = uvicorn.Config(
            self.guard, log_level="warning", timeout_graceful_shutdown=END_S, ws="none"
        )
        self._server = uvicorn.Server(config)
        self.port = listening.getsockname()[1]
        near = "127.0.0.1" if self.guard.everywhere else f"[{host}]" if ":" in host else host
        self.url = f"http://{near}:{self.port}"
        serve = {"sockets": [listening]}
        self._thread = threading.Thread(target=self._server.run, kwargs=serve, daemon=True)
        self._thread.start()
        while self._thread.is_alive() and not self._server.started:
            self._thread.join(0.05)

    def wait(self) -> None:
        """Serve until it is closed."""
        while self._thread.is_alive():
            self._thread.join(1)

    def close(self) -> None:
        """End the server, and remove what was sent to it."""
        self._server.should_exit = True
        self._thread.join(2 * END_S)
        self._stack.close()


def _theme() -> Any:
    """Give Gradio's look with fonts of the machine, and colours that tell text from background."""
    import gradio

    look = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    return look.set(
        color_accent="*primary_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )


def serve(
    model: Model, card: str, *, host: str = "127.0.0.1", port: int = 7860, wait: bool = True
) -> Server:
    """Open the page until Ctrl-C."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1_000)
    except OSError as error:
        raise SerError(
            f"port {port} of {host} cannot be opened ({first_line(error)}). Name "
            "another with --port."
        ) from error
    if not wait:
        return Server(model, card, host, listening)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with contextlib.closing(Server(model, card, host, listening)) as server:
        if server.guard.everywhere:
            far = f"http://{socket.gethostname()}:{server.port}"
            print(f"Other computers: {far}. Only with https do browsers give it a microphone.")
        print(f"open {server.url} in a browser; Ctrl-C ends.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.wait()
    return server
