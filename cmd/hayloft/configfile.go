package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"hayloft/api"
	"hayloft/cmd/cli"
	"hayloft/scheduler/variables"
)

// configFileName is looked for in the data folder when no other file is named.
const configFileName = "hayloft.yaml"

// settingsFile keeps the manager's settings in its YAML file. Settings that the page changes act from the next start on,
// unless a flag or the environment says otherwise then.
type settingsFile struct {
	path    string
	running managerConfig
}

var _ api.ConfigFile = settingsFile{}

// Load gives what the manager runs with, changed by what the file says by now.
func (f settingsFile) Load(context.Context) (api.Settings, error) {
	config := f.running
	file, err := cli.ReadConfig(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return api.Settings{}, err
	}
	if err == nil {
		if err := overlay(&config, file.Sections["manager"]); err != nil {
			return api.Settings{}, fmt.Errorf("%s: %w", f.path, err)
		}
		if len(file.Variables) > 0 {
			config.variables = parseVariables(file.Variables)
		}
	}
	folders, err := config.folders()
	if err != nil {
		return api.Settings{}, err
	}
	return api.Settings{
		Name: config.name, SharedStorage: folders.storage, Shaman: config.shaman, Discoverable: config.discoverable,
		Limits: config.limits, Variables: config.variables,
		MQTT: api.MQTTSettings{
			Enabled: config.mqtt.Broker != "", Broker: config.mqtt.Broker, ClientID: config.mqtt.ClientID,
			TopicPrefix: config.mqtt.TopicPrefix, Username: config.mqtt.Username, Password: config.mqtt.Password,
		},
	}, nil
}

// overlay takes settings of the file into a configuration.
func overlay(config *managerConfig, section map[string]string) error {
	texts := map[string]*string{
		"name": &config.name, "storage": &config.storage, "mqtt-broker": &config.mqtt.Broker, "mqtt-client-id": &config.mqtt.ClientID,
		"mqtt-topic-prefix": &config.mqtt.TopicPrefix, "mqtt-username": &config.mqtt.Username, "mqtt-password": &config.mqtt.Password,
	}
	flags := map[string]*bool{"shaman": &config.shaman, "discoverable": &config.discoverable}
	spans := map[string]*time.Duration{
		"task-timeout": &config.limits.TaskTimeout, "worker-timeout": &config.limits.WorkerTimeout,
		"task-silence": &config.limits.TaskSilence, "task-limit": &config.limits.TaskTotal,
	}
	counts := map[string]*int{"block-after": &config.limits.BlockAfter, "task-attempts": &config.limits.TaskAttempts}
	for key, value := range section {
		var err error
		switch {
		case texts[key] != nil:
			*texts[key] = value
		case flags[key] != nil:
			*flags[key], err = strconv.ParseBool(value)
		case spans[key] != nil:
			*spans[key], err = time.ParseDuration(value)
		case counts[key] != nil:
			*counts[key], err = strconv.Atoi(value)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// Save writes the settings and leaves all else in the file as it is.
func (f settingsFile) Save(_ context.Context, s api.Settings) error {
	document := make(map[string]any)
	text, err := os.ReadFile(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	section, ok := document["manager"].(map[string]any)
	if !ok {
		section = make(map[string]any)
	}
	document["manager"] = section
	section["name"], section["storage"] = s.Name, s.SharedStorage
	section["shaman"], section["discoverable"] = strconv.FormatBool(s.Shaman), strconv.FormatBool(s.Discoverable)
	section["task-timeout"], section["worker-timeout"] = s.Limits.TaskTimeout.String(), s.Limits.WorkerTimeout.String()
	section["block-after"], section["task-attempts"] = strconv.Itoa(s.Limits.BlockAfter), strconv.Itoa(s.Limits.TaskAttempts)
	for key := range section {
		if len(key) > 5 && key[:5] == "mqtt-" {
			delete(section, key)
		}
	}
	if s.MQTT.Enabled {
		section["mqtt-broker"], section["mqtt-client-id"] = s.MQTT.Broker, s.MQTT.ClientID
		section["mqtt-topic-prefix"], section["mqtt-username"], section["mqtt-password"] = s.MQTT.TopicPrefix, s.MQTT.Username, s.MQTT.Password
	}
	document["variables"] = formatVariables(s.Variables)
	return writeConfig(f.path, document)
}

// parseVariables turns the file's form into the farm's.
func parseVariables(config map[string]cli.VariableConfig) variables.Set {
	set := variables.Defaults()
	for name, v := range config {
		variable := variables.Variable{IsTwoWay: v.IsTwoWay}
		for _, value := range v.Values {
			platforms := value.Platforms
			if value.Platform != "" {
				platforms = append(platforms, value.Platform)
			}
			variable.Values = append(variable.Values, variables.Value{
				Platforms: platforms, Audience: variables.Audience(value.Audience), Workers: value.Workers, Value: value.Value})
		}
		set[name] = variable
	}
	return set
}

func formatVariables(set variables.Set) map[string]cli.VariableConfig {
	config := make(map[string]cli.VariableConfig, len(set))
	for name, v := range set {
		variable := cli.VariableConfig{IsTwoWay: v.IsTwoWay}
		for _, value := range v.Values {
			variable.Values = append(variable.Values, cli.VariableValue{
				Value: value.Value, Platforms: value.Platforms, Audience: string(value.Audience), Workers: value.Workers})
		}
		config[name] = variable
	}
	return config
}

// settingsPath is where the settings of a manager are kept: the file that it was started with, else one in its data folder.
func (a *app) settingsPath(data string) string {
	if a.file.Path != "" {
		return a.file.Path
	}
	return filepath.Join(data, configFileName)
}
