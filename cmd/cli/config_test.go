package cli

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"pgregory.net/rapid"
)

// program is a small command line: `farm run --name --port`, `farm cas …` has none of them.
func program(name *string, port *int) (root, command *cobra.Command) {
	root = &cobra.Command{Use: "farm"}
	command = &cobra.Command{Use: "run", RunE: func(*cobra.Command, []string) error { return nil }}
	command.Flags().StringVar(name, "name", "default name", "")
	command.Flags().IntVar(port, "listen-port", 1, "")
	root.AddCommand(command)
	return root, command
}

// TestSettlePrecedence tries every combination of places where a value can stand: the flag wins over the environment,
// which wins over the command's section, which wins over the defaults of the file, which win over the built-in one.
func TestSettlePrecedence(t *testing.T) {
	for places := range 1 << 4 {
		var name string
		var port int
		_, command := program(&name, &port)
		file := &ConfigFile{Path: "f.yaml", Sections: map[string]map[string]string{"run": {}, "defaults": {}}}
		want, origin := "default name", fromDefault
		environment := map[string]string{}
		if places&1 != 0 {
			file.Sections["defaults"]["name"] = "of defaults"
			want, origin = "of defaults", "f.yaml, section defaults"
		}
		if places&2 != 0 {
			file.Sections["run"]["name"] = "of section"
			want, origin = "of section", "f.yaml, section run"
		}
		if places&4 != 0 {
			environment["HAYLOFT_NAME"] = "of environment"
			want, origin = "of environment", "environment HAYLOFT_NAME"
		}
		var args []string
		if places&8 != 0 {
			args = []string{"--name", "of flag"}
			want, origin = "of flag", fromFlag
		}
		if err := command.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		origins, err := Settle(command, func(key string) string { return environment[key] }, file)
		if err != nil || name != want || origins["name"] != origin || origins["listen-port"] != fromDefault {
			t.Errorf("places %04b: %q from %q, %v; want %q from %q", places, name, origins["name"], err, want, origin)
		}
	}
}

func TestSettleRefuses(t *testing.T) {
	for _, test := range []struct {
		name, key, value string
		sections         map[string]map[string]string
		want             string
	}{
		{name: "bad environment", key: "HAYLOFT_LISTEN_PORT", value: "many", want: "environment HAYLOFT_LISTEN_PORT: --listen-port: "},
		{name: "bad value", sections: map[string]map[string]string{"run": {"listen-port": "many"}}, want: "f.yaml, section run: --listen-port: "},
		{name: "unknown key", sections: map[string]map[string]string{"run": {"nmae": "x"}}, want: `section run: no setting "nmae"`},
		{name: "unknown default", sections: map[string]map[string]string{"defaults": {"nmae": "x"}}, want: `section defaults: no setting "nmae"`},
		{name: "unknown section", sections: map[string]map[string]string{"boss": {}}, want: `no command "boss"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var name string
			var port int
			_, command := program(&name, &port)
			_, err := Settle(command, func(key string) string {
				if key == test.key {
					return test.value
				}
				return ""
			}, &ConfigFile{Path: "f.yaml", Sections: test.sections})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || ExitCode(err) != ExitUsage {
				t.Errorf("got %v, exit code %d", err, ExitCode(err))
			}
		})
	}
}

// TestSharedFile lets both programs go by one file.
func TestSharedFile(t *testing.T) {
	var name string
	var port int
	nothing := func(string) string { return "" }
	file := &ConfigFile{Path: "f.yaml", Sections: map[string]map[string]string{"run": {"name": "farm's"}, "cas": {"name": "of cas"}}}
	_, command := program(&name, &port)
	if _, err := Settle(command, nothing, file); err != nil || name != "farm's" {
		t.Errorf("hayloft: %q, %v", name, err)
	}
	root, command := program(&name, &port)
	root.Use = "cas"
	if _, err := Settle(command, nothing, file.ForCas()); err != nil || name != "of cas" {
		t.Errorf("cas: %q, %v", name, err)
	}
	file.Sections["cas"]["nmae"] = "x"
	if _, err := Settle(command, nothing, file.ForCas()); err == nil || !strings.Contains(err.Error(), `section cas: no setting "nmae"`) {
		t.Errorf("cas: %v", err)
	}
}

func TestLoadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farm.yaml")
	text := `
defaults: { name: Barn }
run:
  listen-port: 7
variables:
  blender: /opt/blender
  shelf:
    is_twoway: true
    values:
      - { platform: linux, value: /shelf }
      - { platforms: [windows, darwin], audience: users, value: 'S:\' }
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &ConfigFile{Path: path,
		Sections: map[string]map[string]string{"defaults": {"name": "Barn"}, "run": {"listen-port": "7"}},
		Variables: map[string]VariableConfig{
			"blender": {Values: []VariableValue{{Value: "/opt/blender"}}},
			"shelf": {IsTwoWay: true, Values: []VariableValue{
				{Platform: "linux", Value: "/shelf"}, {Platforms: []string{"windows", "darwin"}, Audience: "users", Value: `S:\`}}},
		}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(- wanted, + read)\n%s", diff)
	}
}

func TestLoadConfigDefaults(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	if dir, err := os.UserConfigDir(); err != nil || dir != home {
		t.Setenv("HOME", home)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "hayloft", "hayloft.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadConfig(""); err != nil || got.Path != path {
		t.Errorf("read %+v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("run: [a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(""); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken file: %v", err)
	}
	if _, err := LoadConfig(filepath.Join(home, "absent.yaml")); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "absent.yaml") {
		t.Errorf("a named file that is absent: %v", err)
	}
}

// TestFileValuesAreFlagValues holds that a text in the file means what it means on the command line.
func TestFileValuesAreFlagValues(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.String().Draw(r, "value")
		var name string
		var port int
		_, command := program(&name, &port)
		file := &ConfigFile{Path: "f.yaml", Sections: map[string]map[string]string{"run": {"name": text}}}
		origins, err := Settle(command, func(string) string { return "" }, file)
		if err != nil || name != text {
			r.Fatalf("%q became %q, %v", text, name, err)
		}
		if want := map[string]Origin{"name": "f.yaml, section run", "listen-port": fromDefault}; !maps.Equal(origins, want) {
			r.Fatalf("origins %v", origins)
		}
	})
}
