"""Run the recipes of docs/recipes: all, or those that are named.

    scripts/recipes [NAME ...]

Each recipe is called with a place for a good, a revoked and an unknown certificate, and says by
`need` what must be.
"""

from __future__ import annotations

import re
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from crl.ocsp.question import Question
from crl.ocsp.verification import verify_answer
from tests.conformance.relying import Asked, Certified, Certifier, running
from tests.judges import JudgeSaysNo, nss, openssl, strongswan
from tests.judges.octets import CERTIFICATE, pem
from tests.recipes.gateway import Gateway
from tests.recipes.place import Place, RecipeFailed, need

STATUSES = ("good", "revoked", "unknown")
MakePlace = Callable[[str], Place]
"""From a status to a place with a certificate of it."""


def nginx_cache(asked: Asked, make: MakePlace) -> None:
    """The second who asks is answered by nginx; what must not be kept is not."""
    place = make("good")
    proxy = f"http://127.0.0.1:{place.port}/ocsp"
    with place.running(*_nginx(place)):
        # Until one has "//" in its base64: 1 of some 150 has.
        some = [asked.certifier.good() for _ in range(30)]
        for one in (*some, asked.good):
            question = Question(one.path[1], one.serial)
            path = quote(b64encode(question.request).decode(), safe="/+=")
            caches = []
            for _ in range(2):
                with urlopen(f"{proxy}/{path}", timeout=20) as answer:
                    verify_answer(answer.read(), question, now=asked.world.clock.now())
                    caches.append(answer.headers["X-Cache"])
            need(caches == ["MISS", "HIT"], f"nginx kept: {caches} of {path}")
        need(openssl.ask_ocsp(proxy, *asked.good.path) == "good", "POST with a nonce: not good")
        need(openssl.ask_ocsp(proxy, *asked.revoked.path) == "revoked", "not revoked")
        unknown = quote(
            b64encode(Question(asked.unknown.path[1], asked.unknown.serial).request).decode(),
            safe="",
        )
        for _ in range(2):
            with urlopen(f"{proxy}/{unknown}", timeout=20) as answer:
                if answer.headers["Cache-Control"] == "no-store":
                    need(answer.headers["X-Cache"] == "MISS", "nginx kept what is no-store")


def nginx_tls(_asked: Asked, make: MakePlace) -> None:
    """Staples good only, admits good only."""
    for status in STATUSES:
        place = make(status)
        with place.running(*_nginx(place)):
            need(place.admits() == (status == "good"), f"ssl_ocsp: {status}")
            if status == "good":
                place.wait(lambda: place.staple() == "good")  # noqa: B023 - called at once
            else:
                need(not any(place.staple() for _ in range(5)), f"it staples {status}")


def apache(_asked: Asked, make: MakePlace) -> None:
    """Staples what is said, admits good only."""
    for status in STATUSES:
        place = make(status)
        with place.running("apache2", "-D", "FOREGROUND", "-f", place.directory / "httpd.conf"):
            need(place.admits() == (status == "good"), f"SSLOCSPEnable: {status}")
            if status != "unknown":
                need(place.staple() == status, f"stapled: {place.staple()}, not {status}")
            else:
                need(place.staple() in {"", "unknown"}, f"stapled: {place.staple()}")


def haproxy(_asked: Asked, make: MakePlace) -> None:
    """The script takes good only; HAProxy staples it, and takes a new one over its socket."""
    for status in STATUSES:
        place = make(status)
        fetched = place.run("./staple").returncode == 0
        need(fetched == (status == "good"), f"the script: {status}")
        if not fetched:
            continue
        (place.directory / "haproxy.pem.ocsp").symlink_to("chain.pem.ocsp")
        with place.running("haproxy", "-f", place.directory / "haproxy.cfg"):
            need(place.staple() == "good", "no staple")
            again = place.run("./staple")
            need(b"updated" in again.stdout, f"a second staple: {again}")
            need(place.staple() == "good", "no staple after the renewal")


def strongswan_gateway(asked: Asked, make: MakePlace) -> None:
    """The gateway lets in good only; so does `pki --verify --online`, with OCSP alone."""
    gateway = Gateway(make("good"))
    said = ("certificate status is good", "certificate was revoked", "ocsp check failed")
    with gateway.running():
        for status, words in zip(STATUSES, said, strict=True):
            # Each with a name of its own: charon looks among certificates that it has first.
            peers = _certifier(asked, name=f"{status}.example.test")
            admitted = gateway.admits(getattr(peers, status)())
            need(admitted == (status == "good"), f"the gateway: {status}")
            need(gateway.says(words), f"the gateway does not say: {words}")
    need(strongswan.ask_ocsp(*asked.good.path) == "good", "good")
    need(strongswan.ask_ocsp(*asked.revoked.path) == "revoked", "revoked")
    try:
        word = strongswan.ask_ocsp(*asked.unknown.path)
    except JudgeSaysNo:
        return
    raise RecipeFailed(f"unknown: {word}")


