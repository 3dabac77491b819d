# Run by Blender in the background. Prints what this Blender can do, as lines that begin with a marker and go on with a
# JSON list. The second line comes from drawing something, in which a machine without a graphics driver may crash: what
# was printed before stays known.
import bpy
import json
import os
import re
import tempfile

MARKER = "HAYLOFT-ABILITIES "


def tell(abilities):
    print("\n" + MARKER + json.dumps(sorted(abilities)), flush=True)


def engines(scene):
    """The names in the refusal of an engine that does not exist: the list of the property itself is not complete."""
    try:
        scene.render.engine = "?"
    except TypeError as refusal:
        found = set(re.findall(r"'([^']+)'", str(refusal).split("not found in")[-1]))
    else:
        found = set()
    # EEVEE had another name from 4.2 to 4.5, and each Blender converts what an earlier one saved.
    if found & {"BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"}:
        found |= {"BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"}
    return {"engine:" + name for name in found}


def built_in():
    options = bpy.app.build_options
    names = {"alembic": "alembic", "usd": "usd", "openvdb": "openvdb", "fluid": "fluid", "mod_oceansim": "ocean"}
    return {ability for option, ability in names.items() if getattr(options, option, False)}


def cycles():
    try:
        import _cycles
    except ImportError:
        return set()
    found = set()
    if getattr(_cycles, "with_osl", False):
        found.add("osl")
    if getattr(_cycles, "with_openimagedenoise", False):
        found.add("denoiser:openimagedenoise")
    for kind in ("CUDA", "OPTIX", "HIP", "METAL", "ONEAPI"):
        try:
            devices = _cycles.available_devices(kind)
        except Exception:  # A kind that this Blender has no word for.
            continue
        # Blender lists the processor with every kind.
        if any(device[1] == kind for device in devices):
            found |= {"gpu", "gpu:" + kind}
    if "gpu:OPTIX" in found:
        found.add("denoiser:optix")
    return found


def draws(scene):
    """Whether engines that draw by OpenGL, Vulkan or Metal get a picture, be it by a driver without a graphics card."""
    render = scene.render
    render.engine = "BLENDER_WORKBENCH"
    render.resolution_x = render.resolution_y = 8
    render.resolution_percentage = 100
    render.film_transparent = False
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGBA"
    with tempfile.TemporaryDirectory() as directory:
        render.filepath = os.path.join(directory, "drawn.png")
        bpy.ops.render.render(write_still=True)
        return any(bpy.data.images.load(render.filepath).pixels)


scene = bpy.context.scene
tell({"blender:%d.%d.%d" % tuple(bpy.app.version)} | engines(scene) | built_in() | cycles())
if draws(scene):
    tell({"gpu"})
