"""Programs that nobody here wrote, asked about the octets that we made (docs/judges.md).

One module per judge. A judge's function returns when it is content and raises `JudgeSaysNo` when
it is not. A judge that is missing or does not start is an error of the test run, never a refusal
and never a skip. tests/conformance/test_judges_can_fail.py shows that each can say no.
"""

from __future__ import annotations

SM2_ID = "1234567812345678"
"""The distinguishing identifier of GM/T 0009, 10. OpenSSL before 4.0 has to be told."""


class JudgeSaysNo(Exception):
    """A judge understood the question and refused; the message is what it said."""
