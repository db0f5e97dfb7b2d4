"""Numbers that change with the contents of a table: of clients, and of who may enter them.

What nodes keep in memory stands as long as the number does (`core.versions`). Expand: an older
release counts them too, and reads none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"

_TABLES = ("oidc_clients", "client_access")
_OCCASIONS = ("insert", "update", "delete")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COUNT = "UPDATE table_versions SET version = version + 1 WHERE name = '{table}';"


def upgrade() -> None:
    made = op.create_table(
        "table_versions",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_table_versions")),
    )
    op.bulk_insert(made, [{"name": table, "version": 1} for table in _TABLES])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _TABLES:
        for statement in _on_sqlite(table) if sqlite else _on_postgresql(table):
            op.execute(statement)


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _TABLES:
        if sqlite:
            for occasion in _OCCASIONS:
                op.execute(f"DROP TRIGGER {table}_{occasion}_version")
        else:
            op.execute(f"DROP TRIGGER {table}_version ON {table}")
            op.execute(f"DROP FUNCTION {table}_version()")
    op.drop_table("table_versions")


def _on_sqlite(table: str) -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_{occasion}_version AFTER {occasion.upper()} ON {table} "
        f"BEGIN {_COUNT.format(table=table)} END"
        for occasion in _OCCASIONS
    )


def _on_postgresql(table: str) -> tuple[str, ...]:
    body = f"BEGIN {_COUNT.format(table=table)} RETURN NULL; END"
    return (
        f"CREATE FUNCTION {table}_version() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        (
            f"CREATE CONSTRAINT TRIGGER {table}_version "
            f"AFTER INSERT OR UPDATE OR DELETE ON {table} DEFERRABLE INITIALLY DEFERRED "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_version()"
        ),
    )
