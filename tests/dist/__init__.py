"""What `make dist` does beyond building: the archives are looked into, and tried from clean environments."""


class DistError(Exception):
    """The archives are not what they should be, or do not work."""
