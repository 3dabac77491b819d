package jobtype

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// JobType is what a script declares in JOB_TYPE. Its JSON form is Flamenco's AvailableJobType; members that are empty are
// left out of it. A JobType is shared by all who asked for it and must not be changed.
type JobType struct {
	// Name is the stem of the script's file name with "_" written as "-".
	Name        string `json:"name"`
	Label       string `json:"label"`
	Description string `json:"description,omitempty"`
	// Etag is the SHA-256, in hex, of the declaration. It changes if and only if the declaration does.
	Etag     string    `json:"etag"`
	Settings []Setting `json:"settings"`
}

// SettingType is the type of a setting's value.
type SettingType string

// The setting types of the Flamenco API.
const (
	TypeString SettingType = "string"
	TypeInt32  SettingType = "int32"
	TypeFloat  SettingType = "float"
	TypeBool   SettingType = "bool"
)

// Setting declares one setting of a job type.
type Setting struct {
	Key  string      `json:"key"`
	Type SettingType `json:"type"`
	// Subtype is how a string is edited: file_path, dir_path, file_name, hashed_file_path, or empty.
	Subtype string `json:"subtype,omitempty"`
	// Choices are the only values that a string may have; empty means any.
	Choices []string `json:"choices,omitempty"`
	// PropArgs are passed to the user interface; "min" and "max" also bound the numbers that a job may use.
	PropArgs    map[string]any `json:"propargs,omitempty"`
	Description string         `json:"description,omitempty"`
	Label       string         `json:"label,omitempty"`
	// Default stands in for a setting that a job leaves out; nil means none.
	Default any `json:"default,omitempty"`
	// Eval is a Python expression that the Blender add-on evaluates at submission.
	Eval     string    `json:"eval,omitempty"`
	EvalInfo *EvalInfo `json:"evalInfo,omitempty"`
	// Visible is where the setting is shown: visible, hidden, submission, web, or empty for visible.
	Visible  string `json:"visible,omitempty"`
	Required bool   `json:"required,omitempty"`
	// Editable is nil where the script says nothing, which user interfaces read as true.
	Editable *bool `json:"editable,omitempty"`
}

// EvalInfo says how the user interface offers a setting that has an eval expression.
type EvalInfo struct {
	ShowLinkButton bool   `json:"showLinkButton"`
	Description    string `json:"description"`
}

// parseDeclaration reads the JSON of a script's JOB_TYPE, checks it and seals it with its etag.
func parseDeclaration(name string, declared []byte) (JobType, error) {
	var t JobType
	if err := json.Unmarshal(declared, &t); err != nil {
		return JobType{}, fmt.Errorf("JOB_TYPE has a member of the wrong type: %w", err)
	}
	t.Name, t.Etag = name, ""
	if t.Label == "" {
		return JobType{}, fmt.Errorf("JOB_TYPE has no label; add label: \"…\"")
	}
	if t.Settings == nil {
		t.Settings = []Setting{}
	}
	seen := make(map[string]bool, len(t.Settings))
	for i, s := range t.Settings {
		if s.Key == "" {
			return JobType{}, fmt.Errorf("setting %d of JOB_TYPE has no key", i+1)
		}
		if seen[s.Key] {
			return JobType{}, fmt.Errorf("setting %q is declared twice in JOB_TYPE", s.Key)
		}
		seen[s.Key] = true
		if err := s.check(); err != nil {
			return JobType{}, fmt.Errorf("setting %q of JOB_TYPE: %w", s.Key, err)
		}
	}
	canonical, err := marshalPlain(t)
	if err != nil {
		return JobType{}, fmt.Errorf("JOB_TYPE cannot be written as JSON: %w", err)
	}
	sum := sha256.Sum256(canonical)
	t.Etag = hex.EncodeToString(sum[:])
	return t, nil
}

