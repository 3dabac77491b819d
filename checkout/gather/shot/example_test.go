package shot_test

import (
	"context"
	"fmt"

	"hayloft/checkout/gather/shot"
)

// List what a scene lacks before anything is sent.
func ExampleGather() {
	s, err := shot.Gather(context.Background(), "../../blend/testdata/small.blend", shot.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range s.Tree.Files {
		fmt.Println("goes along:", f.Path)
	}
	for _, m := range s.Missing {
		fmt.Println(m.Datablock, "lacks", m.Path)
	}
	// Output:
	// goes along: small.blend
	// IMsky lacks //textures/sky.png
	// IMwood lacks //textures/wood.png
}
