# Prints every property of this Blender that is declared to be a path: blender -b -P properties.py
import bpy

for name in dir(bpy.types):
    shape = getattr(getattr(bpy.types, name), "bl_rna", None)
    if not shape or "_OT_" in shape.identifier:
        continue
    inherited = shape.base.properties.keys() if shape.base else ()
    for property in shape.properties:
        if property.type == "STRING" and property.subtype in ("FILE_PATH", "DIR_PATH") and property.identifier not in inherited:
            print("property", f"{shape.identifier}.{property.identifier}")
