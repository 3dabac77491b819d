package blend

// Options of [Trace].
type Options struct {
	// Frames are those that will be rendered. None means all frames of all scenes of the files that are traced.
	Frames []Range
	// Libraries say where .blend files are that are not under the paths that lead to them here: by these paths, as
	// Dependency.Resolved has them.
	Libraries map[string]string
}

// Report is everything that .blend files need. All paths are absolute and lexically clean; links are not resolved.
type Report struct {
	// Files exist and are needed, each once, in ascending order. The traced files themselves are not among them, unless
	// a library links back to one.
	Files []string `json:"files"`
	// Missing are needed and do not exist, each once, in ascending order. A path of another platform is as written. Of a
	// sequence or of tiles without any file, the path that stands for them is among them: "/tex/wall.<UDIM>.png".
	// So is the folder of a point cache.
	Missing []string `json:"missing"`
	// Dependencies are the single findings that Files and Missing sum up.
	Dependencies []Dependency `json:"dependencies"`
	// Features are what a Blender must be able to do, as far as the files tell: "blender:3.4" (the highest version that
	// saved one of them), "engine:CYCLES", "denoiser:openimagedenoise", "gpu", "alembic", "usd", "openvdb", "osl",
	// "fluid", "ocean".
	Features []string `json:"features"`
	// Warnings are sentences for people: datablocks that a library does not have, libraries that cannot be read.
	Warnings []string `json:"warnings,omitempty"`
	// Unreadable are the libraries that are there and cannot be read, by their paths, and why. Warnings tell of them too.
	Unreadable map[string]string `json:"-"`
}

// Dependency is one field of one datablock that names files.
type Dependency struct {
	Blend     string `json:"blend"`     // the .blend file that stores the datablock
	Datablock string `json:"datablock"` // two letters for its type, then its name: "IMwood"
	Kind      string `json:"kind"`      // "image", "library", "sound", …
	Field     string `json:"field"`     // "Image.name"
	Written   string `json:"written"`   // the path as it is stored
	Resolved  string `json:"resolved"`  // the path as Blender takes it; of several files, the stored one's
	// Base is the .blend file that a relative path starts from, if that is not Blend: of a datablock that was linked and
	// then packed, the library that it came from.
	Base string `json:"base,omitempty"`
	// Frames are the numbers in the names of the files that are needed, if it is a sequence whose frames are known.
	Frames   []Range  `json:"frames,omitempty"`
	Required bool     `json:"required"` // without it, frames are wrong; Missing is empty where it is false
	Files    []string `json:"files,omitempty"`
	Missing  []string `json:"missing,omitempty"`
	Note     string   `json:"note,omitempty"` // what a person should know about it
}
