"""What models import that were recorded before the module moved, as `runner.preprocess`."""

from runner.training.preprocessing import Preprocessing

__all__ = ["Preprocessing"]
