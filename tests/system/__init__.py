"""Tests of whole Airflow deployments on loopback: `make system`."""
