const JOB_TYPE = {
    label: "Simple Blender Render",
    description: "Renders a range of frames, and makes a preview video of them where the format allows it.",
    settings: [
        // Shown to the artist.
        { key: "frames", type: "string", required: true,
          eval: "f'{C.scene.frame_start}-{C.scene.frame_end}' if C.scene.frame_step == 1 "
              + "else ','.join(map(str, range(C.scene.frame_start, C.scene.frame_end + 1, C.scene.frame_step)))",
          evalInfo: { showLinkButton: true, description: "Follow the frame range of the scene" },
          description: "Frames to render, such as \"1-10\" or \"1,5,20..30\"" },
        { key: "chunk_size", type: "int32", default: 1, propargs: { min: 1 }, visible: "submission",
          description: "Frames per task" },
        { key: "render_output_root", type: "string", subtype: "dir_path", default: "{output}", visible: "submission",
          description: "Folder under which the job gets its own folder for the frames" },
        { key: "add_path_components", type: "int32", default: 0, propargs: { min: 0, max: 32 }, visible: "submission",
          description: "How many of the last folders above the .blend file are repeated below the output root" },

        // Computed at submission in Blender. Elsewhere, what is absent is worked out by compileJob.
        { key: "render_output_path", type: "string", subtype: "file_path", editable: false, visible: "hidden",
          eval: "str(Path(settings.render_output_root if settings.render_output_root.startswith('{') "
              + "else abspath(settings.render_output_root)) "
              + "/ last_n_dir_parts(settings.add_path_components) / jobname / '{timestamp}' / '######')",
          description: "Where the frames are written" },
        { key: "blendfile", type: "string", required: true, visible: "web",
          description: "The .blend file to render" },
        { key: "scene", type: "string", visible: "web", eval: "C.scene.name",
          description: "Name of the scene to render; empty means the one that the file opens with" },
        { key: "fps", type: "float", default: 24, visible: "hidden", eval: "C.scene.render.fps / C.scene.render.fps_base",
          description: "Frames per second of the preview video; without it, or with 0, there is no video" },
        { key: "format", type: "string", default: "PNG", visible: "web",
          eval: "C.scene.render.image_settings.file_format",
          description: "Blender's name of the image format" },
        { key: "image_file_extension", type: "string", default: ".png", visible: "hidden",
          eval: "C.scene.render.file_extension",
          description: "File extension of the frames, with its dot" },
        { key: "has_previews", type: "bool", default: false, visible: "hidden",
          eval: "C.scene.render.image_settings.use_preview",
          description: "Whether Blender writes a JPEG beside each EXR frame" },
        { key: "separate_views", type: "bool", default: false, visible: "hidden",
          eval: "C.scene.render.use_multiview and C.scene.render.image_settings.views_format == 'INDIVIDUAL'",
          description: "Whether each eye or view has frames of its own; then there is no preview video" },
    ],
};

const VIDEO_FORMATS = new Set(["FFMPEG", "AVI_RAW", "AVI_JPEG", "AVIRAW", "AVIJPEG", "MPEG", "H264", "XVID", "THEORA", "AV1"]);
const EXR_FORMATS = new Set(["OPEN_EXR", "OPEN_EXR_MULTILAYER"]);

// Blender's Python has other names for some formats than its command line, which takes only its own.
const COMMAND_LINE_NAMES = new Map([["TARGA", "TGA"], ["TARGA_RAW", "RAWTGA"], ["JPEG2000", "JP2"]]);

// What the frames are called, by the command line's name of the format. Only frames of these formats become a video: not
// every ffmpeg reads the others, and some read them wrongly.
const PLAYED_EXTENSIONS = new Map([
    ["PNG", ".png"], ["JPEG", ".jpg"], ["TIFF", ".tif"], ["BMP", ".bmp"], ["TGA", ".tga"], ["RAWTGA", ".tga"], ["DPX", ".dpx"],
    ["WEBP", ".webp"], ["OPEN_EXR", ".jpg"], ["OPEN_EXR_MULTILAYER", ".jpg"], // of EXR, the previews
]);

// Overwriting is off so that a task which is queued again goes on after the frames that are there already.
const PY_RENDER_SETTINGS = "import bpy; render = bpy.context.scene.render; render.use_file_extension = True; "
    + "render.use_overwrite = False; render.use_placeholder = False";

// Cineon has ten bits only, and Blender's option for the format leaves the depth as it was.
const PY_CINEON_DEPTH = "; image = render.image_settings; "
    + "hasattr(image, 'media_type') and setattr(image, 'media_type', 'IMAGE'); image.file_format = 'CINEON'";

function compileJob(job) {
    const settings = job.settings;
    if (VIDEO_FORMATS.has(settings.format)) {
        throw new Error(`format ${settings.format} writes one video file, which cannot be rendered in parallel; `
            + "choose an image format in Blender's output properties, or set format to one, such as PNG");
    }
    settings.render_output_path = renderOutputPath(job);
    addPreviewTask(job, addRenderTasks(job));
}

function commandLineName(format) {
    return COMMAND_LINE_NAMES.get(format) || format;
}

