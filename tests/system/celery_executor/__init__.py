"""A month of records on two Celery workers, one of which is lost on the way: `make system-celery`."""
