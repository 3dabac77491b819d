# Makes DIR/project/many.blend with an image for each file below DIR: blender -b --factory-startup --python-exit-code 1 -P many.py -- DIR
import glob
import os
import sys

import bpy

TOP = os.path.realpath(sys.argv[sys.argv.index("--") + 1])
bpy.ops.wm.read_factory_settings(use_empty=True)
for path in sorted(glob.glob(os.path.join(TOP, "*", "tex", "*", "*.png"))):
    image = bpy.data.images.new(os.path.basename(path), 1, 1)
    image.source, image.filepath_raw, image.use_fake_user = "FILE", path, True
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(TOP, "project", "many.blend"), compress=True, relative_remap=False)
