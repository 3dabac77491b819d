package jobtype_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hayloft/scheduler/jobtype"
)

// briefly is the time limit of tests that reach it.
const briefly = 500 * time.Millisecond

var created = time.Date(2026, 5, 4, 3, 2, 1, 500e6, time.UTC)

// compile runs the body of a compileJob.
func compile(t *testing.T, body string, request jobtype.Request) (jobtype.Compiled, error) {
	t.Helper()
	library := loadWith(t, jobtype.Options{
		Scripts:   folder(map[string]string{"t.js": "const JOB_TYPE = { label: 'T' }; function compileJob(job) {\n" + body + "\n}"}),
		TimeLimit: 5 * time.Second, Location: time.FixedZone("somewhere", 2*3600), WorkingDir: "/farm",
	})
	request.Type, request.Created = "t", created
	return library.Compile(t.Context(), request)
}

// evaluate returns what a JavaScript expression is, as JSON.
func evaluate(t *testing.T, expression string, request jobtype.Request) string {
	t.Helper()
	compiled, err := compile(t, "job.settings.result = "+expression, request)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	text, err := json.Marshal(compiled.Settings["result"])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestScriptAPI(t *testing.T) {
	request := jobtype.Request{
		JobID: "id", Name: "name", Priority: 7, Status: "queued", CheckoutID: "co", WorkerTag: "tag",
		Settings: map[string]any{"n": 3.0, "list": []any{"a", nil}}, Metadata: map[string]string{"user": "x"},
	}
	for expression, want := range map[string]string{
		`[job.jobID, job.name, job.jobType, job.priority, job.status, job.workerTagUUID]`:       `["id","name","t",7,"queued","tag"]`,
		`[job.storage.shamanCheckoutID, job.metadata.user, job.settings.missing === undefined]`: `["co","x",true]`,
		`job.settings.list.concat(job.settings.n + 1)`:                                          `["a",null,4]`,
		`job.created.toISOString()`:                          `"2026-05-04T03:02:01.500Z"`,
		`formatTimestampLocal(job.created)`:                  `"2026-05-04_050201"`,
		`frameChunker("1-3,5,7,8", 4)`:                       `["1-3,5","7,8"]`,
		`frameChunker("1..4", 1e99)`:                         `["1-4"]`,
		`frameCount("1-3,2,9")`:                              `4`,
		`frameCount(7)`:                                      `1`,
		`shellSplit("a 'b c'")`:                              `["a","b c"]`,
		`[path.basename("a\\b.c"), path.dirname("/x/y")]`:    `["b.c","/x"]`,
		`[path.stem("/x/y.z"), path.join("a", "b", "../c")]`: `["y","a/c"]`,
		`[process.cwd(), process.platform]`:                  `["/farm","` + runtime.GOOS + `"]`,
		`require("path") === path && require("author") === author && require("process") === process`: `true`,
		`[print("a", 1), alert("b")].length`:                                                   `2`,
		`(t => [t.name, t.type, t.priority, Object.keys(t).length])(author.Task("n", "misc"))`: `["n","misc",50,4]`,
		`(t => t.uuid.length)(new author.Task("n", "misc"))`:                                   `36`,
		`(c => [c.name, c.parameters, c.totalStepCount])(author.Command("c", {a: [1]}, 2))`:    `["c",{"a":[1]},2]`,
		`(job.addTask(author.Task("n", "misc")), job.tasks.map(t => t.name))`:                  `["n"]`,
		`[1/0, new Date(0), undefined]`:                                                        `[null,"1970-01-01T00:00:00.000Z",null]`,
	} {
		if got := evaluate(t, expression, request); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
}

func TestCompiledTasks(t *testing.T) {
	compiled, err := compile(t, `
		const first = author.Task("first", "misc");
		const shared = { text: "one", list: [1, 2.5, true, null], nested: { "é\"": "\n", gone: undefined } };
		const echo = author.Command("echo", shared);
		shared.text = "two";
		first.addCommand(echo);
		first.addCommand(new author.Command("render", shared, 10));
		first.priority = 80;
		job.addTask(first);
		first.name = "too late";
		first.addCommand(author.Command("late"));

		const edited = author.Command("edited", { a: 1 });
		edited.parameters.b = [2];
		const second = author.Task("second", "ffmpeg");
		second.addCommand(edited);
		second.addDependency(first);
		second.addDependency(first);
		const third = author.Task("third", "ffmpeg");
		second.addDependency(third);
		job.addTask(second);
		job.addTask(third);
		job.settings.added = { deep: [1] };
	`, jobtype.Request{Settings: map[string]any{"kept": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []jobtype.Task{
		{Name: "first", Type: "misc", Priority: 80, Steps: 11, Commands: json.RawMessage(
			`[{"name":"echo","parameters":{"text":"one","list":[1,2.5,true,null],"nested":{"é\"":"\n"}},"total_step_count":0},` +
				`{"name":"render","parameters":{"text":"two","list":[1,2.5,true,null],"nested":{"é\"":"\n"}},"total_step_count":10}]`)},
		{Name: "second", Type: "ffmpeg", Priority: 50, Steps: 1, DependsOn: []int{0, 2},
			Commands: json.RawMessage(`[{"name":"edited","parameters":{"a":1,"b":[2]},"total_step_count":0}]`)},
		{Name: "third", Type: "ffmpeg", Priority: 50, Commands: json.RawMessage(`[]`)},
	}
	for i, task := range compiled.Tasks {
		id, err := uuid.Parse(task.UUID)
		if err != nil || id.Version() != 7 || id.String() != task.UUID {
			t.Errorf("task %d has id %q", i, task.UUID)
		}
		compiled.Tasks[i].UUID = ""
	}
	if diff := cmp.Diff(want, compiled.Tasks); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	settings := map[string]any{"kept": "x", "added": map[string]any{"deep": []any{1.0}}}
	if diff := cmp.Diff(settings, compiled.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestCompileErrorsSayWhatAndWhere(t *testing.T) {
	add := `const a = author.Task("a", "x"), b = author.Task("b", "x"), c = author.Task("c", "x");`
	for body, says := range map[string]string{
		`throw new Error("no blend file")`:                `job type "t": no blend file (t.js:2:7)`,
		`throw "a text"`:                                  "a text (t.js:2:",
		`throw { code: 3 }`:                               `{"code":3} (t.js:2:`,
		`job.nothing.at.all`:                              "TypeError: Cannot read property 'at' of undefined",
		`undeclared = 1`:                                  "ReferenceError: undeclared is not defined",
		`const f = () => f() + 1; f()`:                    "nested deeper than",
		`frameChunker("10-1", 1)`:                         `the part "10-1" runs backwards; write 1-10 (t.js:2:`,
		`frameChunker("abc", 1)`:                          `the part "abc" is not a frame`,
		`frameChunker("", 1)`:                             "it is empty",
		`frameChunker("1-5", 0)`:                          "the chunk size is 0; it must be at least 1",
		`frameChunker("1-5")`:                             "the chunk size is undefined",
		`frameChunker("1-2000000", 1)`:                    "choose larger chunks",
		`frameCount()`:                                    "the frame range is missing",
		`shellSplit("'")`:                                 "close the quote",
		`formatTimestampLocal("today")`:                   "needs a date",
		`formatTimestampLocal(new Date(NaN))`:             "needs a date",
		`path.join("a", null)`:                            "a part of the path is missing",
		`require("fs")`:                                   `t.js requires "fs"`,
		`author.Task("", "misc")`:                         "neither may be empty",
		`author.Task("x")`:                                "the type of a task is missing",
		`author.Command()`:                                "the name of a command is missing",
		`author.Command("")`:                              "author.Command needs a name",
		`author.Command("c", "text")`:                     `the parameters of command "c" are not an object`,
		`author.Command("c", [1])`:                        `are not an object with named members`,
		`author.Command("c", {}, -1)`:                     "must be a whole number from 0",
		`const o = {}; o.o = o; author.Command("c", o)`:   "circular",
		`author.Task("n", "t").addCommand({ name: "c" })`: `addCommand of task "n" needs a command`,
		`author.Task("n", "t").addDependency("a")`:        "addDependency needs a task",
		`author.Task("n", "t").priority = "high"`:         "must be a whole number",
		`author.Task("n", "t").prioriti = 3`:              `cannot set "prioriti"`,
		`author.Task("n", "t").name = ""`:                 `cannot set "name"`,
		`author.Command("c").nam = 3`:                     `cannot set "nam"`,
		`delete author.Task("n", "t").name`:               "TypeError",
		`job.addTask({ name: "n", type: "misc" })`:        "addTask needs a task",
		`job.settings = 3`:                                "job.settings in a bad state",
		`job.settings.big = 10n`:                          "BigInt",
		`return Promise.reject(new Error("late"))`:        "late (t.js)",
		`return new Promise(() => {})`:                    "waits for something that never comes",
		add + `a.addDependency(b); job.addTask(a)`:        `task "a" depends on task "b", which was never added`,
		add + `job.addTask(a); job.addTask(a)`:            `task "a" is added twice`,
		add + `a.addDependency(a); job.addTask(a)`:        `in a circle: "a" -> "a"`,
		add + `a.addDependency(b); b.addDependency(c); c.addDependency(b); [a, b, c].forEach(t => job.addTask(t))`: `in a circle: "b" -> "c" -> "b"`,
		`const ts = []; for (let i = 0; i < 20; i++) ts.push(author.Task("t" + i, "x"));
		 ts.forEach((t, i) => { t.addDependency(ts[(i + 1) % 20]) }); ts.forEach(t => job.addTask(t))`: "… 12 more",
	} {
		t.Run(body, func(t *testing.T) {
			_, err := compile(t, body, jobtype.Request{})
			if !errors.Is(err, jobtype.ErrCompile) || !strings.Contains(err.Error(), says) {
				t.Fatalf("got %v, want a sentence with %q", err, says)
			}
			if strings.Contains(err.Error(), "GoError") {
				t.Errorf("the message speaks of the engine: %v", err)
			}
		})
	}
}

func TestErrorsOfTheAPICanBeCaught(t *testing.T) {
	got := evaluate(t, `(() => { try { frameCount("x"); return "no" } catch (e) { return e.message } })()`, jobtype.Request{})
	if !strings.Contains(got, "is not a frame") {
		t.Errorf("caught %s", got)
	}
}

func TestScriptErrorPlace(t *testing.T) {
	_, err := compile(t, "\n  throw new Error('x')", jobtype.Request{})
	var failure *jobtype.ScriptError
	if !errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
	if got, want := failure.Place(), "t.js:3:9"; got != want || failure.Message != "x" {
		t.Errorf("got %q at %s, want x at %s", failure.Message, got, want)
	}
	_, err = compile(t, `frameCount("x")`, jobtype.Request{})
	if !errors.Is(err, jobtype.ErrFrameRange) {
		t.Errorf("the frame range error is lost: %v", err)
	}
}

func TestEndlessScriptIsStopped(t *testing.T) {
	for name, script := range map[string]string{
		"loop":        "for (;;) {}",
		"caught loop": "for (;;) { try { for (;;) {} } catch (e) {} finally { for (;;) {} } }",
		"recursion":   "const f = n => n > 0 ? f(n - 1) + f(n - 1) : 0; f(1000)",
		"api calls":   `for (;;) { frameCount("1-10") }`,
	} {
		t.Run(name, func(t *testing.T) {
			library := loadWith(t, jobtype.Options{TimeLimit: briefly, Scripts: folder(map[string]string{
				"t.js": "const JOB_TYPE = { label: 'T' };\nfunction compileJob(job) {\n" + script + "\n}"})})
			_, err := library.Compile(t.Context(), jobtype.Request{Type: "t"})
			if !errors.Is(err, jobtype.ErrTimeLimit) || !strings.Contains(err.Error(), "(t.js:") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCompileEndsWithItsContext(t *testing.T) {
	gone := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	running := make(chan struct{})
	library := loadWith(t, jobtype.Options{
		Parallel: 1,
		Scripts:  folder(map[string]string{"t.js": "const JOB_TYPE = { label: 'T' }; function compileJob(job) { for (;;) alert('running') }"}),
		Log:      slog.New(&signalHandler{Handler: slog.DiscardHandler, signal: running}),
	})
	ended := make(chan error)
	go func() {
		_, err := library.Compile(ctx, jobtype.Request{Type: "t"})
		ended <- err
	}()
	<-running

	// The only slot is taken, so another compile waits until its own context ends.
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := library.Compile(stopped, jobtype.Request{Type: "t"}); !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting compile gave %v", err)
	}
	cancel(gone)
	if err := <-ended; !errors.Is(err, gone) || errors.Is(err, jobtype.ErrTimeLimit) {
		t.Errorf("the running compile gave %v", err)
	}
}

// signalHandler tells once that something was logged.
type signalHandler struct {
	slog.Handler
	once   sync.Once
	signal chan struct{}
}

func (h *signalHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *signalHandler) Handle(context.Context, slog.Record) error {
	h.once.Do(func() { close(h.signal) })
	return nil
}

func TestLogIsBounded(t *testing.T) {
	var log strings.Builder
	library := loadWith(t, jobtype.Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Scripts: folder(map[string]string{"t.js": `const JOB_TYPE = { label: 'T' };
			function compileJob(job) { alert("x".repeat(100000)); for (let i = 0; i < 5000; i++) print("line", i) }`}),
	})
	if _, err := library.Compile(t.Context(), jobtype.Request{Type: "t"}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(log.String(), "\n")
	if len(lines) != 1002 || len(lines[0]) > 5000 {
		t.Errorf("got %d lines, the first with %d bytes", len(lines), len(lines[0]))
	}
	if !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[1], `level=INFO msg="line 0"`) {
		t.Errorf("the first lines are %.80s and %s", lines[0], lines[1])
	}
}

func TestEtagMismatch(t *testing.T) {
	library := loadWith(t, jobtype.Options{})
	found, err := library.Get("echo-sleep-test")
	if err != nil {
		t.Fatal(err)
	}
	request := jobtype.Request{Type: "echo-sleep-test", Settings: map[string]any{"message": "x"}}
	for etag, want := range map[string]error{"": nil, found.Etag: nil, "old": jobtype.ErrEtagMismatch} {
		request.Etag = etag
		if _, err := library.Compile(t.Context(), request); !errors.Is(err, want) {
			t.Errorf("etag %q gave %v", etag, err)
		}
	}
	if _, err := library.Compile(t.Context(), jobtype.Request{Type: "nope"}); !errors.Is(err, jobtype.ErrUnknownJobType) {
		t.Errorf("got %v", err)
	}
}

func TestRequire(t *testing.T) {
	library := load(t, map[string]string{
		"t.js": `const JOB_TYPE = { label: 'T' };
			const a = require("lib/a"), again = require("./lib/a.js");
			function compileJob(job) { job.settings.got = [a.hello(), a === again, a.b.name, require("shared").x] }`,
		"lib/a.js":     `exports.early = 1; const b = require("./b"); exports.b = b; exports.hello = () => "hello " + b.seen;`,
		"lib/b.js":     `const a = require("./a.js"); module.exports = { name: "b", seen: a.early };`,
		"shared.js":    `exports.x = 1; /* no job type */`,
		"broken.js":    `const JOB_TYPE = { label: 'B' }; function compileJob() { require("lib/bad") }`,
		"lib/bad.js":   "let 3 = let",
		"throws.js":    `const JOB_TYPE = { label: 'B' }; function compileJob() { require("lib/throw") }`,
		"lib/throw.js": "throw new Error('inside')",
		"outside.js":   `const JOB_TYPE = { label: 'B' }; function compileJob() { require("../../etc/passwd") }`,
	})
	compiled, err := library.Compile(t.Context(), jobtype.Request{Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"hello 1", true, "b", 1.0}, compiled.Settings["got"]); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	for name, says := range map[string]string{
		"broken": "lib/bad.js:1:5", "throws": "inside (lib/throw.js:1:7)", "outside": "requires \"../../etc/passwd\"",
	} {
		if _, err := library.Compile(t.Context(), jobtype.Request{Type: name}); !errors.Is(err, jobtype.ErrCompile) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s gave %v, want %q", name, err, says)
		}
	}
	if _, err := library.Get("shared"); !errors.Is(err, jobtype.ErrUnknownJobType) {
		t.Errorf("a module became a job type: %v", err)
	}
}

func TestCompileIsReproducible(t *testing.T) {
	ids := func() (list []string) {
		var n byte
		library := loadWith(t, jobtype.Options{NewID: func() uuid.UUID {
			n++
			return uuid.UUID{15: n}
		}})
		compiled, err := library.Compile(t.Context(), jobtype.Request{
			Type: "echo-sleep-test", Settings: map[string]any{"message": "x", "sleep_repeats": 3}})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range compiled.Tasks {
			list = append(list, task.UUID)
		}
		return list
	}
	if diff := cmp.Diff(ids(), ids()); diff != "" {
		t.Errorf("ids differ:\n%s", diff)
	}
}

func TestCompilesDoNotMeet(t *testing.T) {
	library := loadWith(t, jobtype.Options{Parallel: 4, Scripts: folder(map[string]string{"t.js": `
		const JOB_TYPE = { label: 'T' };
		let runs = 0;
		function compileJob(job) { job.settings.runs = ++runs; job.addTask(author.Task(job.name, "misc")) }`})})
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			name := fmt.Sprint("job ", i)
			compiled, err := library.Compile(t.Context(), jobtype.Request{Type: "t", Name: name})
			if err != nil || len(compiled.Tasks) != 1 || compiled.Tasks[0].Name != name || compiled.Settings["runs"] != 1.0 {
				t.Errorf("%s gave %v, %v", name, compiled, err)
			}
		})
		group.Go(func() {
			if err := library.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
