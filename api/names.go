package api

import (
	"sync"

	"hayloft/scheduler/variables"
)

// The variables that the farm itself provides. Jobs rely on them, so they win over configured ones.
const (
	jobsVariable   = "jobs"
	outputVariable = "output"
)

// names is what the variables of the farm mean to whom. A changed set of variables makes a new one.
type names struct {
	set     variables.Set
	manager variables.View

	bound   map[string]bool // names of workers that have values of their own
	mu      sync.Mutex
	workers map[recipient]*variables.Delivery
}

// recipient is whom a delivery is for. The worker is named only if it has values of its own.
type recipient struct{ platform, worker string }

// mostRecipients bounds what names keeps ready; workers say freely what their platform is.
const mostRecipients = 512

func newNames(set variables.Set) *names {
	n := &names{
		set: set, manager: set.For(variables.ForWorkers, variables.PlatformManager, nil),
		bound: make(map[string]bool), workers: make(map[recipient]*variables.Delivery),
	}
	for _, variable := range set {
		for _, value := range variable.Values {
			for _, worker := range value.Workers {
				n.bound[worker] = true
			}
		}
	}
	return n
}

// delivery translates for an audience on a platform.
func (n *names) delivery(audience variables.Audience, platform string) *variables.Delivery {
	return variables.NewDelivery(n.manager, n.set.For(audience, platform, nil))
}

// toWorker is the delivery to a worker, made once for all workers of a platform that have no values of their own.
func (n *names) toWorker(platform, worker string) *variables.Delivery {
	to := recipient{platform: platform}
	if n.bound[worker] {
		to.worker = worker
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	ready, ok := n.workers[to]
	if !ok {
		view := n.set.For(variables.ForWorkers, platform, n.set.Overrides(to.worker, platform))
		ready = variables.NewDelivery(n.manager, view)
		if len(n.workers) < mostRecipients {
			n.workers[to] = ready
		}
	}
	return ready
}

// fromWorker translates paths that a worker wrote into the manager's; one that no variable knows stays.
func (n *names) fromWorker(platform, worker string) func(path string) string {
	theirs, ours := n.set.For(variables.ForWorkers, platform, n.set.Overrides(worker, platform)), n.delivery(variables.ForWorkers, variables.PlatformManager)
	return func(path string) string { return ours.Text(theirs.ToLogical(path)) }
}

// useVariables makes a set of variables the farm's, with those that the farm provides.
func (s *Server) useVariables(set variables.Set) {
	s.names.Store(newNames(set.With(jobsVariable, s.jobsRoot()).With(outputVariable, s.outputRoot())))
}
