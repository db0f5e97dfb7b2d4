"""An administrator with an API token, and a relying party that downloads what is published."""

from __future__ import annotations

from dataclasses import dataclass

import requests

from tests.judges.octets import REQUEST, pem
from tests.service import Service


@dataclass(frozen=True, slots=True)
class Certified:
    """An issued certificate: where the API has it, and its path, root first."""

    where: str
    path: tuple[bytes, bytes, bytes]


class Administrator:
    """The business administrator of a running service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._api = requests.Session()
        self._api.verify = str(service.root)
        self._api.trust_env = False  # or REQUESTS_CA_BUNDLE would replace the root
        self._api.headers["Authorization"] = f"Bearer {service.token()}"

    def issue(self, csr: bytes, *, hierarchy: str) -> Certified:
        """Submit, approve, fetch."""
        issuer = f"{hierarchy}-issuing"
        submitted = {"csr": pem(REQUEST, csr), "profile": "device", "issuer": issuer}
        request = self._post("/requests", submitted)
        approved = self._post(f"/requests/{request['id']}/approve")
        where = f"/certificates/{issuer}/{approved['certificate']['serial']}"
        fetched = self._api.get(f"{self._service.url}/api/v1{where}", params={"format": "der"})
        root, issuing = (
            self.download(f"/ca/{hierarchy}-root.cer"),
            self.download(f"/ca/{issuer}.cer"),
        )
        return Certified(where, (root, issuing, fetched.content))

    def revoke(self, certified: Certified) -> None:
        """Revoke for a compromised key."""
        self._post(f"{certified.where}/revoke", {"reason": "keyCompromise"})

    def download(self, path: str) -> bytes:
        """Fetch what is open to everybody, over plain http."""
        answer = requests.get(f"{self._service.revocation_url}{path}", timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.content

    def _post(self, path: str, body: dict[str, str] | None = None) -> dict:
        answer = self._api.post(f"{self._service.url}/api/v1{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()
