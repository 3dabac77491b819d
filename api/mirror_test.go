package api_test

import (
	"encoding/json"
	"testing"

	"hayloft/api"
	"hayloft/api/mqtt"
	"hayloft/api/wire"
)

// published is what a farm told a broker, in order.
type published struct{ messages chan publication }

type publication struct {
	topic   mqtt.Topic
	payload []byte
}

func (p published) Publish(topic mqtt.Topic, payload any) error {
	text, err := json.Marshal(payload)
	p.messages <- publication{topic, text}
	return err
}

// next waits for the next message on a topic for which fits is true.
func (p published) next(t *testing.T, topic mqtt.Topic, fits func(payload []byte) bool) {
	t.Helper()
	for {
		select {
		case m := <-p.messages:
			if m.topic == topic && fits(m.payload) {
				return
			}
		case <-t.Context().Done():
			t.Fatalf("nothing that fits came on %s", topic)
		}
	}
}

func TestMirror(t *testing.T) {
	broker := published{make(chan publication, 1000)}
	f := newFarm(t, func(c *api.Config) { c.Mirror = broker })
	broker.next(t, mqtt.Lifecycle, func(p []byte) bool {
		return decodeEvent[wire.LifecycleEvent](t, p).Type == wire.ManagerStartup
	})
	job := f.submit()
	broker.next(t, mqtt.Jobs, func(p []byte) bool { return decodeEvent[wire.JobEvent](t, p).Id == job.Id })
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	broker.next(t, mqtt.TasksOf(task.Job), func(p []byte) bool {
		e := decodeEvent[wire.TaskEvent](t, p)
		return e.Id == task.Uuid && e.Status == wire.TaskStatusActive
	})
	must(t, w.SignOff(t.Context()))
	broker.next(t, mqtt.Workers, func(p []byte) bool {
		return decodeEvent[wire.WorkerEvent](t, p).Status == wire.WorkerStatusOffline
	})
	f.stop()
	broker.next(t, mqtt.Lifecycle, func(p []byte) bool {
		return decodeEvent[wire.LifecycleEvent](t, p).Type == wire.ManagerShutdown
	})
}
