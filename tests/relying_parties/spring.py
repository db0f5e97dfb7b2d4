"""Spring Boot with Spring Security, from Maven Central: login, back-channel logout."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from tests.judges.chromium import Chromium
from tests.ports import free_ports
from tests.relying_parties.scene import PASSWORD, PERSON, Scene, recipe

_PROJECT = Path(__file__).parents[1] / "judges/java/spring"
_JAR = _PROJECT / "target/rp-1.jar"


def run(scene: Scene) -> dict[str, Any]:
    """Return what was measured. Raises when something is not as it should be."""
    if not _JAR.exists():
        subprocess.run(["mvn", "-q", "-B", "package"], cwd=_PROJECT, check=True)
    (port,) = free_ports(1)
    home = f"https://localhost:{port}"
    client = scene.register(
        *("Spring", "--id-token-algorithm", "RS256"),
        *("--redirect-uri", f"{home}/login/oauth2/code/yinxin"),
        *("--backchannel-logout-uri", f"{home}/logout/connect/back-channel/yinxin"),
    )
    settings = scene.directory / "application.yaml"
    settings.write_text(_settings(scene, port, client))
    log = scene.directory / "spring.log"
    with log.open("w") as said, Chromium(scene.directory / "profile") as browser:
        process = subprocess.Popen(
            [
                *("java", "-Xmx256m", f"-Djavax.net.ssl.trustStore={_trust(scene)}"),
                "-Djavax.net.ssl.trustStorePassword=changeit",
                *("-jar", _JAR, f"--spring.config.location=file:{settings}"),
            ],
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(process, log)
            browser.log_in(f"{home}/who", PERSON, PASSWORD, until=f"{home}/who")
            assert browser.text.startswith(PERSON), browser.text
            scene.service.yinxin("user", "end-sessions", PERSON)
            began = time.monotonic()
            while browser.url.startswith(f"{home}/who") and time.monotonic() - began < 30:
                browser.goto(f"{home}/who")
            ended = time.monotonic() - began
            scene.wait_until_told()
            assert browser.url.startswith(scene.issuer), browser.url
        except Exception as error:
            raise AssertionError(f"{error}\n{log.read_text()[-3000:]}") from error
        finally:
            process.terminate()
            process.wait()
    return {"sessions ended to session dead, s": round(ended, 2)}


def _settings(scene: Scene, port: int, client: dict[str, Any]) -> str:
    """Take the page's own settings, with the names of this run, and TLS for localhost."""
    changes = {
        "https://id.example.gov.cn": scene.issuer,
        "https://hr.example.gov.cn": f"https://localhost:{port}",
        "client-id: hr-app": f"client-id: {client['client_id']}",
        "client-secret: …": f"client-secret: {client['client_secret']}",
    }
    own = scene.certificate
    tls = f"{{certificate: 'file:{own}', certificate-private-key: 'file:{own}'}}"
    return recipe("docs/connect/spring.md", "yaml", changes) + (
        f"server: {{address: 127.0.0.1, port: {port}, ssl: {tls}}}\n"
    )


def _trust(scene: Scene) -> Path:
    """Make a store of our root, and of the application's own certificate."""
    store = scene.directory / "trust.p12"
    for name, file in (("yinxin", scene.trust), ("own", scene.certificate)):
        subprocess.run(
            [
                *("keytool", "-importcert", "-noprompt", "-alias", name, "-file", file),
                *("-keystore", store, "-storepass", "changeit"),
            ],
            check=True,
            capture_output=True,
        )
    return store


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            break
        if "Started Application" in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError("Spring does not start")
