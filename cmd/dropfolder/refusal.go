package dropfolder

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"hayloft/api/client"
	"hayloft/checkout"
	"hayloft/checkout/blend"
	"hayloft/checkout/gather"
)

// refusal is an error that only the person who dropped something can mend. Every other error is met by trying again.
type refusal struct {
	why, todo string
}

// Error is one sentence without its full stop: why, and what to do.
func (r refusal) Error() string { return r.why + "; " + r.todo }

// refuse makes a refusal: what to do, and why, which is formatted.
func refuse(todo, format string, args ...any) error {
	return refusal{why: fmt.Sprintf(format, args...), todo: todo}
}

// verdicts are errors of others that are about what was dropped, and not about the moment.
var verdicts = []error{
	gather.ErrUnusable, gather.ErrTooManyFiles, checkout.ErrConflict, checkout.ErrBadPath,
	blend.ErrNotBlend, blend.ErrNewer, blend.ErrCorrupt, blend.ErrTooLarge,
	client.ErrInvalid, client.ErrCompile, client.ErrBadSetting, client.ErrUnknownJobType, client.ErrBrokenJobType,
	client.ErrTimeLimit, client.ErrBadPath, client.ErrBadManifest, client.ErrTooLarge, client.ErrShamanOff,
}

// asRefusal tells whether an error is for the person who dropped something, and makes it a refusal if so.
func asRefusal(err error) (r refusal, ok bool) {
	if errors.As(err, &r) {
		return r, true
	}
	if errors.Is(err, syscall.ENOSPC) {
		return refusal{"there is no room left to unpack it", "make room on the manager's disk, then delete this file to try again"}, true
	}
	for _, verdict := range verdicts {
		if errors.Is(err, verdict) {
			return refusal{strings.TrimRight(err.Error(), ".\n"), "mend that and put it here again"}, true
		}
	}
	return refusal{}, false
}

// inWords takes the place where a project lies on this machine out of what people read.
func inWords(err error, source string) error {
	r, ok := asRefusal(err)
	if !ok {
		return err
	}
	r.why = strings.ReplaceAll(r.why, source+string(filepath.Separator), "")
	r.why = strings.ReplaceAll(r.why, source, "the project")
	return r
}
