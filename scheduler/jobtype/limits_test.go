package jobtype_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hayloft/scheduler/jobtype"
)

// compileSmall runs the body of a compileJob that may let memory grow by 64 MiB.
func compileSmall(t *testing.T, body string) error {
	t.Helper()
	library := loadWith(t, jobtype.Options{
		MemoryLimit: 64 << 20, TimeLimit: time.Minute,
		Scripts: folder(map[string]string{"t.js": "const JOB_TYPE = { label: 'T' }; function compileJob(job) { const x = \"x\".repeat(1e5);\n" + body + "\n}"}),
	})
	_, err := library.Compile(t.Context(), jobtype.Request{Type: "t"})
	return err
}

func TestScriptThatGrowsIsStopped(t *testing.T) {
	for name, body := range map[string]string{
		"text":   `let s = "x"; for (;;) s += s`,
		"list":   `const a = []; for (;;) a.push(x + a.length)`,
		"object": `const o = {}; for (let i = 0; ; i++) o["k" + i] = x + i`,
		"caught": `const a = []; for (;;) { try { for (;;) a.push(x + a.length) } catch (e) {} }`,
		"tasks":  `for (;;) job.addTask(author.Task(x + 1, "t"))`,
		"chunks": `const a = []; for (;;) a.push(frameChunker("1-9999", 1))`,
	} {
		t.Run(name, func(t *testing.T) {
			err := compileSmall(t, body)
			if !errors.Is(err, jobtype.ErrMemoryLimit) || !errors.Is(err, jobtype.ErrCompile) || errors.Is(err, jobtype.ErrTimeLimit) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), "more than 64 MiB") || !strings.Contains(err.Error(), "(t.js:2:") {
				t.Errorf("the message is %v", err)
			}
		})
	}
}

func TestOneStepMakesNothingEndless(t *testing.T) {
	for body, says := range map[string]string{
		`"x".repeat(2 ** 40)`:                           "a text of 1048576 MiB, the limit is 64 MiB",
		`"é".repeat(2 ** 26)`:                           "a text of 128 MiB",
		`"x".padStart(2 ** 40)`:                         "a text of",
		`"x".padEnd(2 ** 40)`:                           "a text of",
		`new Array(2 ** 32 - 1).fill(0)`:                "a list of 4294967295, the limit is 1000000",
		`new Array(1e9).join("x")`:                      "a list of",
		`Array.from({ length: 1e12 })`:                  "a list of",
		`new ArrayBuffer(2 ** 40)`:                      "a buffer of",
		`new Uint8Array(2 ** 40)`:                       "a buffer of",
		`new Float64Array({ length: 1e9 })`:             "a list of",
		`Uint8Array.from({ length: 1e12 })`:             "a buffer of",
		`class A extends Int32Array {}; new A(2 ** 40)`: "a buffer of",
	} {
		t.Run(body, func(t *testing.T) {
			err := compileSmall(t, body)
			if !errors.Is(err, jobtype.ErrMemoryLimit) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "(t.js:2:") {
				t.Errorf("got %v, want a sentence with %q", err, says)
			}
		})
	}
}

// TestBoundedFunctionsAreStillThemselves checks that limits change nothing below them.
func TestBoundedFunctionsAreStillThemselves(t *testing.T) {
	for expression, want := range map[string]string{
		`["ab".repeat(2), "é".repeat(0), "a".padStart(3, "-"), "a".padEnd(3)]`:                                                                              `["abab","","--a","a  "]`,
		`[new Array(2).fill(7), [1, [2, 3]].join("-"), Array.from("añ"), Array.from(new Set([1]), x => x + 1)]`:                                             `[[7,7],"1-2,3",["a","ñ"],[2]]`,
		`Array.from({ length: 2 }, (_, i) => i)`:                                                                                                            `[0,1]`,
		`Array.from(Uint8Array.of(1, 2).map(x => x * 2))`:                                                                                                   `[2,4]`,
		`[new Uint8Array(new ArrayBuffer(8), 2, 3).length, new ArrayBuffer(8).byteLength, new Uint8Array().length]`:                                         `[3,8,0]`,
		`[new Int8Array(1) instanceof Int8Array, [] instanceof Int8Array, 3 instanceof Int8Array]`:                                                          `[true,false,false]`,
		`(() => { class A extends Uint8Array {}; const a = new A(2); return [a instanceof A, a instanceof Uint8Array, new Uint8Array(1) instanceof A] })()`: `[true,true,false]`,
		`["repeat" in String.prototype, Object.keys(String.prototype).length, Object.keys(Array.prototype).length]`:                                         `[true,0,0]`,
		`(() => { try { "x".repeat(-1) } catch (e) { return [e instanceof RangeError, e.name] } })()`:                                                       `[true,"RangeError"]`,
		`(() => { try { "x".repeat(2 ** 50) } catch (e) { return "caught" } })()`:                                                                           `"caught"`,
	} {
		if got := evaluate(t, expression, jobtype.Request{}); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
}

func TestGrowthOfOneScriptEndsWithIt(t *testing.T) {
	library := loadWith(t, jobtype.Options{MemoryLimit: 64 << 20, TimeLimit: time.Minute, Parallel: 1, Scripts: folder(map[string]string{
		"grows.js": `const JOB_TYPE = { label: "G" }; function compileJob() { const a = [], x = "x".repeat(1e5); for (;;) a.push(x + a.length) }`,
		"good.js":  minimal,
	})})
	for range 3 {
		if _, err := library.Compile(t.Context(), jobtype.Request{Type: "grows"}); !errors.Is(err, jobtype.ErrMemoryLimit) {
			t.Fatalf("got %v", err)
		}
		if _, err := library.Compile(t.Context(), jobtype.Request{Type: "good"}); err != nil {
			t.Fatalf("a script after one that grew: %v", err)
		}
	}
}
