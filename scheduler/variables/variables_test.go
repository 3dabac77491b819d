package variables_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/scheduler/variables"
)

func TestResolve(t *testing.T) {
	set := variables.Set{
		"blender": {Values: []variables.Value{
			{Platforms: []string{"windows"}, Value: "blender.exe"},
			{Value: "blender"},
			{Platforms: []string{"linux"}, Audience: variables.ForWorkers, Value: "/opt/blender/blender"},
		}},
		"shared": {IsTwoWay: true, Values: []variables.Value{
			{Platforms: []string{"linux", "darwin"}, Value: "/mnt/shared/"},
			{Platforms: []string{"windows"}, Value: `S:\`},
		}},
		"scratch": {Values: []variables.Value{
			{Platforms: []string{"linux"}, Value: "/tmp/"},
			{Audience: variables.ForUsers, Value: "~"},
			{Audience: variables.ForAll, Platforms: []string{"all"}, Value: "first"},
			{Audience: variables.ForAll, Platforms: []string{"all"}, Value: "second"},
		}},
	}
	for _, test := range []struct {
		audience variables.Audience
		platform string
		want     map[string]string
	}{
		{variables.ForWorkers, "linux", map[string]string{
			"blender": "/opt/blender/blender", "shared": "/mnt/shared", "scratch": "/tmp/"}},
		{variables.ForUsers, "linux", map[string]string{
			"blender": "blender", "shared": "/mnt/shared", "scratch": "/tmp/"}},
		{variables.ForWorkers, "windows", map[string]string{
			"blender": "blender.exe", "shared": "S:", "scratch": "second"}},
		{variables.ForUsers, "plan9", map[string]string{"blender": "blender", "scratch": "~"}},
	} {
		t.Run(string(test.audience)+" on "+test.platform, func(t *testing.T) {
			if diff := cmp.Diff(test.want, set.Resolve(test.audience, test.platform)); diff != "" {
				t.Errorf("resolved (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	set := variables.Defaults()
	if err := set.Validate(); err != nil {
		t.Fatal(err)
	}
	for platform, blender := range map[string]string{"linux": "blender", "darwin": "blender", "windows": "blender.exe"} {
		want := map[string]string{"blender": blender, "blenderArgs": "-b -y"}
		if diff := cmp.Diff(want, set.Resolve(variables.ForWorkers, platform)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", platform, diff)
		}
	}
}

func TestWithReplacesAConfiguredVariable(t *testing.T) {
	set := variables.Set{"jobs": {IsTwoWay: true, Values: []variables.Value{{Platforms: []string{"linux"}, Value: "/mine"}}}}
	extended := set.With("jobs", "/farm/jobs")
	if got := extended.Resolve(variables.ForWorkers, "linux")["jobs"]; got != "/farm/jobs" {
		t.Errorf("jobs is %q in the copy", got)
	}
	if got := set.Resolve(variables.ForWorkers, "linux")["jobs"]; got != "/mine" {
		t.Errorf("jobs is %q in the original", got)
	}
}

func TestValidate(t *testing.T) {
	some := []variables.Value{{Value: "x"}}
	for name, set := range map[string]variables.Set{
		"empty name":       {"": {Values: some}},
		"braces in name":   {"a{b}": {Values: some}},
		"no values":        {"a": {}},
		"unknown audience": {"a": {Values: []variables.Value{{Audience: "robots", Value: "x"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := set.Validate(); !errors.Is(err, variables.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOverridesOfAWorker(t *testing.T) {
	set := variables.Set{
		"blender": {Values: []variables.Value{
			{Value: "blender"},
			{Value: "/opt/blender-4/blender", Workers: []string{"atlas", "titan"}},
			{Value: `C:\blender\blender.exe`, Workers: []string{"atlas"}, Platforms: []string{"windows"}},
			{Value: "for people", Workers: []string{"atlas"}, Audience: variables.ForUsers},
		}},
		"other": {Values: []variables.Value{{Value: "same"}}},
	}
	for _, c := range []struct{ worker, platform, want string }{
		{"atlas", "linux", "/opt/blender-4/blender"},
		{"titan", "windows", "/opt/blender-4/blender"},
		{"atlas", "windows", `C:\blender\blender.exe`},
		{"nobody", "linux", "blender"},
		{"", "linux", "blender"},
	} {
		values := set.For(variables.ForWorkers, c.platform, set.Overrides(c.worker, c.platform)).Values()
		if values["blender"] != c.want || values["other"] != "same" {
			t.Errorf("%s on %s: %v, want blender = %s", c.worker, c.platform, values, c.want)
		}
	}
}
