package jobtype

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/dop251/goja"
	"github.com/google/uuid"
)

// defaultTaskPriority is the priority of a task that the script does not change.
const defaultTaskPriority = 50

// authoredTask is a task as a script handles it. It answers property accesses itself, since a job of a million tasks
// makes many of them.
type authoredTask struct {
	engine   *engine
	object   *goja.Object
	id       uuid.UUID
	name     string
	kind     string
	priority int
	commands []*authoredCommand
	depends  []*authoredTask
	// index is the place in the plan once the task was added, else -1.
	index int
}

// authoredCommand is a command as a script handles it.
type authoredCommand struct {
	engine *engine
	name   string
	steps  int
	// parameters is the JSON object as of the command's creation: later changes of the object that the script passed in
	// do not count, so that one object can be used for many commands.
	parameters json.RawMessage
	// view is what the script got when it read the property parameters; its changes do count. Nil means never read.
	view *goja.Object
}

func (e *engine) authorModule() (*goja.Object, error) {
	methods, err := e.object(map[string]any{
		"addCommand":    e.addCommand,
		"addDependency": e.addDependency,
	})
	if err != nil {
		return nil, err
	}
	e.taskMethods = methods
	return e.object(map[string]any{"Task": e.newTask, "Command": e.newCommand})
}

// newTask is author.Task, with or without new.
func (e *engine) newTask(call goja.ConstructorCall) *goja.Object {
	arguments := goja.FunctionCall{Arguments: call.Arguments}
	t := &authoredTask{
		engine:   e,
		name:     e.text(arguments, 0, "the name of a task"),
		kind:     e.text(arguments, 1, "the type of a task"),
		priority: defaultTaskPriority,
		index:    -1,
	}
	if t.name == "" || t.kind == "" {
		panic(e.vm.NewTypeError("author.Task needs a name and a type; neither may be empty"))
	}
	t.id = e.options.NewID()
	t.object = e.vm.NewDynamicObject(t)
	if err := t.object.SetPrototype(e.taskMethods); err != nil {
		e.rethrow(err)
	}
	return t.object
}

// newCommand is author.Command, with or without new.
func (e *engine) newCommand(call goja.ConstructorCall) *goja.Object {
	c := &authoredCommand{engine: e, name: e.text(goja.FunctionCall{Arguments: call.Arguments}, 0, "the name of a command")}
	if c.name == "" {
		panic(e.vm.NewTypeError("author.Command needs a name"))
	}
	c.parameters = json.RawMessage("{}")
	if parameters := call.Argument(1); !goja.IsUndefined(parameters) && !goja.IsNull(parameters) {
		object, ok := parameters.(*goja.Object)
		if !ok {
			panic(e.vm.NewTypeError("the parameters of command %q are not an object", c.name))
		}
		c.parameters = c.marshal(object)
	}
	c.setSteps(call.Argument(2))
	return e.vm.NewDynamicObject(c)
}

func (c *authoredCommand) setSteps(v goja.Value) {
	if goja.IsUndefined(v) {
		return
	}
	steps, ok := wholeNumber(v)
	if !ok || steps < 0 {
		panic(c.engine.vm.NewTypeError("the step count of command %q is %s; it must be a whole number from 0",
			c.name, shorten(v.String())))
	}
	c.steps = steps
}

// marshal writes parameters as a JSON object.
func (c *authoredCommand) marshal(object *goja.Object) json.RawMessage {
	text, err := c.engine.marshalObject(object)
	if err != nil {
		c.engine.rethrow(err)
	}
	if text[0] != '{' {
		panic(c.engine.vm.NewTypeError("the parameters of command %q are not an object with named members", c.name))
	}
	return text
}

// wholeNumber returns a JavaScript number that is a whole number of 32 bits.
func wholeNumber(v goja.Value) (int, bool) {
	switch n := v.Export().(type) {
	case int64:
		return int(n), n >= math.MinInt32 && n <= math.MaxInt32
	case float64:
		return int(n), n == math.Trunc(n) && n >= math.MinInt32 && n <= math.MaxInt32
	}
	return 0, false
}

// task returns the task that a value is, or throws.
func (e *engine) task(v goja.Value, where string) *authoredTask {
	if object, ok := v.(*goja.Object); ok {
		if t, ok := object.Export().(*authoredTask); ok {
			return t
		}
	}
	panic(e.vm.NewTypeError("%s needs a task that author.Task made", where))
}

