"""Airflow operators of the NXCloud provider."""
