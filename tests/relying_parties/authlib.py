"""Authlib in Flask, from PyPI: the whole application of docs/connect/python.md, as it is there."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.judges.chromium import Chromium
from tests.ports import free_ports
from tests.relying_parties.scene import PASSWORD, PERSON, Scene, recipe

_VENV = Path(__file__).parents[2] / ".venv/authlib"
_PACKAGES = ("authlib>=1.9,<2", "flask>=3,<4", "requests")


def run(scene: Scene) -> dict[str, Any]:
    """Log in. Raises when something is not as it should be."""
    _install()
    (port,) = free_ports(1)
    home = f"http://127.0.0.1:{port}"
    client = scene.register("HR", "--redirect-uri", f"{home}/callback")
    changes = {
        'app.secret_key = "…"': "app.secret_key = 'of this run'",
        'client_id="hr-app"': f"client_id={client['client_id']!r}",
        'client_secret="…"': f"client_secret={client['client_secret']!r}",
        "https://id.example.gov.cn": scene.issuer,
        "https://hr.example.gov.cn": home,
        "/etc/ssl/yinxin-root.pem": str(scene.trust),
    }
    (scene.directory / "app.py").write_text(recipe("docs/connect/python.md", "python", changes))
    log = scene.directory / "flask.log"
    with log.open("w") as said, Chromium(scene.directory / "profile") as browser:
        process = subprocess.Popen(
            [_VENV / "bin/flask", "run", "--port", str(port)],
            cwd=scene.directory,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            while "Running on" not in log.read_text():
                assert process.poll() is None, "it ended"
                time.sleep(0.1)
            browser.log_in(f"{home}/", PERSON, PASSWORD, until=f"{home}/")
            person = browser.json()
        except Exception as error:
            raise AssertionError(f"{error}\n{log.read_text()[-3000:]}") from error
        finally:
            process.terminate()
            process.wait()
    assert person["name"] == "张伟", person
    return {"logged in": sorted(person)}


def _install() -> None:
    if not (_VENV / "bin/flask").exists():
        subprocess.run(["python3", "-m", "venv", _VENV], check=True)
        subprocess.run([_VENV / "bin/pip", "install", "--quiet", *_PACKAGES], check=True)
