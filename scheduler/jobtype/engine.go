package jobtype

import (
	"context"
	"errors"
	"fmt"

	"github.com/dop251/goja"
)

const (
	// maxCallDepth is the number of nested calls in a script.
	maxCallDepth = 2000
	// maxLogLines and maxLogLine (bytes) bound what one run may print.
	maxLogLines = 1000
	maxLogLine  = 4 << 10
)

// engine is one run of one script, with the API that the script sees. It belongs to one goroutine.
type engine struct {
	vm      *goja.Runtime
	options Options
	shelf   *shelf
	file    *source
	plan    *plan
	// modules holds the module object of each file that was required, by path.
	modules map[string]*goja.Object
	// native are the modules that are part of the API.
	native map[string]*goja.Object
	// taskMethods is the prototype of all tasks.
	taskMethods *goja.Object
	// parseJSON is JSON.parse as it was before the script could replace it.
	parseJSON goja.Callable
	// scratch is where JSON grows before it is copied at its right size.
	scratch  []byte
	logLines int
}

// run starts an engine, runs the script and then use, all within the limits of time and memory and in one of the
// library's slots.
func (l *Library) run(ctx context.Context, s *shelf, file *source, use func(*engine) error) error {
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return fmt.Errorf("wait to run script %s: %w", file.name, context.Cause(ctx))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.options.TimeLimit, ErrTimeLimit)
	defer cancel()
	ctx, release := limitHeap(ctx, l.options.MemoryLimit)
	defer release()

	program, err := file.script()
	if err != nil {
		return err
	}
	e, err := newEngine(l.options, s, file)
	if err != nil {
		return fmt.Errorf("start script %s: %w", file.name, err)
	}
	stop := context.AfterFunc(ctx, func() { e.vm.Interrupt(context.Cause(ctx)) })
	defer stop()
	if _, err = e.vm.RunProgram(program); err == nil {
		err = use(e)
	}
	return e.explain(ctx, err)
}

func newEngine(options Options, s *shelf, file *source) (*engine, error) {
	e := &engine{
		vm:      goja.New(),
		options: options,
		shelf:   s,
		file:    file,
		plan:    &plan{},
		modules: map[string]*goja.Object{},
	}
	e.vm.SetMaxCallStackSize(maxCallDepth)
	e.vm.SetTimeSource(options.Now)
	e.parseJSON, _ = goja.AssertFunction(e.vm.Get("JSON").ToObject(e.vm).Get("parse"))
	if err := e.boundBuiltins(); err != nil {
		return nil, err
	}
	return e, e.defineAPI()
}

// explain turns what the engine returned into an error that says what went wrong, and where in which file.
func (e *engine) explain(ctx context.Context, err error) error {
	var interrupted *goja.InterruptedError
	var thrown *goja.Exception
	var overflow *goja.StackOverflowError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &interrupted):
		return e.explainStop(context.Cause(ctx), interrupted)
	case errors.As(err, &overflow):
		failure := e.located(overflow.Stack(), ErrCompile)
		failure.Message = fmt.Sprintf("calls are nested deeper than %d", maxCallDepth)
		return failure
	case errors.As(err, &thrown):
		var inner *ScriptError
		if errors.As(thrown.Unwrap(), &inner) {
			return inner
		}
		failure := e.located(thrown.Stack(), ErrCompile)
		failure.Message = e.message(thrown.Value())
		if cause := thrown.Unwrap(); cause != nil {
			failure.cause = append(failure.cause, cause)
		}
		return failure
	}
	return err
}

// explainStop is for a script that was stopped from outside.
func (e *engine) explainStop(cause error, interrupted *goja.InterruptedError) error {
	switch {
	case errors.Is(cause, ErrTimeLimit):
		failure := e.located(interrupted.Stack(), ErrTimeLimit)
		failure.Message = fmt.Sprintf("%v: it did not end within %v and was stopped; look for a loop without an end",
			ErrTimeLimit, e.options.TimeLimit)
		return failure
	case errors.Is(cause, ErrMemoryLimit):
		failure := e.located(interrupted.Stack(), ErrMemoryLimit)
		failure.Message = fmt.Sprintf("%v: more than %d MiB, and was stopped; look for a text or list that grows without an end",
			ErrMemoryLimit, e.options.MemoryLimit>>20)
		failure.cause = append(failure.cause, ErrCompile)
		return failure
	}
	return fmt.Errorf("stop script %s: %w", e.file.name, cause)
}

// located makes a ScriptError at the innermost place of the stack that lies in a script and not in the engine.
func (e *engine) located(stack []goja.StackFrame, meaning error) *ScriptError {
	failure := &ScriptError{File: e.file.name, cause: []error{meaning}}
	for _, frame := range stack {
		if p := frame.Position(); p.Line > 0 {
			failure.File, failure.Line, failure.Column = p.Filename, p.Line, p.Column
			if p.Line == 1 && p.Filename != e.file.name {
				failure.Column -= len(modulePrefix)
			}
			break
		}
	}
	return failure
}

// message is what a person should read of a thrown value. The names Error and GoError carry no information and are left
// out.
func (e *engine) message(thrown goja.Value) string {
	object, ok := thrown.(*goja.Object)
	if !ok {
		return thrown.String()
	}
	if object.ClassName() != "Error" {
		return describe(object.Export())
	}
	message := object.Get("message").String()
	if name := object.Get("name").String(); name != "Error" && name != "GoError" {
		return name + ": " + message
	}
	return message
}

// declaration returns the JSON of JOB_TYPE, empty where there is none, and whether compileJob is a function. Both are
// asked for in JavaScript, since top-level const and class names are no properties of the global object.
func (e *engine) declaration() (jobType string, hasCompile bool, err error) {
	value, err := e.vm.RunProgram(askDeclaration)
	if err != nil {
		return "", false, err
	}
	answer := value.ToObject(e.vm)
	if declared := answer.Get("jobType"); !goja.IsUndefined(declared) {
		jobType = declared.String()
	}
	return jobType, answer.Get("hasCompile").ToBoolean(), nil
}

var (
	askDeclaration = goja.MustCompile("hayloft:declaration", `({
		jobType: typeof JOB_TYPE === "undefined" ? undefined : JSON.stringify(JOB_TYPE),
		hasCompile: typeof compileJob === "function",
	})`, true)
	askCompileJob = goja.MustCompile("hayloft:compile", `compileJob`, true)
)

// throw ends the running native function with a JavaScript exception that carries err.
func (e *engine) throw(err error) {
	panic(e.vm.NewGoError(err))
}
