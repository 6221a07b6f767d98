"""Whether the server under test was built with sanitizers, and how their reports are known."""
import os
import re

BUILT_IN = "asan" in os.environ.get("LICORNE_BUILD", "")

REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:")
