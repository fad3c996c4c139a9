"""Settings that say what they are the settings of.

A network is described by the settings of its layers and of its loss; from these they are made.
"""

from __future__ import annotations

from typing import Any, ClassVar


class HasSettings:
    """A class that is made from settings, of which each subclass has a class of its own.

    A subclass with settings says so by a frozen dataclass `Settings`; another gets one that is
    that of its base in all but its name.
    """

    Settings: ClassVar[type[Any]]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "Settings" not in vars(cls):
            # As if it were written there: it can be pickled, and shows as `ReLU.Settings()`.
            names = {
                "__module__": cls.__module__,
                "__qualname__": f"{cls.__qualname__}.Settings",
                "__doc__": cls.Settings.__doc__,
            }
            cls.Settings = type("Settings", (cls.Settings,), names)
        cls.Settings.of = cls
