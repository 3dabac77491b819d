package frame

import (
	"fmt"
	"slices"
)

// valued lists Blender's other options that take one value, so that a value is never mistaken for an option.
var valued = map[string]bool{
	"-S": true, "--scene": true, "-P": true, "--python": true, "--python-expr": true, "--python-text": true, "-E": true, "--engine": true,
	"-t": true, "--threads": true, "-x": true, "--use-extension": true, "--addons": true, "--log": true, "--log-level": true, "--log-file": true,
	"--python-exit-code": true, "--debug-value": true, "--verbose": true, "--app-template": true, "-s": true, "--frame-start": true,
	"-e": true, "--frame-end": true, "-j": true, "--frame-jump": true, "--command": true,
}

// names maps spellings of the three options that matter here to one name each.
var names = map[string]string{
	"-o": "output", "--render-output": "output",
	"-F": "format", "--render-format": "format",
	"-f": "frames", "--render-frame": "frames",
}

// Request is what a command line asks Blender to render.
type Request struct {
	Pattern Pattern
	Frames  []int // ascending, never empty

	args              []string
	outputAt, frameAt int
}

// ParseArgs finds output, format and frames in the arguments that follow the .blend file. Each must be given exactly
// once and the frames last, since Blender obeys its arguments in order. Otherwise the answer is ErrUnmanaged.
func ParseArgs(args []string) (Request, error) {
	at := map[string]int{}
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		name, ours := names[args[i]]
		switch {
		case args[i] == "-a" || args[i] == "--render-anim":
			return Request{}, fmt.Errorf("%s renders a range that only the scene knows: %w", args[i], ErrUnmanaged)
		case ours:
			if _, twice := at[name]; twice || i+1 == len(args) {
				return Request{}, fmt.Errorf("%s is given twice or without a value: %w", args[i], ErrUnmanaged)
			}
			at[name] = i + 1
			i++
		case valued[args[i]]:
			i++
		}
	}
	if len(at) != 3 || at["output"] > at["frames"] || at["format"] > at["frames"] {
		return Request{}, fmt.Errorf("output, format and frames are not given in this order: %w", ErrUnmanaged)
	}
	pattern, err := ParsePattern(args[at["output"]], args[at["format"]])
	if err != nil {
		return Request{}, err
	}
	frames, err := ParseList(args[at["frames"]])
	if err != nil {
		return Request{}, err
	}
	return Request{Pattern: pattern, Frames: frames, args: args, outputAt: at["output"], frameAt: at["frames"]}, nil
}

// MayRender reports whether arguments hold an option that concerns output, format or frames.
func MayRender(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return names[a] != "" || a == "-a" || a == "--render-anim" })
}

// Args gives the same command line, writing into another directory and rendering only some of the frames.
func (r Request) Args(dir string, frames []int) []string {
	args := slices.Clone(r.args)
	args[r.outputAt] = r.Pattern.Output(dir)
	args[r.frameAt] = FormatList(frames)
	return args
}
