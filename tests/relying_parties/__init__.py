"""Relying parties others wrote, logging in through Chromium (scripts/judge-relying-parties).

Not part of the test command: each takes its time. They print what they measured.
"""
