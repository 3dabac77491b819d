# Opens .blend files and saves each anew: blender -b --factory-startup -P resave.py -- FROM TO [FROM TO …]
#
# Paths stay as they are, so that what the new files hold is what Blender read in the old ones.
import sys

import bpy

paths = sys.argv[sys.argv.index("--") + 1 :]
for source, target in zip(paths[::2], paths[1::2]):
    bpy.ops.wm.open_mainfile(filepath=source, load_ui=False)
    bpy.ops.wm.save_as_mainfile(filepath=target, relative_remap=False, check_existing=False, compress=False)
