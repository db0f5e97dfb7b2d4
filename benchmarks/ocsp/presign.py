"""Sign the answers about every certificate into the store, in processes, while nobody serves.

    python -m benchmarks.ocsp.presign STATE BEGIN END

signs for serial numbers whose first octet is from BEGIN to before END. `presign` starts two.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from benchmarks.ocsp.population import ISSUER
from benchmarks.ocsp.questions import Asker, Question
from crl.ocsp.delegate import Delegates
from crl.ocsp.issuers import IssuerTable
from crl.ocsp.keeper import Keeper
from crl.ocsp.layout import answer_key, certificate_tail
from crl.ocsp.newanswer import new_answer
from crl.ocsp.request import parse_request
from crl.ocsp.responder import Responder
from crl.ocsp.store import StatusStore
from crl.sqlstore import SQLCRLStore
from crl.status import StatusService
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import Service, open_ground, open_service

_FIRST, _MIDDLE, _END = 0x40, 0x60, 0x80
"""Of the serial numbers that `benchmarks.ocsp.population` makes."""


def presign(state: Path) -> None:
    """Sign for every certificate, on two processors. Raises `CalledProcessError`."""
    command = [sys.executable, "-m", "benchmarks.ocsp.presign", str(state)]
    started = [
        subprocess.Popen([*command, str(begin), str(end)])
        for begin, end in ((_FIRST, _MIDDLE), (_MIDDLE, _END))
    ]
    for process in started:
        if process.wait() != 0:
            raise subprocess.CalledProcessError(process.returncode, command)


def main() -> None:
    state, begin, end = sys.argv[1:]
    ground = open_ground(load_settings(None), prepare_state(Path(state)))
    service = open_service(ground)
    config = ground.settings.revocation.ocsp
    with closing(Keeper.open_store(Path(state), config=config)) as store:
        for octet in range(int(begin), int(end)):
            _sign(service, store, octet)
    service.close()


def _sign(service: Service, store: StatusStore, octet: int) -> None:
    """Sign for those serial numbers, in their order, and put the answers in at once."""
    ground = service.ground
    config, clock = ground.settings.revocation.ocsp, ground.clock
    (issuer,) = (one for one in store.parties.issuers() if one.name == ISSUER)
    delegates = Delegates(SQLCRLStore(ground.database), service.authority.store, service.keystore)
    responder = Responder(
        IssuerTable([issuer]),
        delegates,
        StatusService(store, retention=timedelta(hours=config.retention_hours), clock=clock),
        config=config,
        clock=clock,
    )
    number = store.parties.responder_number(delegates.current(issuer, clock.now()).certificate)
    serials = [
        serial
        for name, serial, _ in store.statuses(first_octets=range(octet, octet + 1))
        if name == ISSUER
    ]
    asker = Asker(issuer.certificate)
    new = []
    for serial in serials:
        ticket = store.ticket(ISSUER, serial)
        request = parse_request(asker.request(Question(serial)))
        answer = responder.answer_for(issuer, request)
        key = answer_key(request.cert_ids[0].der, issuer.number, serial) or b""
        now = clock.now()
        new.append(
            new_answer(
                answer,
                key,
                tail=certificate_tail(answer.responder, (issuer,)),
                responder=number,
                ticket=ticket,
                config=config,
                now=now,
            )
        )
    if new and not all(store.put_answers(new)):
        raise RuntimeError("a status changed meanwhile")


if __name__ == "__main__":
    main()
