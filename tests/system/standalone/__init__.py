"""`airflow standalone` with a real scheduler, its REST API and its pages in a browser."""
