"""Which page offers an operation of the API; or why none does (docs/decisions/0230)."""

from __future__ import annotations

from typing import Final

_REQUEST: Final = "/console/requests/{request_id}"
_CERTIFICATE: Final = "/console/certificates/{issuer}/{serial}"
_ACT: Final = f"POST {_CERTIFICATE}/{{act}}"
_BATCH: Final = "/console/bulk/{batch_id}"
_BATCH_ACT: Final = f"POST {_BATCH}/{{act}}"
_ORGANISATION: Final = "/console/organisations/{organisation_id}"
_SUBJECT: Final = "/console/subjects/{subject_id}"
_RECOVERY: Final = "/console/recoveries/{recovery_id}"
_PROPOSAL: Final = "/console/proposals/{proposal_id}"
_CLIENT: Final = "/console/clients/{client_id}"
_TOKEN: Final = "/console/signingkeys/tokens/{token_id}"
_USER: Final = "/console/users/{user_id}"

PAGES: Final = {
    "POST /requests": "POST /console/requests/new",
    "GET /requests": "GET /console/requests",
    "GET /requests/{request_id}": f"GET {_REQUEST}",
    "POST /requests/{request_id}/approve": f"POST {_REQUEST}/approve",
    "POST /requests/{request_id}/make": f"POST {_REQUEST}/make",
    "POST /requests/{request_id}/reject": f"POST {_REQUEST}/reject",
    "POST /requests/{request_id}/pickup-resend": f"POST {_REQUEST}/resend",
    "POST /requests/{request_id}/recovery": "POST /console/recoveries/user",
    "POST /certificates/{issuer}/{serial}/revoke": _ACT,
    "POST /certificates/{issuer}/{serial}/hold": _ACT,
    "POST /certificates/{issuer}/{serial}/release": _ACT,
    "POST /certificates/{issuer}/{serial}/report-lost": _ACT,
    "POST /certificates/{issuer}/{serial}/renew": _ACT,
    "POST /certificates/{issuer}/{serial}/rekey": _ACT,
    "POST /certificates/{issuer}/{serial}/reissue": _ACT,
    "GET /certificates/{issuer}/{serial}/history": f"GET {_CERTIFICATE}",
    "GET /certificates": "GET /console/certificates",
    "GET /certificates/{issuer}/{serial}": f"GET {_CERTIFICATE}",
    "GET /issuers": "GET /console/settings",
    "GET /profiles": "GET /console/profiles",
    "POST /profiles": "POST /console/profiles",
    "GET /profiles/{name}/versions": "GET /console/profiles/{name}",
    "POST /mass-revocations/preview": "POST /console/massrevocations/preview",
    "POST /mass-revocations": "POST /console/massrevocations",
    "GET /mass-revocations": "GET /console/massrevocations",
    "POST /blocked-keys": "POST /console/massrevocations/blocked-keys",
    "GET /blocked-keys": "GET /console/massrevocations",
    "GET /organisations": "GET /console/organisations",
    "POST /organisations": f"POST {_ORGANISATION}/add",
    "GET /organisations/{organisation_id}": f"GET {_ORGANISATION}",
    "POST /organisations/{organisation_id}/rename": f"POST {_ORGANISATION}/{{act}}",
    "POST /organisations/{organisation_id}/move": f"POST {_ORGANISATION}/{{act}}",
    "POST /organisations/{organisation_id}/close": f"POST {_ORGANISATION}/{{act}}",
    "GET /subjects": "GET /console/subjects",
    "POST /subjects": "POST /console/subjects/new",
    "POST /subjects/find": "POST /console/subjects/find",
    "GET /subjects/{subject_id}": f"GET {_SUBJECT}",
    "POST /subjects/{subject_id}/update": f"POST {_SUBJECT}/update",
    "POST /subjects/{subject_id}/move": f"POST {_SUBJECT}/move",
    "GET /rights": "GET /console/rights",
    "POST /rights": "POST /console/rights",
    "DELETE /rights/{right_id}": "POST /console/rights/{right_id}/revoke",
    "GET /review-rules": "GET /console/rights",
    "POST /review-rules": "POST /console/rights/rules",
    "DELETE /review-rules/{rule_id}": "POST /console/rights/rules/{rule_id}/remove",
    "GET /statistics": "GET /console/statistics",
    "GET /statistics/overview": "GET /console",
    "GET /bulk": "GET /console/bulk",
    "POST /bulk": "POST /console/bulk",
    "GET /bulk/{batch_id}": f"GET {_BATCH}",
    "GET /bulk/{batch_id}/items": f"GET {_BATCH}",
    "POST /bulk/{batch_id}/submit": _BATCH_ACT,
    "POST /bulk/{batch_id}/approve": _BATCH_ACT,
    "POST /bulk/{batch_id}/reject": _BATCH_ACT,
    "POST /bulk/{batch_id}/pause": _BATCH_ACT,
    "POST /bulk/{batch_id}/resume": _BATCH_ACT,
    "POST /bulk/{batch_id}/cancel": _BATCH_ACT,
    "POST /bulk/{batch_id}/package": f"POST {_BATCH}/package",
    "POST /bulk/{batch_id}/confirm": _BATCH_ACT,
    "GET /notices": "GET /console/notices",
    "GET /publication": "GET /console/revocation",
    "POST /publication/retry": "POST /console/revocation/retry",
    "GET /key-management/pools": "GET /console/recoveries",
    "POST /key-management/recoveries": "POST /console/recoveries/judicial",
    "GET /key-management/recoveries": "GET /console/recoveries",
    "GET /key-management/recoveries/{recovery_id}": f"GET {_RECOVERY}",
    "POST /key-management/recoveries/{recovery_id}/deliver": f"POST {_RECOVERY}/{{act}}",
    "POST /key-management/recoveries/{recovery_id}/approve": f"POST {_RECOVERY}/{{act}}",
    "POST /key-management/recoveries/{recovery_id}/reject": f"POST {_RECOVERY}/{{act}}",
    "GET /health-checks": "GET /console",
    "GET /traffic": "GET /console",
    "GET /revocation-status": "GET /console/revocation",
    "GET /settings": "GET /console/settings",
    "GET /ceremonies": "GET /console/ceremonies",
    "POST /ceremonies/verify": "POST /console/ceremonies/verify",
    "GET /audit/events": "GET /console/audit",
    "GET /audit/verification": "GET /console/audit/verification",
    "GET /proposals": "GET /console/proposals",
    "GET /proposals/{proposal_id}": f"GET {_PROPOSAL}",
    "POST /proposals/{proposal_id}/approve": f"POST {_PROPOSAL}/approve",
    "POST /proposals/{proposal_id}/reject": f"POST {_PROPOSAL}/reject",
    "GET /clients": "GET /console/clients",
    "POST /clients": "POST /console/clients",
    "GET /clients/{client_id}": f"GET {_CLIENT}",
    "PUT /clients/{client_id}": f"POST {_CLIENT}/change",
    "DELETE /clients/{client_id}": f"POST {_CLIENT}/remove",
    "POST /clients/{client_id}/secret": f"POST {_CLIENT}/secret",
    "GET /clients/{client_id}/access": f"GET {_CLIENT}/access",
    "PUT /clients/{client_id}/access": f"POST {_CLIENT}/access",
    "GET /clients/{client_id}/trial": f"GET {_CLIENT}/trial",
    "GET /signing-keys": "GET /console/signingkeys",
    "POST /signing-keys/rotate": "POST /console/signingkeys/rotate",
    "GET /registration-tokens": "GET /console/signingkeys",
    "POST /registration-tokens": "POST /console/signingkeys/tokens",
    "DELETE /registration-tokens/{token_id}": f"POST {_TOKEN}/withdraw",
    "GET /users": "GET /console/users",
    "GET /users/{user_id}": f"GET {_USER}",
    "POST /users": "POST /console/users",
    "POST /users/{user_id}/end-sessions": f"POST {_USER}/{{act}}",
    "POST /users/{user_id}/setup-link": f"POST {_USER}/setup-link",
    "PUT /users/{user_id}/contact": f"POST {_USER}/contact",
    "POST /users/{user_id}/reset-factors": f"POST {_USER}/reset-factors",
    "POST /users/{user_id}/role": f"POST {_USER}/role",
    "POST /users/{user_id}/credential": f"POST {_USER}/{{act}}",
    "POST /users/{user_id}/disable": f"POST {_USER}/{{act}}",
    "POST /users/{user_id}/enable": f"POST {_USER}/{{act}}",
    "POST /users/{user_id}/affiliations": f"POST {_USER}/affiliations",
    "GET /users/{user_id}/affiliations": f"GET {_USER}/identities",
    "DELETE /affiliations/{affiliation_id}": (
        f"POST {_USER}/affiliations/{{affiliation_id}}/remove"
    ),
    "PUT /users/{user_id}/real-name": f"POST {_USER}/real-name",
    "GET /certificate-bindings": f"GET {_USER}/identities",
    "POST /certificate-bindings": f"POST {_USER}/bindings",
    "DELETE /certificate-bindings/{binding_id}": f"POST {_USER}/bindings/{{binding_id}}/remove",
    "GET /sessions": "GET /console/sessions",
    "GET /logout-queue": "GET /console/logouts",
    "POST /logout-queue/{client_id}/retry": "POST /console/logouts/{client_id}/retry",
    "POST /logout-queue/{client_id}/drop": "POST /console/logouts/{client_id}/drop",
    "POST /sessions/of-application/{client_id}/end": (
        "POST /console/sessions/of-application/{client_id}/end"
    ),
    "POST /sessions/{sid}/end": "POST /console/sessions/{sid}/end",
    "POST /login/certificate/challenge": "GET /login/certificate",
    "POST /login/certificate": "POST /login/certificate",
}
"""Below ``/api/v1``; the page as method and route."""

AT_A_DESK: Final = {
    "GET /issuers": "GET /console/requests/new",
    "GET /profiles": "GET /console/requests/new",
    "POST /bulk/{batch_id}/unasked": _BATCH_ACT,
}
"""At a registration authority: what only it has, or has elsewhere."""

REASONS: Final = {
    "GET /requests/{request_id}/pair": "the medium's own software takes in the enveloped key",
    "POST /requests/{request_id}/pair/pkcs12": "the password is sealed before it is sent",
    "GET /pairs/key-management-identity": "what passwords are sealed to, by a program",
    "POST /renewal": "the request is signed with the certificate's key, by a program",
    "GET /my/certificates": "the holder shows the certificate in TLS, by a program",
    "GET /my/certificates/{issuer}/{serial}/recoveries": "as GET /my/certificates",
    "POST /my/certificates/{issuer}/{serial}/report-lost": "as GET /my/certificates",
    "POST /pickup": "the subscriber's program makes the key and brings the codes",
    "GET /mass-revocations/{job_id}": "GET /console/massrevocations lists each with its counts",
    "GET /whoami": "every page says who is signed in",
}
