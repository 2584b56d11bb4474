"""The command line. Python looks for garbage less often here: a command ends soon, and imports leave none behind."""

import gc

gc.set_threshold(50_000)
