// Package variables replaces {name} in the commands of a task by what the name means for the worker that runs it, so
// that no path and no program name of one machine ever stands in a job.
//
// Promises: values are looked up by audience and platform, a specific platform before "all", and a recipient's own
// overrides before both. Replacement happens in one pass: what a value brings in is not looked at again, so nothing can
// expand for ever. An unknown {name} stays as it is. JSON goes in and valid JSON comes out; text without a known variable
// comes out as the same bytes. The same input gives the same output, whatever the order of a map.
//
// A two-way variable is a place that each platform reaches by another path. [Set.ToLogical] recognises those paths in
// what a submitter sends and writes {name} instead; [Delivery] writes the recipient's path for it, and for paths of the
// manager such as those of the variable jobs. Whole components are compared, so /mnt/farm2 is not below /mnt/farm; drives,
// UNC paths and both slashes are understood. What comes back to the platform that it was sent from is the same path again,
// provided that the variables describe the same places on both platforms. In such a path a backslash always separates: a
// file name that holds one cannot be sent to Windows, and is not kept on its way.
//
// The package imports nothing of ours; it does no I/O and knows neither jobs nor workers.
package variables
