package api

import (
	"context"

	"hayloft/api/mqtt"
	"hayloft/api/wire"
	"hayloft/scheduler"
)

// Mirror takes every event of the farm but those of task logs, for a message broker. Publish never waits; an error says
// that the payload is not one.
type Mirror interface {
	Publish(topic mqtt.Topic, payload any) error
}

// mirror publishes events until ctx ends; the first and the last tell of the manager itself.
func (s *Server) mirror(ctx context.Context) error {
	if s.Mirror == nil {
		return nil
	}
	notices := s.Scheduler.Subscribe(scheduler.AllNotices&^scheduler.LogNotices, func(scheduler.Notice) bool { return true })
	defer notices.Close()
	changes, leave := s.farmStatus.listen()
	defer leave()
	s.publish(mqtt.Lifecycle, wire.LifecycleEvent{Type: wire.ManagerStartup})
	for {
		select {
		case n := <-notices.C:
			s.mirrorNotice(n)
		case status := <-changes:
			s.publish(mqtt.FarmStatus, wire.FarmStatusReport{Status: wire.FarmStatus(status)})
		case <-ctx.Done():
			s.publish(mqtt.Lifecycle, wire.LifecycleEvent{Type: wire.ManagerShutdown})
			return nil
		}
	}
}

func (s *Server) mirrorNotice(n scheduler.Notice) {
	_, payload := eventOf(n)
	switch n := n.(type) {
	case scheduler.JobChanged:
		s.publish(mqtt.Jobs, payload)
	case scheduler.TaskChanged:
		s.publish(mqtt.TasksOf(n.Task.Job.UUID), payload)
	case scheduler.WorkerChanged:
		s.publish(mqtt.Workers, payload)
	case scheduler.TagChanged:
		s.publish(mqtt.WorkerTags, payload)
	case scheduler.PreviewChanged:
		s.publish(mqtt.LastRendered, payload)
		s.publish(mqtt.LastRenderedOf(n.Job.UUID), payload)
	}
}

func (s *Server) publish(topic mqtt.Topic, payload any) {
	if err := s.Mirror.Publish(topic, payload); err != nil {
		s.log.Error("event could not be published", "topic", topic, "error", err)
	}
}
