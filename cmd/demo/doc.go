// Command demo shows a whole farm at work on one machine. `make demo` runs it.
//
// It makes a small but real project with Blender, starts `hayloft up` on a free loopback port, submits the project,
// waits for the frames and checks them. It then says what the run cost and submits again, to show that nothing has to
// travel twice.
//
// It promises to exit 0 only if every frame exists, decodes and is not blank, the preview video holds every frame, and
// the second submission uploaded nothing. Everything it writes lies in one folder that it owns. Every program that it
// starts has ended when it exits.
//
// It drives the hayloft binary as a person would and must not import anything of ours.
package main
