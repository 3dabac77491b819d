# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs test modules inside a Blender, or with a Python that has Blender as a module.

    blender --background --factory-startup --python run.py -- FOLDER MODULE...
    python run.py -- FOLDER MODULE...

FOLDER is where the package hayloft lies. The last line of the output is `ran N tests`, and nothing else counts as passed.
"""

import os
import sys
import unittest


def main():
    sys.dont_write_bytecode = True
    folder, *modules = sys.argv[sys.argv.index("--") + 1 :]
    sys.path[:0] = [folder, os.path.dirname(os.path.abspath(__file__))]
    suite = unittest.defaultTestLoader.loadTestsFromNames(modules)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    passed = result.wasSuccessful() and result.testsRun > 0 and not result.skipped
    print(f"ran {result.testsRun} tests" if passed else "failed", flush=True)
    # Some of Blender's Python modules crash when their process ends after add-ons were registered.
    os._exit(0 if passed else 1)


main()
