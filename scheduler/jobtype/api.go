package jobtype

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// timestampLayout is the form of formatTimestampLocal: fit for a file name, and it sorts by time.
const timestampLayout = "2006-01-02_150405"

// function is a native function as scripts call it.
type function = func(goja.FunctionCall) goja.Value

// defineAPI gives the script all that it may call (fact sheet of the Flamenco protocol, section 8).
func (e *engine) defineAPI() error {
	author, err := e.authorModule()
	if err != nil {
		return err
	}
	paths, err := e.object(map[string]any{
		"basename": e.pathFunction(pathBase),
		"dirname":  e.pathFunction(pathDir),
		"stem":     e.pathFunction(pathStem),
		"join":     e.joinPath,
	})
	if err != nil {
		return err
	}
	process, err := e.object(map[string]any{
		"platform": runtime.GOOS,
		"cwd":      func(goja.FunctionCall) goja.Value { return e.vm.ToValue(e.options.WorkingDir) },
	})
	if err != nil {
		return err
	}
	e.native = map[string]*goja.Object{"author": author, "path": paths, "process": process}
	module := e.newModule()
	globals := map[string]any{
		"author":               author,
		"path":                 paths,
		"process":              process,
		"print":                e.logger(e.options.Log.Info),
		"alert":                e.logger(e.options.Log.Warn),
		"frameChunker":         e.frameChunker,
		"frameCount":           e.frameCount,
		"formatTimestampLocal": e.formatTimestampLocal,
		"shellSplit":           e.shellSplit,
		"require":              e.requireFrom(e.file),
		"module":               module,
		"exports":              module.Get("exports"),
	}
	for name, value := range globals {
		if err := e.vm.Set(name, value); err != nil {
			return fmt.Errorf("define %s for scripts: %w", name, err)
		}
	}
	return nil
}

func (e *engine) object(members map[string]any) (*goja.Object, error) {
	o := e.vm.NewObject()
	for name, value := range members {
		if err := o.Set(name, value); err != nil {
			return nil, fmt.Errorf("define %s for scripts: %w", name, err)
		}
	}
	return o, nil
}

// text returns an argument that must be a string.
func (e *engine) text(call goja.FunctionCall, index int, what string) string {
	v := call.Argument(index)
	if goja.IsUndefined(v) || goja.IsNull(v) {
		panic(e.vm.NewTypeError("%s is missing; give a text", what))
	}
	return v.String()
}

func (e *engine) pathFunction(f func(string) string) function {
	return func(call goja.FunctionCall) goja.Value {
		return e.vm.ToValue(f(e.text(call, 0, "the path")))
	}
}

func (e *engine) joinPath(call goja.FunctionCall) goja.Value {
	parts := make([]string, len(call.Arguments))
	for i := range call.Arguments {
		parts[i] = e.text(call, i, "a part of the path")
	}
	return e.vm.ToValue(pathJoin(parts...))
}

func (e *engine) frames(call goja.FunctionCall) FrameRange {
	r, err := ParseFrames(e.text(call, 0, "the frame range"))
	if err != nil {
		e.throw(err)
	}
	return r
}

func (e *engine) frameCount(call goja.FunctionCall) goja.Value {
	return e.vm.ToValue(e.frames(call).Count())
}

func (e *engine) frameChunker(call goja.FunctionCall) goja.Value {
	r := e.frames(call)
	size := call.Argument(1).ToInteger()
	if size < 1 {
		e.throw(fmt.Errorf("the chunk size is %s; it must be at least 1", shorten(call.Argument(1).String())))
	}
	size = min(size, MaxFrames)
	count := (r.Count() + int(size) - 1) / int(size)
	if count > maxTasks {
		e.throw(fmt.Errorf("chunks of %d make %d parts, at most %d are allowed; choose larger chunks", size, count, maxTasks))
	}
	chunks := make([]any, 0, count)
	for chunk := range r.Chunks(int(size)) {
		chunks = append(chunks, e.vm.ToValue(chunk.String()))
	}
	return e.vm.NewArray(chunks...)
}

func (e *engine) formatTimestampLocal(call goja.FunctionCall) goja.Value {
	at, ok := call.Argument(0).Export().(time.Time)
	if !ok {
		panic(e.vm.NewTypeError("formatTimestampLocal needs a date, such as job.created"))
	}
	return e.vm.ToValue(at.In(e.options.Location).Format(timestampLayout))
}

func (e *engine) shellSplit(call goja.FunctionCall) goja.Value {
	words, err := splitShell(e.text(call, 0, "the text to split"))
	if err != nil {
		e.throw(fmt.Errorf("split %q: %w", shorten(call.Argument(0).String()), err))
	}
	items := make([]any, len(words))
	for i, word := range words {
		items[i] = word
	}
	return e.vm.NewArray(items...)
}

// logger is print or alert. Lines beyond the limit are dropped, after one line that says so.
func (e *engine) logger(log func(string, ...any)) function {
	return func(call goja.FunctionCall) goja.Value {
		if e.logLines++; e.logLines > maxLogLines {
			if e.logLines == maxLogLines+1 {
				log("job type script prints too much; further lines are dropped", "script", e.file.name)
			}
			return goja.Undefined()
		}
		words := make([]string, len(call.Arguments))
		for i, v := range call.Arguments {
			words[i] = v.String()
		}
		line := strings.Join(words, " ")
		if len(line) > maxLogLine {
			line = strings.ToValidUTF8(line[:maxLogLine], "") + "…"
		}
		log(line, "script", e.file.name)
		return goja.Undefined()
	}
}

func (e *engine) newModule() *goja.Object {
	module := e.vm.NewObject()
	// A fresh plain object takes any property.
	_ = module.Set("exports", e.vm.NewObject())
	return module
}

// requireFrom is the function require as one file sees it. A file runs once; files that require each other get what the
// other one has exported so far.
func (e *engine) requireFrom(from *source) function {
	return func(call goja.FunctionCall) goja.Value {
		wanted := e.text(call, 0, "the module name")
		if module, ok := e.native[wanted]; ok {
			return module
		}
		file, ok := e.shelf.source.resolve(from.name, wanted)
		if !ok {
			e.throw(fmt.Errorf("%s requires %q, which is neither author, path or process nor a script in the scripts folder",
				path.Base(from.name), wanted))
		}
		if module, loaded := e.modules[file.name]; loaded {
			return module.Get("exports")
		}
		module := e.newModule()
		e.modules[file.name] = module
		e.runModule(file, module)
		return module.Get("exports")
	}
}

func (e *engine) runModule(file *source, module *goja.Object) {
	program, err := file.module()
	if err != nil {
		e.throw(err)
	}
	wrapper, err := e.vm.RunProgram(program)
	if err != nil {
		e.rethrow(err)
	}
	body, ok := goja.AssertFunction(wrapper)
	if !ok {
		e.throw(fmt.Errorf("%s is not one script; look for a brace too many", file.name))
	}
	exports := module.Get("exports")
	if _, err := body(exports, exports, e.vm.ToValue(e.requireFrom(file)), module); err != nil {
		e.rethrow(err)
	}
}

// rethrow passes on what a script threw inside of a native function, with the place where it did.
func (e *engine) rethrow(err error) {
	var thrown *goja.Exception
	if errors.As(err, &thrown) {
		panic(thrown)
	}
	panic(err)
}
