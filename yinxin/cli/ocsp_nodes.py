"""``yinxin ocsp nodes`` and ``retire``: the OCSP nodes that this authority certified."""

from __future__ import annotations

from itertools import groupby

import click

from core.errors import NotFound
from yinxin.cli.context import Invocation, actor, local
from yinxin.cli.ocsp import ocsp


@ocsp.command("nodes")
@local
def nodes(invocation: Invocation) -> None:
    """List the OCSP nodes that were ever certified here, with what they can sign for now.

    A node gets new responders while its key is in ocsp_node.node_keys and it is not retired.
    """
    from crl.nodes import is_retired, to_revoke  # noqa: PLC0415 - most commands do without
    from crl.sqlnodes import SQLNodeStore  # noqa: PLC0415

    configured = set(invocation.settings.ocsp_node.node_keys)
    with invocation.ground() as ground:
        found = SQLNodeStore(ground.database).list_responders()
        now = ground.clock.now()
    for node, group in groupby(found, key=lambda one: one.node):
        mine = list(group)
        state = "retired" if is_retired(mine) else "configured" if node in configured else "gone"
        configured.discard(node)
        issued = [one.issued_at for one in mine if one.issued_at is not None]
        last = f"last certified {max(issued):%Y-%m-%d %H:%M} UTC" if issued else "never certified"
        click.echo(f"{node}  {state}  {last}")
        for one in to_revoke(mine, now):
            click.echo(f"  {one.issuer} {one.serial:040x} until {one.not_after:%Y-%m-%d %H:%M} UTC")
    for node in sorted(configured):
        click.echo(f"{node}  configured  never certified")


@ocsp.command("retire")
@click.argument("node")
@local
def retire(invocation: Invocation, node: str) -> None:
    """Revoke every responder of NODE (its key), audited; it is certified for never again.

    No client believes its answers from then on that looks, and other nodes and this authority say
    so. Take its key out of ocsp_node.node_keys, too.
    """
    from ca.reasons import RevocationReason  # noqa: PLC0415 - most commands do without
    from ca.revocation import RevocationService  # noqa: PLC0415
    from ca.sqlstore import SQLCertificateStore  # noqa: PLC0415
    from crl.nodes import is_retired, to_revoke  # noqa: PLC0415
    from crl.sqlnodes import SQLNodeStore  # noqa: PLC0415

    with invocation.ground() as ground:
        store = SQLNodeStore(ground.database)
        found = store.list_responders(node)
        if not found:
            raise NotFound("no responder was ever certified for this node: see yinxin ocsp nodes")
        service = RevocationService(
            store=SQLCertificateStore(ground.database),
            transactions=ground.database,
            audit=ground.audit,
            clock=ground.clock,
        )
        reason, revoked = RevocationReason.CESSATION_OF_OPERATION, 0
        # Without one that holds, the last one says that the node was retired.
        ended = to_revoke(found, ground.clock.now()) or ([] if is_retired(found) else found[-1:])
        while ended:
            for one in ended:
                service.revoke(one.issuer, one.serial, reason, actor=actor())
            revoked += len(ended)
            # Again: one that was certified meanwhile. From the first revocation on, none is.
            ended = to_revoke(store.list_responders(node), ground.clock.now())
    click.echo(f"{revoked} responders revoked. Take the key out of ocsp_node.node_keys.")
