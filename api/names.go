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

	mu      sync.Mutex
	workers map[string]*variables.Delivery // by platform
}

// mostPlatforms bounds what names keeps ready; workers say freely what their platform is.
const mostPlatforms = 32

func newNames(set variables.Set) *names {
	return &names{
		set: set, manager: set.For(variables.ForWorkers, variables.PlatformManager, nil),
		workers: make(map[string]*variables.Delivery),
	}
}

// delivery translates for an audience on a platform.
func (n *names) delivery(audience variables.Audience, platform string) *variables.Delivery {
	return variables.NewDelivery(n.manager, n.set.For(audience, platform, nil))
}

// toWorkers is the delivery to workers on a platform, made once.
func (n *names) toWorkers(platform string) *variables.Delivery {
	n.mu.Lock()
	defer n.mu.Unlock()
	ready, ok := n.workers[platform]
	if !ok {
		ready = n.delivery(variables.ForWorkers, platform)
		if len(n.workers) < mostPlatforms {
			n.workers[platform] = ready
		}
	}
	return ready
}

// fromWorkers translates paths that workers on a platform wrote into the manager's; one that no variable knows stays.
func (n *names) fromWorkers(platform string) func(path string) string {
	theirs, ours := n.set.For(variables.ForWorkers, platform, nil), n.delivery(variables.ForWorkers, variables.PlatformManager)
	return func(path string) string { return ours.Text(theirs.ToLogical(path)) }
}

// useVariables makes a set of variables the farm's, with those that the farm provides.
func (s *Server) useVariables(set variables.Set) {
	s.names.Store(newNames(set.With(jobsVariable, s.jobsRoot()).With(outputVariable, s.outputRoot())))
}
