# Renders the frame 2 of a .blend file and lists what it lacks: blender -b SCENE --python-exit-code 1 -P open.py -- PICTURE LIST
import json
import os
import sys

import bpy

picture, listing = sys.argv[sys.argv.index("--") + 1 :]
scene = bpy.context.scene
scene.frame_set(2)
paths = bpy.utils.blend_paths(absolute=True, packed=False, local=False)
# Which files of a sequence are shown is told by its users; that of its own name need not be among them.
sequences = {os.path.normpath(bpy.path.abspath(image.filepath, library=image.library)) for image in bpy.data.images if image.source == "SEQUENCE"}
paths = [os.path.normpath(path) for path in paths if path]
lost = [path for path in paths if path not in sequences and not os.path.exists(path.replace("<UDIM>", "1001"))]
baked = [system.point_cache.is_baked for block in bpy.data.objects for system in block.particle_systems]
scene.render.image_settings.file_format = "PNG"
scene.render.filepath = picture
bpy.ops.render.render(write_still=True)
with open(listing, "w") as file:
    json.dump({"lost": lost, "paths": paths, "baked": baked}, file)