function addRenderTasks(job) {
    const { frames, chunk_size, render_output_path, format, scene, blendfile } = job.settings;
    const args = [];
    if (scene) args.push("--scene", scene);
    args.push("--python-expr", PY_RENDER_SETTINGS + (format === "CINEON" ? PY_CINEON_DEPTH : ""));
    args.push("--render-output", render_output_path);
    if (format) args.push("--render-format", commandLineName(format));
    args.push("--render-frame", "");

    // author.Command copies its parameters, so one object serves all tasks.
    const parameters = { exe: "{blender}", exeArgs: "{blenderArgs}", argsBefore: [], blendfile, args };
    return frameChunker(frames, chunk_size).map(chunk => {
        args[args.length - 1] = chunk.replaceAll("-", "..");
        const task = author.Task("render-" + chunk, "blender");
        task.addCommand(author.Command("blender-render", parameters, frameCount(chunk)));
        job.addTask(task);
        return task;
    });
}

function addPreviewTask(job, renderTasks) {
    const { frames, fps, format, blendfile, has_previews, separate_views, image_file_extension } = job.settings;
    // The frames of each eye would come in turn.
    if (!fps || separate_views || (EXR_FORMATS.has(format) && !has_previews)) return;
    const extension = format ? PLAYED_EXTENSIONS.get(commandLineName(format)) : image_file_extension;
    if (![...PLAYED_EXTENSIONS.values()].includes(extension)) return;

    const renderDir = path.dirname(job.settings.render_output_path);
    const stem = path.stem(blendfile).replace(/\.(flamenco|hayloft-[0-9a-f]{8})$/, "");
    const task = author.Task("preview-video", "ffmpeg");
    task.addCommand(author.Command("frames-to-video", {
        exe: "ffmpeg",
        fps: fps,
        inputGlob: framesGlob(job.settings.render_output_path, frames, extension),
        outputFile: path.join(renderDir, `${cutToBytes(stem, 120)}-${shortFrames(frames)}.mp4`),
        args: [
            "-c:v", "h264",
            "-crf", "20",
            // The yuv420p pixel format needs even sizes.
            "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2",
            "-pix_fmt", "yuv420p",
            "-y",
        ],
    }));
    renderTasks.forEach(renderTask => task.addDependency(renderTask));
    job.addTask(task);
}

// The pattern fits the frames and nothing else that lies beside them, such as frames of one eye.
function framesGlob(output, frames, extension) {
    // Blender puts the number in the place of the last run of #, or behind the name.
    const base = path.basename(output);
    const [, before, run, after] = /^(.*?)(#+)([^#]*)$/.exec(base) || [base, base, "####", ""];
    // Longer numbers have more digits. ffmpeg takes a name for a pattern only if it has one of ?*{ in it.
    const longer = new RegExp(`[1-9][0-9]{${run.length}}`).test(frames);
    const number = longer ? "*[0-9]" : "[0-9]".repeat(run.length - 1) + "?";
    const spellings = [extension, { ".jpg": ".jpeg", ".tif": ".tiff" }[extension] || extension];
    const ended = spellings.some(spelling => after.toLowerCase().endsWith(spelling));
    const suffix = ended ? after : after.replace(/\.exr$/i, "") + extension;
    return path.join(literally(path.dirname(output)), literally(before) + number + literally(suffix));
}

// What a path has by chance is no pattern.
function literally(text) {
    return text.replace(/[\[*?]/g, "[$&]");
}

// File systems bound the length of a name, in bytes of UTF-8.
function cutToBytes(text, most) {
    let kept = "", bytes = 0;
    for (const character of text) {
        const point = character.codePointAt(0);
        bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        if (bytes > most) break;
        kept += character;
    }
    return kept;
}

function shortFrames(frames) {
    return frames.length <= 100 ? frames : `${frameCount(frames)}-frames`;
}

function renderOutputPath(job) {
    const settings = job.settings;
    if (!settings.render_output_path && !settings.render_output_root) {
        throw new Error("the job does not say where its frames go; set render_output_root");
    }
    const given = settings.render_output_path || path.join(
        settings.render_output_root,
        ...lastFolders(settings.blendfile, settings.add_path_components),
        folderName(job.name),
        "{timestamp}",
        "######",
    );
    return path.join(given).replaceAll("{timestamp}", folderOfItsOwn(job));
}

// Jobs of one name that come in the same second do not share a folder. The end of an id is what tells it from others.
function folderOfItsOwn(job) {
    const time = formatTimestampLocal(job.created);
    return job.jobID ? `${time}-${job.jobID.slice(-8)}` : time;
}

// The last folders above a file. Variables such as {jobs} and drive letters name a place, not a folder of the project.
function lastFolders(file, count) {
    if (!(count > 0)) return [];
    return path.dirname(file).split("/")
        .filter(part => part && part !== "." && part !== ".." && !/^(\{.*\}|[A-Za-z]:)$/.test(part))
        .slice(-count);
}

// A job may have any name; a folder on the farm's platforms may not.
function folderName(name) {
    const safe = Array.from(name.replace(/[\u0000-\u001f\u007f\/\\:*?"<>|{}]/g, "_")).slice(0, 60).join("")
        .replace(/^ +|[ .]+$/g, "");
    if (!safe) return "job";
    return /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(safe) ? "_" + safe : safe;
}
