"""The authority's side of OCSP nodes that run apart (`yinxin serve --role ocsp`)."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from ca.contents import IssuanceRequest
from ca.csr import parse_csr
from ca.issuance import issue_certificate
from ca.names import attributes_of
from ca.parsed import parsed_certificate
from ca.reasons import RevocationReason
from ca.sqlstatuslog import SQLStatusLog
from core.errors import Forbidden, NotFound
from core.http import client_certificate
from core.identity import SYSTEM_ACTOR
from core.peer import require_key
from crl.nodes import REQUESTER, is_retired
from crl.sqlnodes import SQLNodeStore
from yinxin.wiring import Service

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OCSPNodes:
    """`crl.routes_nodes.NodeDesk` over a running authority."""

    service: Service

    @property
    def _ahead(self) -> Path:
        """Where nodes have a file that know an entry of the status log which this database lacks.

        They report to one process of this host, and all are asked whether they are ready.
        """
        return self.service.ground.state.directory / "nodes-ahead"

    def begin(self) -> None:
        """Forget what nodes reported to a run before."""
        shutil.rmtree(self._ahead, ignore_errors=True)
        self._ahead.mkdir(mode=0o700)

    def require(self, request: Request) -> str:
        """Return which node calls. Raises `Forbidden`."""
        keys = frozenset(self.service.ground.settings.ocsp_node.node_keys)
        return require_key(client_certificate(request), keys, what="the OCSP nodes of this service")

    def certify(self, node: str, issuer: str, request: bytes) -> bytes:
        """Issue a delegated responder. Raises `NotFound`, and what a bad request is refused with.

        Raises `Forbidden` for a node that was retired (`yinxin ocsp retire`).

        The node proves that it has the key; everything else of the certificate is ours.
        """
        authority, clock = self.service.authority, self.service.ground.clock
        self._refuse_retired(node)
        found = self.service.issuers.get(issuer)
        if found is None:
            raise NotFound(f"there is no issuer {issuer!r}")
        csr = parse_csr(request)
        subject = attributes_of(parsed_certificate(found.certificate).subject)
        kept = tuple(pair for pair in subject if pair[0] in {"C", "O"})
        name = f"OCSP {issuer} {node[:8]} {clock.now():%Y%m%d}"
        issued = issue_certificate(
            IssuanceRequest(
                spki=csr.spki, subject=(*kept, ("CN", name[:64])), requester=REQUESTER + node
            ),
            profile=authority.profiles["ocsp-signer"],
            issuer=found,
            store=authority.store,
            transactions=authority.transactions,
            audit=authority.audit,
            clock=clock,
        )
        try:
            self._refuse_retired(node)
        except Forbidden:
            # It was retired meanwhile, perhaps by somebody who did not see this certificate yet.
            reason = RevocationReason.CESSATION_OF_OPERATION
            self.service.revocation.revoke(issuer, issued.serial, reason, actor=SYSTEM_ACTOR)
            raise
        return issued.der

    def _refuse_retired(self, node: str) -> None:
        if is_retired(SQLNodeStore(self.service.ground.database).list_responders(node)):
            raise Forbidden("this node was retired: it needs a new key (yinxin host request)")

    def report(self, node: str, position: int, mark: int) -> bool:
        """Hold a node's place against our log. False, and an error in the log: we are older."""
        entries = SQLStatusLog(self.service.ground.database).read_log(since=position, limit=1)
        known = bool(entries) and (entries[0].position, entries[0].mark) == (position, mark)
        if known:
            (self._ahead / node).unlink(missing_ok=True)
        else:
            (self._ahead / node).touch(mode=0o600)
            log.error(
                "an OCSP node knows more than this database: was an older copy put back?",
                extra={"node": node, "position": position},
            )
        return known

    def fault(self) -> str | None:
        """Return what is wrong, for readiness."""
        ahead = len(list(self._ahead.iterdir()))
        if not ahead:
            return None
        return f"OCSP nodes know more than this database ({ahead}): yinxin reconcile"
