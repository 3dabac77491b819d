package blend

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// takeCompanions adds what the files of a finding need themselves, without a word of it in the .blend file.
func (t *tracer) takeCompanions(f *finding) {
	switch f.Kind {
	case "OSL script", "OSL camera", "text":
		t.takeCompiled(f)
		t.takeIncluded(f)
	case "cache file", "cache file layer":
		t.takeLayers(f)
	}
}

// takeCompiled adds what the OSL compiler left beside a script.
func (t *tracer) takeCompiled(f *finding) {
	if stem, ok := strings.CutSuffix(f.Resolved, ".osl"); ok && t.disk.hasFile(stem+".oso") {
		f.Files = append(f.Files, stem+".oso")
	}
}

const (
	mostIncluded     = 256
	mostScriptBytes  = 4 << 20
	scriptExtension  = ".osl"
	absoluteLayers   = "%q names a layer by the absolute path %q, at which other machines will not find it; make it relative"
	usdFileExtension = ".usd"
)

var includeLine = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"`)

// takeIncluded adds the files that a script includes: Blender compiles it anew wherever it seems newer than what is
// compiled of it. Those that are not beside it belong to Blender.
func (t *tracer) takeIncluded(f *finding) {
	if filepath.Ext(f.Resolved) != scriptExtension {
		return
	}
	seen := map[string]bool{f.Resolved: true}
	for queue := []string{f.Resolved}; len(queue) > 0 && len(seen) < mostIncluded; queue = queue[1:] {
		for _, match := range includeLine.FindAllSubmatch(headOf(queue[0], mostScriptBytes), mostIncluded) {
			file := filepath.Join(filepath.Dir(queue[0]), filepath.FromSlash(string(match[1])))
			if !seen[file] && t.disk.hasFile(file) {
				f.Files, queue = append(f.Files, file), append(queue, file)
			}
			seen[file] = true
		}
	}
}

// headOf reads the beginning of a file; nothing of one that cannot be read.
func headOf(path string, most int64) []byte {
	from, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer from.Close()                                //nolint:errcheck // It is only read.
	head, _ := io.ReadAll(io.LimitReader(from, most)) //nolint:errcheck // What can be read counts.
	return head
}

// takeLayers adds the other files that a USD cache is composed of.
func (t *tracer) takeLayers(f *finding) {
	for _, top := range slices.Clone(f.Files) {
		if !strings.HasPrefix(strings.ToLower(filepath.Ext(top)), usdFileExtension) {
			continue
		}
		found, missing, absolute := t.layersOf(top)
		for _, file := range found {
			if !slices.Contains(f.Files, file) {
				f.Files = append(f.Files, file)
			}
		}
		for _, file := range missing {
			f.miss(file)
		}
		if absolute != "" {
			f.Note = fmt.Sprintf(absoluteLayers, top, absolute)
		}
	}
}
