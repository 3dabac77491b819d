const JOB_TYPE = {
    label: "Echo and Sleep Test",
    description: "Writes a message to the task log and then sleeps. Shows that workers get tasks, without Blender.",
    settings: [
        { key: "message", type: "string", required: true,
          description: "Text for the log of the first task" },
        { key: "sleep_duration_seconds", type: "int32", default: 1, propargs: { min: 0 },
          description: "How long each sleeping task lasts, in seconds" },
        { key: "sleep_repeats", type: "int32", default: 1, propargs: { min: 0 },
          description: "Number of sleeping tasks; they start once the message is written" },
    ],
};

function compileJob(job) {
    const settings = job.settings;

    const echo = author.Task("echo", "misc");
    echo.addCommand(author.Command("echo", { message: settings.message }));
    job.addTask(echo);

    for (let i = 0; i < settings.sleep_repeats; i++) {
        const sleep = author.Task("sleep", "misc");
        sleep.addCommand(author.Command("sleep", { duration_in_seconds: settings.sleep_duration_seconds }));
        sleep.addDependency(echo);
        job.addTask(sleep);
    }
}
