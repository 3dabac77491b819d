"""Saves scenes of all kinds into a folder, each with what expressions give for it: blender -b -P ask.py -- EXPRESSIONS FOLDER"""
import json
import os
import sys

import bpy

expressions, folder = sys.argv[-2:]
with open(expressions, encoding="utf-8") as f:
    expressions = json.load(f)


def save(name):
    path = os.path.join(folder, name)
    bpy.ops.wm.save_as_mainfile(filepath=path + ".blend", copy=True)
    names = {"C": bpy.context, "bpy": bpy}
    with open(path + ".json", "w", encoding="utf-8") as f:
        json.dump({e: eval(e, {}, names) for e in expressions}, f)  # pylint: disable=eval-used


scene = bpy.context.scene
image = scene.render.image_settings
scene.render.use_file_extension = True
for file_format in [item.identifier for item in image.bl_rna.properties["file_format"].enum_items]:
    image.file_format = file_format
    save(file_format)
image.file_format = "OPEN_EXR"
image.use_preview = True
scene.name = "Shöt 'one'"
scene.frame_start, scene.frame_end, scene.frame_step = 3, 12, 4
scene.render.fps, scene.render.fps_base = 30, 1.001
other = bpy.data.scenes.new("AAA")
other.frame_end = 99
save("odd")
scene.render.use_multiview = True
image.views_format = "INDIVIDUAL"
scene.frame_start = scene.frame_end = 7
save("stereo")
image.views_format = "STEREO_3D"
save("both in one")
