"""Airflow hooks of the NXCloud provider."""
