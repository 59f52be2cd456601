"""The director: one small process that tells tasks which faults to have, and keeps what it saw.

First form: task rules, their journal, and a StatsD sink that can be read over HTTP.
"""