func (e *engine) addCommand(call goja.FunctionCall) goja.Value {
	t := e.task(call.This, "addCommand")
	if object, ok := call.Argument(0).(*goja.Object); ok {
		if c, ok := object.Export().(*authoredCommand); ok {
			t.commands = append(t.commands, c)
			return goja.Undefined()
		}
	}
	panic(e.vm.NewTypeError("addCommand of task %q needs a command that author.Command made", t.name))
}

func (e *engine) addDependency(call goja.FunctionCall) goja.Value {
	t := e.task(call.This, "addDependency")
	t.depends = append(t.depends, e.task(call.Argument(0), "addDependency"))
	return goja.Undefined()
}

// appendTo appends the command as the scheduler stores it.
func (c *authoredCommand) appendTo(b []byte) []byte {
	if c.view != nil {
		c.parameters = c.marshal(c.view)
	}
	b = quote(append(b, `{"name":`...), c.name)
	b = append(append(b, `,"parameters":`...), c.parameters...)
	b = strconv.AppendInt(append(b, `,"total_step_count":`...), int64(c.steps), 10)
	return append(b, '}')
}

// Get implements [goja.DynamicObject].
func (c *authoredCommand) Get(key string) goja.Value {
	switch key {
	case "name":
		return c.engine.vm.ToValue(c.name)
	case "totalStepCount":
		return c.engine.vm.ToValue(c.steps)
	case "parameters":
		if c.view == nil {
			parsed, err := c.engine.parseJSON(goja.Undefined(), c.engine.vm.ToValue(string(c.parameters)))
			if err != nil {
				c.engine.rethrow(err)
			}
			c.view = parsed.ToObject(c.engine.vm)
		}
		return c.view
	}
	return nil
}

// Set implements [goja.DynamicObject].
func (c *authoredCommand) Set(key string, v goja.Value) bool {
	object, isObject := v.(*goja.Object)
	switch {
	case key == "totalStepCount":
		c.setSteps(v)
	case key == "parameters" && isObject:
		c.view = object
	default:
		panic(c.engine.vm.NewTypeError("command %q: cannot set %q to %s", c.name, key, shorten(v.String())))
	}
	return true
}

// Has implements [goja.DynamicObject].
func (c *authoredCommand) Has(key string) bool {
	return key == "name" || key == "parameters" || key == "totalStepCount"
}

// Delete implements [goja.DynamicObject].
func (c *authoredCommand) Delete(key string) bool { return !c.Has(key) }

// Keys implements [goja.DynamicObject].
func (c *authoredCommand) Keys() []string { return []string{"name", "parameters", "totalStepCount"} }

// Get implements [goja.DynamicObject].
func (t *authoredTask) Get(key string) goja.Value {
	switch key {
	case "name":
		return t.engine.vm.ToValue(t.name)
	case "type":
		return t.engine.vm.ToValue(t.kind)
	case "priority":
		return t.engine.vm.ToValue(t.priority)
	case "uuid":
		return t.engine.vm.ToValue(t.id.String())
	}
	return nil
}

// Set implements [goja.DynamicObject].
func (t *authoredTask) Set(key string, v goja.Value) bool {
	text := v.String()
	switch {
	case key == "priority":
		priority, ok := wholeNumber(v)
		if !ok {
			panic(t.engine.vm.NewTypeError("the priority of task %q is %s; it must be a whole number", t.name, shorten(text)))
		}
		t.priority = priority
	case key == "name" && text != "":
		t.name = text
	case key == "type" && text != "":
		t.kind = text
	default:
		panic(t.engine.vm.NewTypeError("task %q: cannot set %q to %s", t.name, key, shorten(text)))
	}
	return true
}

// Has implements [goja.DynamicObject].
func (t *authoredTask) Has(key string) bool {
	return key == "name" || key == "type" || key == "priority" || key == "uuid"
}

// Delete implements [goja.DynamicObject].
func (t *authoredTask) Delete(key string) bool { return !t.Has(key) }

// Keys implements [goja.DynamicObject].
func (t *authoredTask) Keys() []string { return []string{"name", "type", "priority", "uuid"} }
