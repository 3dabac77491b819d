# Renders what every.py or newer.py made, as it is and without some files:
# blender -b --factory-startup -y --python-exit-code 1 -P results.py -- ORDER
#
# ORDER is a JSON file: the scene, the folder for the results, the frame, an address to call, and for each round the files
# that are out of the way. The results are a picture for each scene and round, the sound, and what was within reach.
import json
import os
import socket
import sys

import bpy

with open(sys.argv[sys.argv.index("--") + 1], encoding="utf-8") as file:
    order = json.load(file)


def reached(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
        return True
    except OSError:
        return False


def results(number):
    bpy.ops.wm.open_mainfile(filepath=order["scene"], use_scripts=True)
    for scene in bpy.data.scenes:
        if bpy.context.window:
            bpy.context.window.scene = scene
        scene.frame_set(order["frame"])
        scene.render.filepath = os.path.join(order["results"], f"{number}-{scene.name}.png")
        bpy.ops.render.render(write_still=True, scene=scene.name)
        if scene.name == "edit":
            bpy.ops.sound.mixdown(filepath=os.path.join(order["results"], f"{number}-sound.wav"), container="WAV", codec="PCM", format="S16")


for number, files in enumerate(order["rounds"]):
    for file in files:
        os.rename(file, file + ".away")
    results(number)
    for file in files:
        os.rename(file + ".away", file)
within = {"network": reached(*order["call"]), "there": [path for path in order["look"] if os.path.exists(path)]}
with open(os.path.join(order["results"], "within.json"), "w", encoding="utf-8") as file:
    json.dump(within, file)