// check refuses declarations that clients of the API would choke on: their enumerations are closed, and one unknown
// word makes them drop every job type.
func (s Setting) check() error {
	enumerations := []struct {
		member, got string
		known       []string
	}{
		{"type", string(s.Type), []string{"string", "int32", "float", "bool"}},
		{"subtype", s.Subtype, []string{"", "file_path", "dir_path", "file_name", "hashed_file_path"}},
		{"visible", s.Visible, []string{"", "visible", "hidden", "submission", "web"}},
	}
	for _, e := range enumerations {
		if !slices.Contains(e.known, e.got) {
			return fmt.Errorf("%s is %q; use one of %q", e.member, e.got, e.known)
		}
	}
	if len(s.Choices) > 0 && s.Type != TypeString {
		return fmt.Errorf("choices need type string, but the type is %s", s.Type)
	}
	if err := s.checkDeclaredBounds(); err != nil {
		return err
	}
	if s.Default == nil {
		return nil
	}
	if err := s.checkValue(s.Default); err != nil {
		return fmt.Errorf("its default %w", err)
	}
	return nil
}

// checkDeclaredBounds looks at the bounds of numbers. Those of other types mean nothing here and are passed on.
func (s Setting) checkDeclaredBounds() error {
	if s.Type != TypeInt32 && s.Type != TypeFloat {
		return nil
	}
	for _, bound := range []string{"min", "max"} {
		if v, ok := s.PropArgs[bound]; ok {
			if _, isNumber := v.(float64); !isNumber {
				return fmt.Errorf("propargs.%s is not a number", bound)
			}
		}
	}
	least, hasLeast := s.PropArgs["min"].(float64)
	if most, hasMost := s.PropArgs["max"].(float64); hasLeast && hasMost && least > most {
		return fmt.Errorf("propargs.min is %v and propargs.max is %v, so no value fits", least, most)
	}
	return nil
}

// checkValue tells whether a value fits the setting: type, bounds and choices. The error continues a sentence that
// began with the setting's name.
func (s Setting) checkValue(value any) error {
	switch s.Type {
	case TypeBool:
		if _, ok := value.(bool); !ok {
			return fmt.Errorf("is %s; it must be true or false", describe(value))
		}
	case TypeString:
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("is %s; it must be a text", describe(value))
		}
		if len(s.Choices) > 0 && !slices.Contains(s.Choices, text) {
			return fmt.Errorf("is %q; it must be one of %q", shorten(text), s.Choices)
		}
	case TypeInt32, TypeFloat:
		return s.checkNumber(value)
	}
	return nil
}

func (s Setting) checkNumber(value any) error {
	n, ok := asNumber(value)
	switch {
	case s.Type == TypeInt32 && (!ok || n != math.Trunc(n) || n < math.MinInt32 || n > math.MaxInt32):
		return fmt.Errorf("is %s; it must be a whole number of 32 bits", describe(value))
	case !ok || math.IsNaN(n) || math.IsInf(n, 0):
		return fmt.Errorf("is %s; it must be a number", describe(value))
	}
	return s.checkBounds(n)
}

func (s Setting) checkBounds(n float64) error {
	if least, ok := s.PropArgs["min"].(float64); ok && n < least {
		return fmt.Errorf("is %v; it must be at least %v", n, least)
	}
	if most, ok := s.PropArgs["max"].(float64); ok && n > most {
		return fmt.Errorf("is %v; it must be at most %v", n, most)
	}
	return nil
}

// asNumber takes the number types that JSON decoders and Go callers produce.
func asNumber(value any) (float64, bool) {
	switch n := value.(type) {
	case float64:
		return n, true
	case float32:
		return float64(n), true
	case int:
		return float64(n), true
	case int32:
		return float64(n), true
	case int64:
		return float64(n), true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

// describe writes a value of a setting for a message: as JSON, and never at length.
func describe(value any) string {
	text, err := marshalPlain(value)
	if err != nil {
		return fmt.Sprintf("of the type %T", value)
	}
	return shorten(string(text))
}

// marshalPlain is JSON without the escapes that make it safe inside HTML, which nobody needs here.
func marshalPlain(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
