package api_test

import (
	"context"
	"sync"

	"hayloft/api"
	"hayloft/api/wire"
	"hayloft/scheduler"
	"hayloft/scheduler/variables"
)

// memoryFile is a configuration file in memory.
type memoryFile struct {
	mu       sync.Mutex
	settings api.Settings
}

func (m *memoryFile) Load(context.Context) (api.Settings, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settings, nil
}

func (m *memoryFile) Save(_ context.Context, s api.Settings) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings = s
	return nil
}

func withConfigFile(c *api.Config) {
	c.File = &memoryFile{settings: api.Settings{
		Name: c.Name, SharedStorage: c.SharedStorage, Shaman: true, Variables: c.Variables,
		Limits: scheduler.Limits{TaskTimeout: 600e9, WorkerTimeout: 60e9, BlockAfter: 3, TaskAttempts: 3},
		MQTT:   api.MQTTSettings{Broker: "tcp://broker:1883", Password: "hidden"},
	}}
}

// withTwoWay adds a place that Windows reaches by a drive, in which the shared storage lies.
func withTwoWay(c *api.Config) {
	set := c.Variables.With("farm", "")
	set["farm"] = variables.Variable{IsTwoWay: true, Values: []variables.Value{
		{Platforms: []string{"linux", "darwin"}, Value: c.SharedStorage}, {Platforms: []string{"windows"}, Value: `F:\farm`},
	}}
	c.Variables = set
}

func tagNamed(name string) wire.WorkerTag { return wire.WorkerTag{Name: name} }
