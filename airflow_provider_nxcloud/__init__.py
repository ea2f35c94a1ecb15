"""Airflow provider for NXCloud: every call detail record of each DAG run's interval, exactly once."""

__version__ = "0.1.0"
