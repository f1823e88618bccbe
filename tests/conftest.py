"""What all tests share: how hypothesis chooses its examples."""

import os

from hypothesis import settings

# A gate must say the same of the same commit; at a developer's machine new examples are welcome.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
