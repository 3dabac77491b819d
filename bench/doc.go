// Command bench measures Hayloft and the machine under it in one run, and prints each figure beside what the machine
// itself could do at that moment. Absolute figures of a shared machine mean little; ratios of the same run mean more.
//
//	go run ./bench                        everything, with a million queued tasks
//	go run ./bench -quick                 the same in small
//	go run ./bench -only 'upload|checkout'
//
// The manager under test, the plain server that it is compared with, and the simulated workers are processes of their
// own: this program, started again in another role. So both servers have the same shape, and the processor time and the
// memory of the manager are its own. All data lies in one temporary folder, which is removed at the end.
//
// HAYLOFT_BENCH_FLAMENCO=URL also measures uploads and dispatch of a Flamenco manager that runs there, with the same
// client. -cpuprofile DIR keeps processor profiles of the manager under test, one a measurement.
//
// It promises bounded loops, free ports, and a report without names or paths of the machine. Its tests check the
// arithmetic and the report, never a time. It may import every room, since it composes a manager by hand; no room may
// import it.
package main
