"""Putting the service together: the only module that knows every concrete class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from authn.administration import Administration
from authn.assembly import Provider
from ca.dryrun import DryRun
from ca.enrollment import EnrollmentService
from ca.issuance import find_interrupted, issue_certificate
from ca.issuer import Issuer
from ca.issuers import Generations, Issuers
from ca.lint import Linter
from ca.massrevocation import MassRevocations
from ca.notices import NoticeService
from ca.overview import Overviews
from ca.profiles import IssuerKind
from ca.reviews import Reviews
from ca.revocation import RevocationService
from ca.sqlbulk import SQLBulkStore
from ca.sqlkeptcounts import SQLCounts
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqloverview import SQLOverviews
from ca.sqlstatistics import SQLStatistics
from ca.sqlstore import SQLCertificateStore
from ca.statistics import StatisticsSource
from ca.subjects import Subjects
from core.audit_export import AuditExporter
from core.audit_sql import SQLAuditLog
from core.clock import Clock, SystemClock
from core.control import DualControl
from core.control_sql import SQLProposalStore
from core.db import Database, open_database
from crl.generation import CRLGenerator
from crl.mirror import Mirror
from crl.ocsp.delegate import ensure_delegate, ensure_delegates
from crl.ocsp.retirement import destroy_ended
from crl.publication import Publication
from crl.schedule import CRLSchedule
from crl.sqlsegments import SQLSegmentStore
from crl.sqlstore import SQLCRLStore
from crl.status import StatusService
from crl.store import PartitioningStore
from keystore.registry import KeyStore
from yinxin.audit_key import AuditKey
from yinxin.auditing import make_exporter
from yinxin.authority_link import AuthorityLink
from yinxin.bulk import Bulk
from yinxin.database import open_prepared
from yinxin.directory import OurDirectory
from yinxin.first_start import Authority, ensure_authority
from yinxin.key_management import KeyManagement
from yinxin.keys import open_keys
from yinxin.login_certificates import OurCertificates
from yinxin.massrevocation import open_blocked_keys, open_mass_revocations
from yinxin.mirror import assemble_mirror
from yinxin.notices import assemble_notices
from yinxin.operations import Operations
from yinxin.organisations import Registration, open_reviews
from yinxin.profiles import Profiles
from yinxin.publication import assemble_publication
from yinxin.revoked_sessions import RevokedSessions
from yinxin.settings import Settings
from yinxin.state import State
from yinxin.subjects import open_subjects
from yinxin.tls_trust import trust_applications
from yinxin.traffic import Traffic


class _Common(TypedDict):
    """What every service of the domain takes."""

    transactions: Database
    audit: SQLAuditLog
    clock: Clock


@dataclass(frozen=True, slots=True)
class Ground:
    """What needs no private key: rows, audit, users, clients, tokens."""

    settings: Settings
    state: State
    clock: Clock
    database: Database
    audit: SQLAuditLog
    control: DualControl
    administration: Administration
    registration: Registration

    def close(self) -> None:
        """Close the database."""
        self.database.close()


@dataclass(frozen=True, slots=True)
class Service:
    """Everything."""

    ground: Ground
    keystore: KeyStore
    audit_key: AuditKey
    exporter: AuditExporter
    authority: Authority
    profiles: Profiles
    issuers: Issuers
    generations: Generations
    link: AuthorityLink
    key_management: KeyManagement
    operations: Operations
    reviews: Reviews
    subjects: Subjects
    statistics: StatisticsSource
    overviews: Overviews
    counts: SQLCounts
    traffic: Traffic
    dry_run: DryRun
    bulk: Bulk
    revocation: RevocationService
    mass_revocations: MassRevocations
    statuses: StatusService
    crls: CRLSchedule
    notices: NoticeService
    publication: Publication | None
    mirror: Mirror | None
    revoked_sessions: RevokedSessions
    provider: Provider

    @property
    def enrollment(self) -> EnrollmentService:
        """The requests and their steps."""
        return self.operations.enrollment

    def ensure_delegates(self) -> None:
        """Give every issuer a delegated OCSP responder in the first half of its life.

        Destroys the keys of those that have ended.
        """
        revocation, authority = self.ground.settings.revocation, self.authority
        profile = authority.profiles["ocsp-signer"]
        common: _Common = {
            "transactions": self.ground.database,
            "audit": self.ground.audit,
            "clock": self.ground.clock,
        }
        ensure_delegates(
            self.issuers.values(),
            lambda issuer: ensure_delegate(
                issuer,
                store=SQLCRLStore(self.ground.database),
                source=authority.store,
                issue=lambda request, by: issue_certificate(
                    request, profile=profile, issuer=by, store=authority.store, **common
                ),
                keystore=self.keystore,
                config=revocation.ocsp,
                **common,
            ),
        )
        destroy_ended(
            store=SQLCRLStore(self.ground.database), destroy=self.keystore.destroy, **common
        )

    def find_interrupted(self, *, older_than: timedelta | None = None) -> int:
        """Audit what a crash left reserved: so long ago that nobody is issuing it any more.

        None: nothing is being issued.
        """
        authority = self.authority
        return len(
            find_interrupted(
                store=authority.store,
                transactions=authority.transactions,
                audit=authority.audit,
                clock=authority.clock,
                older_than=older_than,
            )
        )

    def close(self) -> None:
        """Release the keys, then the database."""
        self.keystore.close()
        self.ground.close()


def open_ground(
    settings: Settings, state: State, *, clock: Clock | None = None, prepared: bool = False
) -> Ground:
    """Open the database and bring it to this release's tables. Raises `Misconfigured`.

    `prepared`: another process did that a moment ago.
    """
    clock = clock or SystemClock()
    if prepared:
        database = open_database(settings.database.url or state.database_url)
    else:
        database = open_prepared(settings, state, clock=clock)
    audit = SQLAuditLog(database, clock=clock)
    audit.initialise()
    control = DualControl(
        SQLProposalStore(database),
        config=settings.control,
        transactions=database,
        audit=audit,
        clock=clock,
    )
    administration = Administration.assemble(
        settings.authn,
        database,
        control=control,
        audit=audit,
        clock=clock,
        processes=settings.server.processes,
    )
    registration = Registration.assemble(
        settings.ca,
        database,
        administration.users,
        control=control,
        audit=audit,
        clock=clock,
    )
    return Ground(settings, state, clock, database, audit, control, administration, registration)


def open_service(ground: Ground) -> Service:
    """Open the keys, make what the first start makes, and put everything together."""
    settings, database = ground.settings, ground.database
    keystore = open_keys(settings, ground.state)
    common: _Common = {"transactions": database, "audit": ground.audit, "clock": ground.clock}
    profiles = Profiles.assemble(
        settings.ca, database, control=ground.control, audit=ground.audit, clock=ground.clock
    )
    authority = Authority(
        keystore=keystore,
        store=SQLCertificateStore(database),
        profiles=profiles.live,
        revocation_url=settings.ca.revocation_url,
        **common,
    )
    ensure_authority(authority, settings.first_start)
    blocked = open_blocked_keys(database, settings.ca, audit=ground.audit, clock=ground.clock)
    issuers = Issuers(
        authority.store,
        keystore,
        revocation_url=settings.ca.revocation_url,
        linter=Linter(settings.ca.lint, accepted=settings.ca.lint_accepted),
        blocked_keys=blocked,
        crl_partitions=settings.ca.crl_partitions,
    )
    segments = SQLSegmentStore(database)
    issuers.listen(lambda coming: _keep_partitionings(segments, coming))
    generations = Generations(issuers, clock=ground.clock)
    link = AuthorityLink(authority, generations, host=settings.server.public_host)
    key_management = KeyManagement.assemble(
        settings.key_management,
        database,
        keystore=keystore,
        profiles=authority.profiles,
        certificates=authority.store,
        audit=ground.audit,
        clock=ground.clock,
        link=link,
    )
    dry_run = DryRun(
        SQLBulkStore(database),
        profiles=authority.profiles,
        issuers=generations,
        pairs=key_management.pairs,
        clock=ground.clock,
    )
    audit_key = AuditKey.open(keystore)
    reviews = open_reviews(ground.registration, database, authority.profiles, **common)
    crl_store = SQLCRLStore(database)
    statuses = StatusService(
        authority.store,
        retention=timedelta(hours=settings.revocation.ocsp.retention_hours),
        clock=ground.clock,
    )
    generator = CRLGenerator(
        source=authority.store,
        store=crl_store,
        segments=segments,
        partitionings=segments,
        config=settings.revocation.crl,
        **common,
    )
    crls = CRLSchedule(issuers, generator, clock=ground.clock)
    revoked_sessions = RevokedSessions(
        ground.administration.sessions, issuers, statuses, revocation_log=authority.store
    )
    revocation = RevocationService(
        store=authority.store,
        listeners=(revoked_sessions.after_change,),
        **common,
    )
    return Service(
        ground=ground,
        keystore=keystore,
        audit_key=audit_key,
        exporter=make_exporter(
            settings.audit, ground.audit, audit_key, hostname=settings.server.public_host
        ),
        authority=authority,
        profiles=profiles,
        issuers=issuers,
        generations=generations,
        link=link,
        key_management=key_management,
        reviews=reviews,
        statistics=SQLStatistics(database),
        overviews=Overviews(SQLOverviews(database), clock=ground.clock),
        counts=SQLCounts(database, SQLOrganisationStore(database).lock_tree),
        traffic=Traffic(clock=ground.clock),
        subjects=open_subjects(
            database,
            keystore,
            ground.registration.organisations,
            identifier_key=settings.ca.identifier_key,
            audit=ground.audit,
            clock=ground.clock,
        ),
        operations=Operations.assemble(
            settings.ca,
            settings.authn.login,
            database,
            profiles=authority.profiles,
            issuers=generations,
            every_issuer=issuers,
            certificates=authority.store,
            pairs=key_management.pairs,
            revocation=revocation,
            reviews=reviews,
            blocked_keys=blocked,
            audit=ground.audit,
            clock=ground.clock,
        ),
        revocation=revocation,
        mass_revocations=open_mass_revocations(
            database,
            revocation,
            blocked,
            profiles=authority.profiles,
            control=ground.control,
            audit=ground.audit,
            clock=ground.clock,
        ),
        dry_run=dry_run,
        bulk=Bulk.assemble(
            settings.bulk,
            settings.ca,
            database,
            keystore=keystore,
            authority=authority,
            issuers=generations,
            reviews=reviews,
            key_management=key_management,
            dry_run=dry_run,
        ),
        statuses=statuses,
        crls=crls,
        notices=assemble_notices(settings.notices, database, clock=ground.clock),
        publication=assemble_publication(
            settings.publication,
            database,
            issuers=issuers,
            profiles=authority.profiles,
            clock=ground.clock,
        ),
        mirror=assemble_mirror(settings.revocation, crls, issuers, clock=ground.clock),
        revoked_sessions=revoked_sessions,
        provider=Provider.assemble(
            settings.authn,
            database,
            ground.administration,
            keystore=keystore,
            directory=OurDirectory(ground.registration.organisations),
            verifier=OurCertificates(
                issuers, statuses, authority.store, authority.profiles, clock=ground.clock
            ),
            audit=ground.audit,
            clock=ground.clock,
            trust=trust_applications(settings.authn.outbound, issuers),
        ),
    )


def _keep_partitionings(store: PartitioningStore, issuers: Mapping[str, Issuer]) -> None:
    """Remember what distribution points are about to be issued, before the first of them is."""
    for issuer in issuers.values():
        store.add_partitioning(issuer.name, issuer.crl_partitions, issuer.revocation_url)
        if issuer.kind is IssuerKind.ROOT:
            # The first start certifies issuing CAs before anything is divided.
            store.add_partitioning(issuer.name, 1, issuer.revocation_url)
