# Makes real caches, as small as they come: python caches.py -- DIR
#
# With bpy 5.0.1 these are box.abc and usd/below.usdc, which layers.py made empty; with Blender 3.4.1, whose simulations
# run as a module as well, smoke.vdb.
import os
import shutil
import sys
import tempfile

import bpy

target = os.path.abspath(sys.argv[sys.argv.index("--") + 1])
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.mesh.primitive_cube_add()
box = bpy.context.object
if bpy.app.version >= (4, 0):
    box.name = "box"
    box.keyframe_insert("location", frame=1)
    box.location.x = 1
    box.keyframe_insert("location", frame=2)
    bpy.ops.wm.alembic_export(filepath=os.path.join(target, "box.abc"), start=1, end=2, as_background_job=False)
    bpy.ops.wm.usd_export(filepath=os.path.join(target, "usd", "below.usdc"), export_materials=False)
else:
    scratch = tempfile.mkdtemp()
    domain = box.modifiers.new("domain", "FLUID")
    domain.fluid_type = "DOMAIN"
    settings = domain.domain_settings
    settings.domain_type, settings.resolution_max, settings.cache_frame_end = "LIQUID", 6, 1
    settings.cache_directory, settings.cache_type, settings.cache_data_format = scratch, "ALL", "OPENVDB"
    settings.openvdb_data_depth = "8"
    bpy.ops.mesh.primitive_cube_add(size=0.5)
    flow = bpy.context.object.modifiers.new("flow", "FLUID")
    flow.fluid_type = "FLOW"
    flow.flow_settings.flow_type, flow.flow_settings.flow_behavior = "LIQUID", "INFLOW"
    bpy.context.view_layer.objects.active = box
    bpy.ops.fluid.bake_all()
    shutil.copyfile(os.path.join(scratch, "data", "fluid_data_0001.vdb"), os.path.join(target, "smoke.vdb"))
    shutil.rmtree(scratch)
