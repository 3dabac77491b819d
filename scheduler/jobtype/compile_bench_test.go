package jobtype_test

import (
	"testing"
	"time"

	"hayloft/scheduler/jobtype"
)

// BenchmarkCompile50000 compiles the largest job that the project promises a time for: 50,000 frames, a task each.
func BenchmarkCompile50000(b *testing.B) {
	library, err := jobtype.Load(jobtype.Options{})
	if err != nil {
		b.Fatal(err)
	}
	request := jobtype.Request{
		JobID: "5a5a6e7e-9a4f-4a32-8cd5-6c9b4f1b4a10", Name: "shot 010", Type: "simple-blender-render", Priority: 50,
		Created: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Settings: map[string]any{
			"frames": "1-50000", "blendfile": "{jobs}/shot/scene.blend", "render_output_root": "/render", "scene": "Scene",
		},
	}
	b.ReportAllocs()
	for b.Loop() {
		compiled, err := library.Compile(b.Context(), request)
		if err != nil {
			b.Fatal(err)
		}
		if len(compiled.Tasks) != 50_001 {
			b.Fatalf("got %d tasks", len(compiled.Tasks))
		}
	}
}
