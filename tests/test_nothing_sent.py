"""Nothing leaves the machine, and no library leaves a trace of its own in the user's home."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import SMALL, TINY

from ser.config import to_dict

# what Matplotlib and Keras keep for their own use, and send to nobody
OWN = {"fontlist", "keras.json"}

# every name that anything in the process looks up, compiled libraries too, is noted and not found
SPY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    if (!name || !strcmp(name, "localhost") || strspn(name, "0123456789.:") == strlen(name))
        return ((lookup)dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
    FILE *file = fopen(getenv("LOOKED_UP"), "a");
    fprintf(file, "%s\n", name);
    fclose(file);
    return EAI_NONAME;
}
"""


@pytest.fixture(scope="module")
def spy(tmp_path_factory):
    """A library that notes which names are looked up."""
    if sys.platform != "linux" or not (compiler := shutil.which("cc")):
        pytest.skip("noting what is looked up needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("spy")
    (folder / "spy.c").write_text(SPY)
    command = [compiler, "-shared", "-fPIC", "-o", folder / "spy.so", folder / "spy.c", "-ldl"]
    subprocess.run(command, check=True)
    return folder / "spy.so"


class Watched:
    """A user with an empty home whose look-ups are noted."""

    def __init__(self, folder, spy):
        self.home, self.log = folder / "home", folder / "looked-up"
        self.home.mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "KERAS_", "MPL"))}
        self.environment = kept | {
            "HOME": str(self.home),
            "LD_PRELOAD": str(spy),
            "LOOKED_UP": str(self.log),
        }

    def start(self, *command):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([sys.executable, *command], env=self.environment, **pipes)

    def run(self, *command):
        started = self.start(*map(str, command))
        output, _ = started.communicate(timeout=900)
        assert started.returncode == 0, output
        return output

    def looked_up(self):
        return self.log.read_text().split() if self.log.is_file() else []

    def traces(self):
        files = [path for path in self.home.rglob("*") if path.is_file()]
        return [path for path in files if not any(path.name.startswith(name) for name in OWN)]


@pytest.fixture
def watched(spy, tmp_path):
    return Watched(tmp_path, spy)


def test_the_spy_sees_what_python_and_libraries_look_up(watched):
    watched.run("-c", "import socket\ntry: socket.getaddrinfo('a.example', 80)\nexcept OSError: 0")
    assert watched.looked_up() == ["a.example"]


def test_an_answer_is_sent_to_nobody(watched, clips):
    """With ONNX Runtime left alone, a device id and a data base of events appear at once."""
    watched.run("-m", "ser", "predict", clips[0], "-m", SMALL)
    watched.run("-m", "ser", "listen", "--file", clips[0], "-m", SMALL)
    assert watched.looked_up() == []
    assert watched.traces() == []


@pytest.mark.slow
def test_what_runs_long_sends_nothing_either(watched, clips):
    """Libraries look their hosts up some seconds after they were loaded."""
    script = (
        "import sys, time; from ser.inference import load_model\n"
        "load_model(sys.argv[1]).predict(sys.argv[2]); time.sleep(30)"
    )
    watched.run("-c", script, SMALL, clips[0])
    assert watched.looked_up() == []
    assert watched.traces() == []


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_no_command_sends_anything(project, watched, clips):
    def ser(*command):
        watched.run("-m", "ser", *command)

    for command in (["recipes"], ["protocols"], ["data", "list"], ["pretrained", "list"]):
        ser(*command)
    for command in ("predict", "train", "data download", "app", "listen"):
        ser(*command.split(), "--help")
    project.mkdir()
    recipe = project / "tiny.json"
    recipe.write_text(json.dumps(to_dict(TINY)))
    ser("metadata", "-c", "demo")
    ser("features", recipe, "--jobs", 2)
    ser("train", recipe, "--epochs", 1)
    ser("evaluate")
    root, report = Path(__file__).parents[1], Path("reports", "mfcc-attention", "savee-loso")
    shutil.copy(root / "README.md", project)
    shutil.copytree(root / report, project / report)
    shutil.copy(root / "reports" / "README.md", project / "reports")
    ser("report")
    (run, *_) = sorted(project.glob("models/runs/*/*/fold-0-*"))
    ser("export", run, "--to", project / "bundle", "--formats", "onnx")
    ser("predict", clips[0], "-m", project / "bundle", "--plot", project / "a.png")
    ser("predict", clips[0], "-m", "newest", "--explain", project / "b.png")
    assert watched.looked_up() == []
    assert watched.traces() == []


@pytest.mark.slow
def test_the_page_sends_nothing(watched):
    pytest.importorskip("gradio", reason="needs the extra `app`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = watched.start("-m", "ser", "app", "-m", str(SMALL), "--port", str(port))
    assert "open http://" in page.stdout.readline()
    assert urllib.request.urlopen(f"http://127.0.0.1:{port}/").status == 200
    time.sleep(10)
    page.send_signal(signal.SIGTERM)
    page.wait(20)
    assert watched.looked_up() == []
    assert watched.traces() == []
