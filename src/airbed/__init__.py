"""airbed: a local testbed for Apache Airflow DAGs that use dynamic task mapping."""

__version__ = "0.1.0"
