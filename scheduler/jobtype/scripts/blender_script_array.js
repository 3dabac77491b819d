const JOB_TYPE = {
    label: "Blender Script Array",
    description: "Runs a Python script in Blender once for each of many data files, each as a task of its own.",
    settings: [
        { key: "script", type: "string", required: true, visible: "web",
          description: "The Python script. Blender runs it with -- DATA FOLDER at the end of its arguments: the data file, and "
              + "the folder for the task's files; they are also in HAYLOFT_DATA and HAYLOFT_OUTPUT" },
        { key: "data", type: "string", required: true, visible: "web",
          description: "The data files, one a line; each makes one task" },
        { key: "data_root", type: "string", subtype: "dir_path", visible: "web",
          description: "Folder that the data files are below; empty means that they are whole paths" },
        { key: "blendfile", type: "string", visible: "web",
          description: "The .blend file that is open when the script runs; empty means Blender's factory scene" },
        { key: "frames", type: "string",
          description: "Frames to render after the script, such as \"1-10\"; empty means that the script does all there is to do" },
        { key: "format", type: "string", visible: "web",
          description: "Blender's name of the image format of these frames; empty means the scene's" },
        { key: "render_output_root", type: "string", subtype: "dir_path", default: "{output}", visible: "submission",
          description: "Folder under which the job gets its own folder, with a folder for each task" },
        { key: "render_output_path", type: "string", subtype: "dir_path", editable: false, visible: "hidden",
          description: "The job's own folder" },
    ],
};

// Blender's Python has other names for some formats than its command line, which takes only its own.
const COMMAND_LINE_NAMES = new Map([["TARGA", "TGA"], ["TARGA_RAW", "RAWTGA"], ["JPEG2000", "JP2"]]);

function compileJob(job) {
    const settings = job.settings;
    const names = settings.data.split("\n").map(line => line.trim()).filter(line => line !== "");
    if (names.length === 0) {
        throw new Error("the job has no data files; name them in the setting data, one a line");
    }
    if (!settings.render_output_path) {
        settings.render_output_path = path.join(settings.render_output_root, folderName(job.name), folderOfItsOwn(job));
    }
    const frames = settings.frames || "";
    const steps = frames ? frameCount(frames) : 1;
    // Numbers of equal length sort as people expect.
    const digits = Math.max(4, String(names.length).length);
    names.forEach((name, i) => {
        const number = String(i + 1).padStart(digits, "0");
        const task = author.Task(name, "blender");
        task.addCommand(author.Command("blender-script", {
            exe: "{blender}",
            exeArgs: "{blenderArgs}",
            blendfile: settings.blendfile || "",
            script: settings.script,
            data: settings.data_root ? path.join(settings.data_root, name) : name,
            outputRoot: settings.render_output_path,
            outputName: `${number}-${folderName(path.stem(name))}`,
            frames: frames ? frameChunker(frames, steps)[0].replaceAll("-", "..") : "",
            format: COMMAND_LINE_NAMES.get(settings.format) || settings.format || "",
        }, steps));
        job.addTask(task);
    });
}

// Jobs of one name that come in the same second do not share a folder. The end of an id is what tells it from others.
function folderOfItsOwn(job) {
    const time = formatTimestampLocal(job.created);
    return job.jobID ? `${time}-${job.jobID.slice(-8)}` : time;
}

// A job and a data file may have any name; a folder on the farm's platforms may not.
function folderName(name) {
    const safe = Array.from(name.replace(/[\u0000-\u001f\u007f\/\\:*?"<>|{}]/g, "_")).slice(0, 60).join("")
        .replace(/^ +|[ .]+$/g, "");
    if (!safe) return "job";
    return /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(safe) ? "_" + safe : safe;
}
