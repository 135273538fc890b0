"""What older programs should know and what stops nothing: a warning, as Python shows it once for each place."""


class StateNotice(UserWarning):
    """A call or a setting of an older state manager does something else here, or nothing."""
