"""What all tests share: how hypothesis chooses its examples."""

import os

from hypothesis import settings

# No deadline: the time of an example says how busy the machine is, and under a sanitizer less.
settings.register_profile("default", deadline=None)
# A gate must say the same of the same commit; at a developer's machine new examples are welcome.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
