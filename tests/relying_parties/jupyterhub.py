"""JupyterHub with its generic OAuth login, from PyPI: an application that knows nothing of us."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.judges.chromium import Chromium
from tests.ports import free_ports
from tests.relying_parties.scene import PASSWORD, PERSON, Scene, recipe

_VENV = Path(__file__).parents[2] / ".venv/jupyterhub"
_PACKAGES = ("jupyterhub>=5,<6", "oauthenticator>=17,<18")
_CONFIGURATION = """
from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    # The hub alone is asked here; nothing is behind it.
    should_start = False

    async def get_all_routes(self):
        return dict()

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass


c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite:///{directory}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{directory}/cookie_secret"
{recipe}
"""


def run(scene: Scene) -> dict[str, Any]:
    """Log in. Raises when something is not as it should be."""
    _install()
    (port,) = free_ports(1)
    home = f"http://127.0.0.1:{port}/hub/"
    client = scene.register("JupyterHub", "--redirect-uri", f"{home}oauth_callback")
    directory = scene.directory / "jupyterhub"
    directory.mkdir()
    configuration = directory / "jupyterhub_config.py"
    configuration.write_text(
        _CONFIGURATION.format(port=port, directory=directory, recipe=_recipe(scene, home, client))
    )
    log = directory / "log"
    with log.open("w") as said, Chromium(scene.directory / "profile") as browser:
        process = subprocess.Popen(
            [_VENV / "bin/jupyterhub", "-f", configuration],
            cwd=directory,
            env=os.environ | {"SSL_CERT_FILE": str(scene.trust)},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(process, log, "JupyterHub is now running")
            start = f"{home}oauth_login?next=/hub/home"
            browser.log_in(start, PERSON, PASSWORD, until=f"{home}home")
            assert PERSON in browser.text, browser.text
        except Exception as error:
            raise AssertionError(f"{error}\n{log.read_text()[-3000:]}") from error
        finally:
            process.terminate()
            process.wait()
    return {"logged in as": PERSON}


def _install() -> None:
    if not (_VENV / "bin/jupyterhub").exists():
        subprocess.run(["python3", "-m", "venv", _VENV], check=True)
        subprocess.run([_VENV / "bin/pip", "install", "-q", *_PACKAGES], check=True)


def _recipe(scene: Scene, home: str, client: dict[str, Any]) -> str:
    """Take the page's own configuration, with the names of this run."""
    changes = {
        "https://id.example.gov.cn": scene.issuer,
        "https://lab.example.gov.cn/hub/": home,
        '"lab"': f'"{client["client_id"]}"',
        '"…"': f'"{client["client_secret"]}"',
    }
    return recipe("docs/connect/jupyterhub.md", "python", changes)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path, word: str) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        if word in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError("JupyterHub does not start")
