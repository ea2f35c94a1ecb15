"""The demo: both daily example DAGs run in a real Airflow against a stand-in NXCloud server."""
