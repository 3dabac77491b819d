// Package dropfolder is the watched folder: a zip, a folder or a .blend that somebody puts there becomes a job of the farm,
// and its frames appear beside it.
//
// A drop NAME is taken once it has stopped growing. Frame range, engine and format are read from its .blend. Frames appear
// whole in NAME.frames/ as they finish. What cannot be rendered, waits for something or failed is explained in NAME.error.txt;
// a new version of NAME is tried anew, and the frames of the earlier one are kept in NAME.frames.1, NAME.frames.2 and so on.
// Two drops are handled at a time, and only one of them may be a large one.
//
// Promises: each version of a drop becomes one job, whatever is killed and started again in between: a record in
// DIR/.hayloft/ is on stable storage before the job is submitted, and the job carries the record's key, by which it is found
// again if the answer was lost or the record is. A drop itself is only read. Nothing of an archive that is refused is left
// unpacked, no member of it is written outside of its own folder, and its size is bounded before and while it is unpacked.
// What systems, file servers and editors leave beside people's files is no part of a drop. When a share goes away and another
// folder shows in its place, nothing of the share's drops is written there.
//
// It is a client of the manager like any submitter, by way of api/client. It must not import package api, scheduler or
// worker.
package dropfolder
