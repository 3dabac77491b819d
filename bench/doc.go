// Command bench measures Hayloft and the machine under it in one run, and prints each figure beside what the machine
// itself could do at that moment. Absolute figures of a shared machine mean little; ratios of the same run mean more.
//
//	go run ./bench                        everything, with a million queued tasks
//	go run ./bench -quick                 the same in small
//	go run ./bench -only 'upload|checkout'
//	go run ./bench -only 'project|scene|files|resume' -bin DIR
//
// The manager under test, the plain server that it is compared with, and the simulated workers are processes of their
// own: this program, started again in another role. So both servers have the same shape, and the processor time and the
// memory of the manager are its own. All data lies in one temporary folder, which is removed at the end.
//
// The suites project, scene, files and resume run the programs `cas` and `hayloft` as they are built, or those of -bin,
// against a store of this machine and against a manager behind a relay that counts every byte and request. Their data is
// made from seeds, and the scenes by Blender, which must be on PATH. restic, kopia and desync keep the same project tree in
// the same run where they are on PATH. Processor time is that of user and system; a store's size is what it takes on the
// disk; memory is the peak of the resident set. The report has a table of these for each run, and drawings of some.
//
// HAYLOFT_BENCH_FLAMENCO=URL also measures uploads and dispatch of a Flamenco manager that runs there, with the same
// client. -cpuprofile DIR keeps processor profiles of the manager under test, one a measurement.
//
// It promises bounded loops, free ports, and a report without names or paths of the machine. Its tests check the
// arithmetic and the report, never a time. It may import every room, since it composes a manager by hand; no room may
// import it.
package main
