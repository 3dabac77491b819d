package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"hayloft/api/gen"
	"hayloft/scheduler"
	"hayloft/scheduler/variables"
)

// Settings is the part of a farm's configuration that people may read and change over the API.
type Settings struct {
	Name          string
	SharedStorage string // absolute path; see [Config.SharedStorage]
	Shaman        bool   // see [Config.ShamanEnabled]
	Discoverable  bool   // workers may find the manager by SSDP
	Limits        scheduler.Limits
	Variables     variables.Set
	MQTT          MQTTSettings
}

// MQTTSettings say where events are published, if Enabled.
type MQTTSettings struct {
	Enabled     bool
	Broker      string // URL
	ClientID    string
	TopicPrefix string
	Username    string
	Password    string // goes in, never out
}

// ConfigFile keeps the settings that the manager starts with. A server calls Save from one goroutine at a time.
type ConfigFile interface {
	// Load reads the settings of the next start.
	Load(ctx context.Context) (Settings, error)
	// Save writes them; when it returns they are on stable storage. Whatever else the file says stays.
	Save(ctx context.Context, settings Settings) error
}

// settingsVersion is the version of Flamenco's configuration file whose keys are understood.
const settingsVersion = 3

// settingsDocument is [Settings] under the keys of Flamenco's configuration file (fact sheet, section 11).
type settingsDocument struct {
	Meta struct {
		Version int `json:"version"`
	} `json:"_meta"`
	ManagerName      string                      `json:"manager_name"`
	SharedStorage    string                      `json:"shared_storage_path"`
	Autodiscoverable bool                        `json:"autodiscoverable"`
	Shaman           shamanDocument              `json:"shaman"`
	TaskTimeout      durationText                `json:"task_timeout,omitempty"`
	WorkerTimeout    durationText                `json:"worker_timeout,omitempty"`
	BlockAfter       int                         `json:"blocklist_threshold,omitempty"`
	TaskAttempts     int                         `json:"task_fail_after_softfail_count,omitempty"`
	MQTT             mqttDocument                `json:"mqtt"`
	Variables        map[string]variableDocument `json:"variables"`
	foreignSettings
}

// foreignSettings are keys of Flamenco that mean nothing here: they may be sent and are passed over.
type foreignSettings struct {
	Database       json.RawMessage `json:"database,omitempty"`
	DatabaseCheck  json.RawMessage `json:"database_check_period,omitempty"`
	Listen         json.RawMessage `json:"listen,omitempty"`
	ManagerStorage json.RawMessage `json:"local_manager_storage_path,omitempty"`
}

type shamanDocument struct {
	Enabled        bool            `json:"enabled"`
	GarbageCollect json.RawMessage `json:"garbageCollect,omitempty"` // passed over, as foreignSettings
}

type mqttDocument struct {
	Client struct {
		Enabled     bool   `json:"enabled"`
		Broker      string `json:"broker"`
		ClientID    string `json:"clientID"`
		TopicPrefix string `json:"topic_prefix"`
		Username    string `json:"username"`
		Password    string `json:"password"`
	} `json:"client"`
}

type variableDocument struct {
	IsTwoWay bool                    `json:"is_twoway"`
	Values   []variableValueDocument `json:"values"`
}

type variableValueDocument struct {
	Platform  string   `json:"platform,omitempty"`
	Platforms []string `json:"platforms,omitempty"`
	Audience  string   `json:"audience,omitempty"`
	Workers   []string `json:"workers,omitempty"` // Hayloft's own: names of the workers that it is for alone
	Value     string   `json:"value"`
}

// durationText is written as Go writes durations, such as 10m0s.
type durationText time.Duration

func (d durationText) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *durationText) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = durationText(parsed)
	return nil
}

func documentOf(s Settings) settingsDocument {
	d := settingsDocument{
		ManagerName: s.Name, SharedStorage: s.SharedStorage, Autodiscoverable: s.Discoverable,
		Shaman:      shamanDocument{Enabled: s.Shaman},
		TaskTimeout: durationText(s.Limits.TaskTimeout), WorkerTimeout: durationText(s.Limits.WorkerTimeout),
		BlockAfter: s.Limits.BlockAfter, TaskAttempts: s.Limits.TaskAttempts,
		Variables: make(map[string]variableDocument, len(s.Variables)),
	}
	d.Meta.Version = settingsVersion
	c, m := &d.MQTT.Client, s.MQTT
	c.Enabled, c.Broker, c.ClientID, c.TopicPrefix, c.Username = m.Enabled, m.Broker, m.ClientID, m.TopicPrefix, m.Username
	for name, v := range s.Variables {
		d.Variables[name] = variableDocument{IsTwoWay: v.IsTwoWay, Values: convert(v.Values, variableValueOf)}
	}
	return d
}

func variableValueOf(v variables.Value) variableValueDocument {
	d := variableValueDocument{Platforms: v.Platforms, Audience: string(v.Audience), Workers: v.Workers, Value: v.Value}
	switch len(v.Platforms) {
	case 0:
		d.Platform = variables.AllPlatforms
	case 1:
		d.Platform, d.Platforms = v.Platforms[0], nil
	}
	return d
}

