package jobtype

import (
	"path"
	"strings"
)

// The path functions that scripts get take both kinds of slash and answer with forward ones, whatever the platform of
// the manager: a job is written on one platform and runs on another. A leading // (UNC) survives.

func toSlash(p string) string { return strings.ReplaceAll(p, `\`, "/") }

func keepUNC(original, cleaned string) string {
	if strings.HasPrefix(original, "//") && !strings.HasPrefix(original, "///") && strings.HasPrefix(cleaned, "/") {
		return "/" + cleaned
	}
	return cleaned
}

func pathBase(p string) string { return path.Base(toSlash(p)) }

func pathDir(p string) string {
	p = toSlash(p)
	return keepUNC(p, path.Dir(p))
}

func pathJoin(parts ...string) string {
	var slashed []string
	for _, part := range parts {
		if part != "" {
			slashed = append(slashed, toSlash(part))
		}
	}
	if len(slashed) == 0 {
		return ""
	}
	return keepUNC(slashed[0], path.Clean(strings.Join(slashed, "/")))
}

// pathStem is the last component without its last extension. A leading dot starts a name, not an extension.
func pathStem(p string) string {
	base := pathBase(p)
	if dot := strings.LastIndexByte(base, '.'); dot > 0 {
		return base[:dot]
	}
	return base
}
