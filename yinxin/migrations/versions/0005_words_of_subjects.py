"""Certificates are found by the words of their subjects, their requester, serial and expiry."""

import sqlalchemy as sa
from alembic import op

from ca.terms import terms_of

revision = "0005"
down_revision = "0004"

_BATCH = 1000
_ORDERED = ("requester", "organisation_id", "subject_id", "not_after")


def upgrade() -> None:
    terms = op.create_table(
        "certificate_terms",
        sa.Column(
            "term",
            sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "certificate_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("term", "certificate_id", name=op.f("pk_certificate_terms")),
        sqlite_with_rowid=False,
    )
    for columns in (*((name, "id") for name in _ORDERED), ("serial",)):
        op.create_index(op.f(f"ix_certificates_{'_'.join(columns)}"), "certificates", list(columns))
    certificates = sa.table(
        "certificates", sa.column("id", sa.BigInteger), sa.column("subject", sa.Text)
    )
    connection, after = op.get_bind(), 0
    while True:
        page = connection.execute(
            sa.select(certificates.c.id, certificates.c.subject)
            .where(certificates.c.id > after)
            .order_by(certificates.c.id)
            .limit(_BATCH)
        ).all()
        if not page:
            return
        after = page[-1].id
        rows = [
            {"term": term, "certificate_id": row.id}
            for row in page
            for term in terms_of(row.subject)
        ]
        if rows:
            connection.execute(sa.insert(terms), rows)
