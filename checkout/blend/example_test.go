package blend_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"hayloft/checkout/blend"
)

// List the images of a file with the paths that they are stored with.
func ExampleOpen() {
	file, err := blend.Open("testdata/small.blend")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	fmt.Printf("saved by Blender %s, %s\n", file.Header(), file.Compression())
	for block := range file.Blocks() {
		if block.Code() != "IM" {
			continue
		}
		image, ok, err := block.Struct()
		if err != nil || !ok {
			continue
		}
		fmt.Println(image.Text("id.name"), image.Text("filepath"))
	}
	// Unordered output:
	// saved by Blender 3.4, zstd
	// IMwood //textures/wood.png
	// IMsky //textures/sky.png
}

// Follow a pointer from an object to its mesh, and read an array.
func ExampleStruct_Follow() {
	file, err := blend.Open("testdata/small.blend")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	for block := range file.Blocks() {
		if block.Type() != "Object" {
			continue
		}
		object, _, err := block.Struct()
		if err != nil {
			fmt.Println(err)
			return
		}
		if data, ok := object.Follow("data"); ok {
			mesh, _, err := data.Struct()
			fmt.Println(object.Text("id.name"), "shows", data.Type(), mesh.Text("id.name"), err)
		}
		fmt.Println("at", object.Float("loc[0]"), object.Float("loc[1]"), object.Float("loc[2]"))
	}
	// Output:
	// OBCube shows Mesh MECube <nil>
	// at 1 2 3
}

// Say which files a scene lacks, and which datablocks want them.
func ExampleTrace() {
	report, err := blend.Trace(context.Background(), []string{"testdata/small.blend"}, blend.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, dependency := range report.Dependencies {
		for _, path := range dependency.Missing {
			fmt.Println(dependency.Datablock, "lacks", filepath.Base(path))
		}
	}
	// Unordered output:
	// IMwood lacks wood.png
	// IMsky lacks sky.png
}

// Write a copy in which all images lie in another folder.
func ExampleRewrite() {
	copied, err := os.CreateTemp("", "*.blend")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(copied.Name())
	defer copied.Close()
	changed, err := blend.Rewrite(context.Background(), "testdata/small.blend", copied, func(d blend.Dependency) (string, bool) {
		return "//../shared/" + filepath.Base(d.Resolved), d.Kind == "image"
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := blend.Trace(context.Background(), []string{copied.Name()}, blend.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(changed, "changed")
	for _, d := range report.Dependencies {
		fmt.Println(d.Datablock, d.Written)
	}
	// Unordered output:
	// 2 changed
	// IMwood //../shared/wood.png
	// IMsky //../shared/sky.png
}
