// Package scene reads from a .blend file how its scene wants to be rendered: which frames, at what rate, into files of
// which format. So a job has the same settings, whether it comes from the add-on, from the command line or from the
// watched folder.
//
// Promises: it runs no Blender and no code of the file, and what it says is what Blender's Python would say of the scene
// that the file opens with. What it cannot find out is left empty, never guessed.
//
// It imports the reader of .blend files and nothing else of ours.
package scene
