package jobtype

import (
	"errors"
	"fmt"

	"github.com/dop251/goja"
)

// Limits of what the engine's own functions work on in one go; no job has use for more.
const (
	maxListLength = maxTasks
	// maxStepBytes is the size of one text or buffer.
	maxStepBytes = 64 << 20
)

// boundBuiltins puts limits on the functions of the language that make something of any size in one single step. No
// interrupt reaches the engine within such a step, and memory that the system does not give ends the whole process.
func (e *engine) boundBuiltins() error {
	text, list := e.vm.Get("String").ToObject(e.vm), e.vm.Get("Array").ToObject(e.vm)
	textMethods, listMethods := text.Get("prototype").ToObject(e.vm), list.Get("prototype").ToObject(e.vm)
	for _, bounded := range []struct {
		object *goja.Object
		name   string
		check  func(goja.FunctionCall)
	}{
		{textMethods, "repeat", func(call goja.FunctionCall) {
			e.checkSize(float64(len(call.This.String()))*call.Argument(0).ToFloat(), "text")
		}},
		{textMethods, "padStart", e.checkPadding},
		{textMethods, "padEnd", e.checkPadding},
		{listMethods, "fill", func(call goja.FunctionCall) { e.checkLength(call.This) }},
		{listMethods, "join", func(call goja.FunctionCall) { e.checkLength(call.This) }},
		{list, "from", func(call goja.FunctionCall) { e.checkLength(call.Argument(0)) }},
	} {
		if err := e.bound(bounded.object, bounded.name, bounded.check); err != nil {
			return err
		}
	}
	return e.boundBuffers()
}

// bound runs a check before each call of a function.
func (e *engine) bound(object *goja.Object, name string, check func(goja.FunctionCall)) error {
	original, ok := goja.AssertFunction(object.Get(name))
	if !ok {
		return fmt.Errorf("limit %s for scripts: it is no function", name)
	}
	checked := func(call goja.FunctionCall) goja.Value {
		check(call)
		result, err := original(call.This, call.Arguments...)
		if err != nil {
			e.rethrow(err)
		}
		return result
	}
	err := object.DefineDataProperty(name, e.vm.ToValue(checked), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	if err != nil {
		return fmt.Errorf("limit %s for scripts: %w", name, err)
	}
	return nil
}

// boundBuffers runs a check before each new ArrayBuffer or typed array.
func (e *engine) boundBuffers() error {
	construct, ok := goja.AssertFunction(e.vm.Get("Reflect").ToObject(e.vm).Get("construct"))
	if !ok {
		return errors.New("limit buffers for scripts: there is no Reflect.construct")
	}
	for _, name := range []string{
		"ArrayBuffer", "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array",
		"Uint32Array", "Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array",
	} {
		constructor, ok := e.vm.Get(name).(*goja.Object)
		if !ok {
			return fmt.Errorf("limit %s for scripts: there is none", name)
		}
		// The engine does not take a proxy for the right side of instanceof.
		err := constructor.DefineDataPropertySymbol(goja.SymHasInstance, e.vm.ToValue(e.hasInstance),
			goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
		if err != nil {
			return fmt.Errorf("limit %s for scripts: %w", name, err)
		}
		checked := e.vm.NewProxy(constructor, &goja.ProxyTrapConfig{
			Construct: func(target *goja.Object, arguments []goja.Value, newTarget *goja.Object) *goja.Object {
				list := make([]any, len(arguments))
				for i, argument := range arguments {
					list[i] = argument
				}
				if len(arguments) > 0 {
					e.checkBuffer(arguments[0])
				}
				made, err := construct(goja.Undefined(), target, e.vm.NewArray(list...), newTarget)
				if err != nil {
					e.rethrow(err)
				}
				return made.ToObject(e.vm)
			},
		})
		if err := e.vm.Set(name, checked); err != nil {
			return fmt.Errorf("limit %s for scripts: %w", name, err)
		}
	}
	return nil
}

// hasInstance is OrdinaryHasInstance (ECMA-262, 7.3.22).
func (e *engine) hasInstance(call goja.FunctionCall) goja.Value {
	object, isObject := call.Argument(0).(*goja.Object)
	if !isObject {
		return e.vm.ToValue(false)
	}
	wanted := call.This.ToObject(e.vm).Get("prototype")
	for object = object.Prototype(); object != nil; object = object.Prototype() {
		if object.SameAs(wanted) {
			return e.vm.ToValue(true)
		}
	}
	return e.vm.ToValue(false)
}

// checkBuffer takes the first argument of a buffer's constructor: a length, or what has one.
func (e *engine) checkBuffer(v goja.Value) {
	if object, ok := v.(*goja.Object); ok {
		e.checkLength(object)
		return
	}
	const largestItem = 8
	e.checkSize(v.ToFloat()*largestItem, "buffer")
}

func (e *engine) checkPadding(call goja.FunctionCall) {
	e.checkSize(call.Argument(0).ToFloat(), "text")
}

// checkSize throws where something would be too large.
func (e *engine) checkSize(bytes float64, what string) {
	if bytes > maxStepBytes {
		panic(e.vm.NewGoError(fmt.Errorf("%w: a %s of %.0f MiB, the limit is %d MiB", ErrMemoryLimit, what,
			bytes/(1<<20), maxStepBytes>>20)))
	}
}

func (e *engine) checkLength(v goja.Value) {
	object, ok := v.(*goja.Object)
	if !ok {
		return
	}
	length := object.Get("length")
	if length == nil {
		return
	}
	if n := length.ToFloat(); n > maxListLength {
		panic(e.vm.NewGoError(fmt.Errorf("%w: a list of %.0f, the limit is %d", ErrMemoryLimit, n, maxListLength)))
	}
}
