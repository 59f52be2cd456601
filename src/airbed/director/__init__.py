"""The director: one small process that stands before S3, tells tasks which faults to have, and keeps what it saw.

S3 rules, task rules, gates, their journal, and a StatsD sink that can be read over HTTP.
"""