// into changes settings to what the document says. A password that is left empty stays the one it was, since nobody is
// shown it. The names jobs and output are the farm's own and are dropped, as Flamenco drops jobs.
func (d settingsDocument) into(s *Settings) {
	s.Name, s.SharedStorage, s.Discoverable, s.Shaman = d.ManagerName, d.SharedStorage, d.Autodiscoverable, d.Shaman.Enabled
	s.Limits.TaskTimeout, s.Limits.WorkerTimeout = time.Duration(d.TaskTimeout), time.Duration(d.WorkerTimeout)
	s.Limits.BlockAfter, s.Limits.TaskAttempts = d.BlockAfter, d.TaskAttempts
	c, password := d.MQTT.Client, s.MQTT.Password
	if c.Password != "" {
		password = c.Password
	}
	s.MQTT = MQTTSettings{Enabled: c.Enabled, Broker: c.Broker, ClientID: c.ClientID, TopicPrefix: c.TopicPrefix,
		Username: c.Username, Password: password}
	s.Variables = make(variables.Set, len(d.Variables))
	for name, v := range d.Variables {
		if name != jobsVariable && name != outputVariable {
			s.Variables[name] = variables.Variable{IsTwoWay: v.IsTwoWay, Values: convert(v.Values, variableValueFrom)}
		}
	}
}

func variableValueFrom(d variableValueDocument) variables.Value {
	platforms := d.Platforms
	if d.Platform != "" {
		platforms = append([]string{d.Platform}, platforms...)
	}
	return variables.Value{Platforms: platforms, Audience: variables.Audience(d.Audience), Workers: d.Workers, Value: d.Value}
}

// changeSettings reads a document over settings: what it leaves out stays, but a list of variables is the whole list. A
// key that nobody knows is refused, so that a slip of the pen is noticed.
func changeSettings(s *Settings, body []byte) error {
	d := documentOf(*s)
	before := d.Variables
	d.Variables = nil
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return fmt.Errorf("%w: %w", errInvalid, err)
	}
	if d.Variables == nil {
		d.Variables = before
	}
	if d.Meta.Version != settingsVersion {
		return fmt.Errorf("%w: _meta.version is %d; only %d is known", errInvalid, d.Meta.Version, settingsVersion)
	}
	d.into(s)
	return s.check()
}

func (s Settings) check() error {
	switch {
	case s.SharedStorage != "" && !filepath.IsAbs(s.SharedStorage):
		return fmt.Errorf("%w: shared_storage_path %q is not an absolute path", errInvalid, s.SharedStorage)
	case s.Limits.TaskTimeout < 0 || s.Limits.WorkerTimeout < 0 || s.Limits.BlockAfter < 0 || s.Limits.TaskAttempts < 0:
		return fmt.Errorf("%w: time-outs and thresholds cannot be negative; leave them out for the default", errInvalid)
	case s.MQTT.Enabled && s.MQTT.Broker == "":
		return fmt.Errorf("%w: mqtt is enabled without a broker; name its URL", errInvalid)
	}
	if err := s.Variables.Validate(); err != nil {
		return fmt.Errorf("%w: %w", errInvalid, err)
	}
	return nil
}

// running is what the server was made with; a server without a configuration file knows no more.
func (s *Server) running() Settings {
	return Settings{Name: s.Name, SharedStorage: s.SharedStorage, Shaman: s.shamanOn(), Discoverable: s.Description != nil,
		Variables: s.Variables}
}

// GetConfigurationFile tells the settings of the next start.
func (s *Server) GetConfigurationFile(ctx context.Context, _ gen.GetConfigurationFileRequestObject) (gen.GetConfigurationFileResponseObject, error) {
	settings := s.running()
	if s.File != nil {
		var err error
		if settings, err = s.File.Load(ctx); err != nil {
			return nil, fmt.Errorf("read the configuration: %w", err)
		}
	}
	return documentOf(settings), nil
}

// VisitGetConfigurationFileResponse sends the document.
func (d settingsDocument) VisitGetConfigurationFileResponse(w http.ResponseWriter) error {
	return writeJSON(w, d)
}

// UpdateConfigurationFile changes the settings. Variables act at once, the rest from the next start on.
func (s *Server) UpdateConfigurationFile(ctx context.Context, r gen.UpdateConfigurationFileRequestObject) (gen.UpdateConfigurationFileResponseObject, error) {
	body, err := json.Marshal(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the configuration sent: %w", err)
	}
	if err := s.configure(ctx, func(settings *Settings) error { return changeSettings(settings, body) }); err != nil {
		return nil, err
	}
	return gen.UpdateConfigurationFile204Response{}, nil
}

// configure changes the settings in the configuration file, one caller at a time.
func (s *Server) configure(ctx context.Context, change func(*Settings) error) error {
	if s.File == nil {
		return fmt.Errorf("change the configuration: %w", errFixedConfig)
	}
	select {
	case s.configuring <- struct{}{}:
		defer func() { <-s.configuring }()
	case <-ctx.Done():
		return ctx.Err()
	}
	settings, err := s.File.Load(ctx)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if err := change(&settings); err != nil {
		return fmt.Errorf("change the configuration: %w", err)
	}
	if err := s.File.Save(ctx, settings); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	s.useVariables(settings.Variables)
	s.log.Info("configuration changed; what is not a variable acts from the next start on")
	return nil
}
