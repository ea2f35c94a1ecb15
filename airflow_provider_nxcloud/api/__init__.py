"""The NXCloud API in plain Python: imports no Airflow."""
