"""The ground floor: errors, clock, identity, audit, DER, database base, HTTP edge."""
