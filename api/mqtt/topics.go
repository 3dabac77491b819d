package mqtt

import "github.com/google/uuid"

// Topic is where a message is published, below the prefix of the configuration.
type Topic string

// The topics of a manager, with the payload of each by its name in the contract of the API.
const (
	Lifecycle    Topic = "/lifecycle"     // LifecycleEvent
	FarmStatus   Topic = "/status"        // FarmStatusReport
	Jobs         Topic = "/jobs"          // JobEvent
	LastRendered Topic = "/last-rendered" // LastRenderedEvent
	Workers      Topic = "/workers"       // WorkerEvent
	WorkerTags   Topic = "/workertags"    // WorkerTagEvent
)

// TasksOf is the topic of a job's tasks: TaskEvent.
func TasksOf(job uuid.UUID) Topic { return Jobs + Topic("/"+job.String()) }

// LastRenderedOf is the topic of a job's newest image: LastRenderedEvent, which goes to [LastRendered] as well.
func LastRenderedOf(job uuid.UUID) Topic { return TasksOf(job) + LastRendered }
