package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// ConfigFile is the YAML configuration. Under `defaults` stand flags for every command, under a command's name flags
// for that command, under `variables` the variables that job types use. The program cas has one section, `cas`, for the
// flags of all its commands.
type ConfigFile struct {
	Path      string // empty: there is none
	Sections  map[string]map[string]string
	Variables map[string]VariableConfig
}

// VariableConfig is one variable: a plain text for every platform, or a list of values.
type VariableConfig struct {
	IsTwoWay bool            `yaml:"is_twoway,omitempty"`
	Values   []VariableValue `yaml:"values"`
}

// VariableValue is one meaning of a variable.
type VariableValue struct {
	Value     string   `yaml:"value"`
	Platform  string   `yaml:"platform,omitempty"`
	Platforms []string `yaml:"platforms,omitempty"`
	Audience  string   `yaml:"audience,omitempty"`
	Workers   []string `yaml:"workers,omitempty"` // names; only these workers get the value
}

// UnmarshalYAML takes a plain text as the value for every platform.
func (v *VariableConfig) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		v.Values = []VariableValue{{Value: node.Value}}
		return nil
	}
	type plain VariableConfig
	return node.Decode((*plain)(v))
}

// defaultConfigPaths is where the file is looked for when none is named.
func defaultConfigPaths() []string {
	paths := []string{filepath.FromSlash("/etc/hayloft/hayloft.yaml")}
	if dir, err := os.UserConfigDir(); err == nil {
		paths = append([]string{filepath.Join(dir, "hayloft", "hayloft.yaml")}, paths...)
	}
	return paths
}

// LoadConfig reads the named file, or the first that exists of the candidates and the default ones, or nothing.
func LoadConfig(named string, candidates ...string) (*ConfigFile, error) {
	if named != "" {
		return ReadConfig(named)
	}
	for _, path := range append(candidates, defaultConfigPaths()...) {
		config, err := ReadConfig(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		return config, err
	}
	return &ConfigFile{}, nil
}

// ReadConfig reads one file. That it does not exist is an error that is [fs.ErrNotExist].
func ReadConfig(path string) (*ConfigFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, ExitError{ExitUsage, fmt.Errorf("read configuration: %w", err)}
	}
	var file struct {
		Variables map[string]VariableConfig    `yaml:"variables"`
		Sections  map[string]map[string]string `yaml:",inline"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, Usage("configuration %s: %w", path, err)
	}
	return &ConfigFile{Path: path, Sections: file.Sections, Variables: file.Variables}, nil
}

// Origin says where the value of a flag came from.
type Origin string

const (
	fromFlag    Origin = "flag"
	fromDefault Origin = "default"
)

// Settle gives every flag of a command its value: from the command line, else the environment, else the file, else its
// default. It returns where each came from.
func Settle(cmd *cobra.Command, getenv func(string) string, file *ConfigFile) (map[string]Origin, error) {
	if err := file.check(cmd.Root()); err != nil {
		return nil, err
	}
	origins := make(map[string]Origin)
	var problem error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if problem != nil || f.Name == "help" {
			return
		}
		origins[f.Name], problem = settleFlag(cmd, f, getenv, file)
	})
	return origins, problem
}

func settleFlag(cmd *cobra.Command, f *pflag.Flag, getenv func(string) string, file *ConfigFile) (Origin, error) {
	if f.Changed {
		return fromFlag, nil
	}
	set := func(value string, from Origin) (Origin, error) {
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			return from, Usage("%s: --%s: %w", from, f.Name, err)
		}
		return from, nil
	}
	if name := environmentName(f.Name); getenv(name) != "" {
		return set(getenv(name), Origin("environment "+name))
	}
	for _, section := range []string{cmd.Name(), cmd.Root().Name(), "defaults"} {
		if value, ok := file.Sections[section][f.Name]; ok {
			return set(value, Origin(fmt.Sprintf("%s, section %s", file.Path, section)))
		}
	}
	return fromDefault, nil
}

func environmentName(flag string) string {
	return "HAYLOFT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// casSection holds the flags of every command of the program cas, which may share the file with hayloft.
const casSection = "cas"

// ForCas is the part of the file that the program cas goes by.
func (c *ConfigFile) ForCas() *ConfigFile {
	return &ConfigFile{Path: c.Path, Sections: map[string]map[string]string{casSection: c.Sections[casSection]}}
}

// check refuses sections and keys that no command knows, so that a slip of the pen is not silently ignored.
func (c *ConfigFile) check(root *cobra.Command) error {
	known := flagsByCommand(root)
	if root.Name() == casSection {
		known[casSection] = known["defaults"]
	}
	for section, keys := range c.Sections {
		if section == casSection && root.Name() != casSection {
			continue
		}
		flags, ok := known[section]
		if !ok {
			return Usage("configuration %s: no command %q; a section is `defaults`, `variables` or a command's name", c.Path, section)
		}
		for key := range keys {
			if !slices.Contains(flags, key) {
				return Usage("configuration %s: section %s: no setting %q; `%s --help` lists them", c.Path, section, key, section)
			}
		}
	}
	return nil
}

func flagsByCommand(root *cobra.Command) map[string][]string {
	known := map[string][]string{"defaults": nil}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		collect := func(f *pflag.Flag) {
			known[cmd.Name()] = append(known[cmd.Name()], f.Name)
			known["defaults"] = append(known["defaults"], f.Name)
		}
		cmd.LocalFlags().VisitAll(collect)
		cmd.InheritedFlags().VisitAll(collect)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	return known
}
