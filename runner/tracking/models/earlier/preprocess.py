"""What models import that were recorded before the module moved, as `runner.preprocess`.

They import `softnet` next, and mean the copy that they carry.
"""

import sys

from runner.training.preprocessing import Preprocessing

__all__ = ["Preprocessing"]

if "softnet" in sys.modules and not hasattr(sys.modules["softnet"].Network, "predict_proba"):
    raise ImportError(
        "This model was recorded by an earlier version of runner, and needs a process in which "
        "today's softnet is not loaded. `runner predict` predicts from its run as well."
    )
