"""Both endpoints over a real MariaDB and a real PostgreSQL, as most back ends serve a numbered page.

Nothing is modelled: which of the calls that start at one time stand on which page, the database decides.
"""
