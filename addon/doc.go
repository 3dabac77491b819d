// Package addon carries the Blender add-on and gives it as one zip that Blender 2.93 to 5.x can install.
//
// The add-on itself is the Python package in the folder hayloft: a thin face over the program of the same name, under
// the GPL. To Go it is data. This package reads it, puts the version into it and packs it; nothing of it is compiled in
// or run here. Its tests, in the folder tests, are Python too, and run inside Blender.
//
// Promises: [Zip] gives the same bytes for the same version, whatever the machine and the day, so that a manager can name
// its digest; the archive has one folder, which older Blenders want, with the manifest in it, which newer ones want.
//
// It imports nothing of ours, and must not: whoever serves the zip imports it.
package addon