def freeradius(_asked: Asked, make: MakePlace) -> None:
    """EAP-TLS lets in good only."""
    for status in STATUSES:
        place = make(status)
        base = place.directory / "raddb"
        need(place.run("cp", "-rL", "/etc/freeradius/3.0", base).returncode == 0, "no raddb")
        place.run("chmod", "-R", "a+rX", ".")
        (base / "mods-enabled/eap").unlink()
        (base / "mods-enabled/eap").write_text((place.directory / "eap").read_text())
        (base / "sites-enabled/inner-tunnel").unlink(missing_ok=True)
        _radius_on(base, place.port)
        (place.directory / "peer.conf").write_text(
            f'network={{\nkey_mgmt=IEEE8021X\neap=TLS\nidentity="gw"\n'
            f'ca_cert="{place.directory}/ca.pem"\nclient_cert="{place.directory}/chain.pem"\n'
            f'private_key="{place.directory}/key.pem"\neapol_flags=0\n}}\n'
        )
        with place.running("freeradius", "-d", base, "-X", says="Ready to process requests"):
            peer = ("-c", "peer.conf", "-a", "127.0.0.1", "-p", str(place.port), "-s", "testing123")
            done = place.run("eapol_test", *peer, "-t", "20")
            said = done.stdout.decode(errors="replace").strip().splitlines()[-1]
            need((said == "SUCCESS") == (status == "good"), f"{status}: eapol_test says {said}")


def smime(asked: Asked, make: MakePlace) -> None:
    """A message signed with good passes, all else does not; NSS agrees on the signer."""
    signers = _certifier(asked, profile="smime", name="li@example.test")
    for status in STATUSES:
        place = make(status)
        one: Certified = getattr(signers, status)()
        (place.directory / "me.pem").write_text(pem(CERTIFICATE, one.path[2]))
        (place.directory / "me.key").write_text(one.key)
        (place.directory / "text.in").write_text("Hello\n")
        made = place.run(
            *("openssl", "cms", "-sign", "-in", "text.in", "-signer", "me.pem", "-inkey", "me.key"),
            *("-certfile", "issuer.pem", "-out", "message.eml"),
        )
        need(made.returncode == 0, made.stderr.decode())
        passed = place.run("./verify", "message.eml").returncode == 0
        need(passed == (status == "good"), f"verify: {status}")
        try:
            word = nss.ask_ocsp(*one.path, usage="4")
        except JudgeSaysNo:
            word = "unknown"
        need(word == status, f"NSS: {word}, not {status}")


def java(_asked: Asked, make: MakePlace) -> None:
    """Java's TLS client connects to good only."""
    for status in STATUSES:
        place = make(status)
        made = place.run(
            *("keytool", "-importcert", "-noprompt", "-alias", "issuer", "-file", "issuer.pem"),
            *("-keystore", "trust.p12", "-storetype", "PKCS12", "-storepass", "changeit"),
        )
        need(made.returncode == 0, made.stdout.decode())
        server = ("-accept", f"127.0.0.1:{place.port}", "-cert", place.directory / "chain.pem")
        files = ("-cert_chain", place.directory / "issuer.pem", "-key", place.directory / "key.pem")
        options = (place.directory / "options").read_text().split()
        source = Path(__file__).with_name("Connect.java")
        with place.running("openssl", "s_server", *server, *files, "-www"):
            done = place.run("java", *options, source, str(place.port))
        said = done.stdout.decode() + done.stderr.decode()
        need((done.returncode == 0) == (status == "good"), f"{status}: {said}")
        if status == "revoked":
            need("revoked" in said, said)


RECIPES: dict[str, Callable[[Asked, MakePlace], None]] = {
    "nginx-cache": nginx_cache,
    "nginx-tls": nginx_tls,
    "apache": apache,
    "haproxy": haproxy,
    "strongswan": strongswan_gateway,
    "freeradius": freeradius,
    "smime": smime,
    "java": java,
}


def main() -> None:
    names = sys.argv[1:] or list(RECIPES)
    failed = []
    with tempfile.TemporaryDirectory(prefix="recipes-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with running(directory, "rsa-signed-by-ec") as asked:
            for recipe in names:

                def make(status: str, page: str = recipe) -> Place:
                    one: Certified = getattr(asked, status)
                    return Place.make(directory / page / status, asked, one, page)

                try:
                    RECIPES[recipe](asked, make)
                    print(f"{recipe}: good passes, revoked and unknown do not", flush=True)
                except (RecipeFailed, JudgeSaysNo) as error:
                    failed.append(recipe)
                    print(f"{recipe}: FAILED: {error}", flush=True)
    sys.exit(bool(failed))


def _certifier(asked: Asked, *, name: str, profile: str = "device") -> Certifier:
    """Return who issues certificates for other names."""
    url = asked.url.removesuffix("/ocsp")
    return Certifier(asked.world, asked.family, url, profile=profile, name=name)


def _nginx(place: Place) -> tuple[str | Path, ...]:
    """Nginx compiled paths of its own in; ours go into the place. Return the command."""
    configuration = place.directory / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    more = "".join(f"{kind}_temp_path {place.directory}/{kind};\n" for kind in kinds)
    text = configuration.read_text()
    configuration.write_text(text.replace("http {\n", f"http {{\naccess_log off;\n{more}", 1))
    settings = f"daemon off; pid {place.directory}/pid;"
    return ("nginx", "-e", "stderr", "-p", place.directory, "-g", settings, "-c", configuration)


def _radius_on(base: Path, port: int) -> None:
    """Listen on one port of the loopback."""
    site = base / "sites-enabled/default"
    text = site.read_text()
    site.unlink()
    text = re.sub(r"listen \{.*?\n\}\n", "", text, flags=re.DOTALL)
    listen = f"listen {{\n type = auth\n ipaddr = 127.0.0.1\n port = {port}\n}}\n"
    site.write_text(text.replace("server default {\n", f"server default {{\n{listen}", 1))


if __name__ == "__main__":
    main()
